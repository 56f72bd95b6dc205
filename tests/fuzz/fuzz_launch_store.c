// sources: hypervisor/launch/store.c hypervisor/launch/message.c hypervisor/launch/channel.c hypervisor/launch/keys.c
// SPDX-License-Identifier: MIT
/* A guest that writes anything into its store ring, between rounds of service, beside another end of its channels. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <pv/launch_channel.h>
#include <pv/launch_store.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct launch_channels channels;

/* Sets each byte it may: the sanitizer sees a wrong size. */
static int read_value(void *arg, const char *path, char *value, size_t size) {
    (void)arg;
    memset(value, 'v', size);
    if (path[0] == 'c' || path[0] == '/')
        return launch_channels_read(&channels, 0, path, value, size);
    return path[0] ? (int)(path[0] % (size + 1)) : -1;
}

static int list_names(void *arg, const char *path, char *names, size_t size) {
    (void)arg;
    return launch_channels_list(&channels, 0, path, names, size);
}

static bool write_value(void *arg, const char *path, const char *value, size_t len) {
    (void)arg;
    return launch_channels_write(&channels, 0, path, value, len);
}

static void set_watch(void *arg, const char *path, const char *token, bool on) {
    (void)arg;
    launch_channels_watch(&channels, 0, path, token, on);
}

static int next_event(void *arg, char *event, size_t size) {
    (void)arg;
    return launch_channels_next_event(&channels, 0, event, size);
}

static const struct launch_store_ops ops = {read_value, list_names, write_value, set_watch, next_event};

static void pair(void) {
    static struct launch_plan plan = {.nr_guests = 2};

    for (uint32_t i = 0; i < 2; i++) {
        plan.guests[i].nr_channels = 1;
        plan.guests[i].channel[0][0] = 'c';
    }
    launch_channels_init(&channels, &plan);
    for (uint32_t i = 0; i < 2; i++)
        launch_channels_join(&channels, i, 7 + i);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct launch_store *store = calloc(1, sizeof(*store));
    struct xenstore_domain_interface *ring = calloc(1, sizeof(*ring));

    pair();
    while (size >= 2 && store && ring) {
        size_t at = data[0] * 8u + data[1] % 8u * (sizeof(*ring) / 8u), len = data[1] >> 3;

        data += 2;
        size -= 2;
        len = len > size ? size : len;
        if (at + len <= sizeof(*ring))
            memcpy((uint8_t *)ring + at, data, len);
        else
            ring->req_prod += (uint32_t)len, ring->rsp_cons = ring->rsp_prod;
        data += len;
        size -= len;
        launch_channels_write(&channels, 1, "channel/c/state", "1", 1);
        launch_store_serve(store, ring, &ops, NULL);
    }
    free(store);
    free(ring);
    return 0;
}
