// sources: hypervisor/launch/store.c hypervisor/launch/message.c
// SPDX-License-Identifier: MIT
/* A guest that writes anything into its store ring, between rounds of service. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <pv/launch_store.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Sets each byte it may: the sanitizer sees a wrong size. */
static int read_value(void *arg, const char *path, char *value, size_t size) {
    (void)arg;
    memset(value, 'v', size);
    return path[0] ? (int)(path[0] % (size + 1)) : -1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct launch_store *store = calloc(1, sizeof(*store));
    struct xenstore_domain_interface *ring = calloc(1, sizeof(*ring));

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
        launch_store_serve(store, ring, read_value, NULL);
    }
    free(store);
    free(ring);
    return 0;
}
