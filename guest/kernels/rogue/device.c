// SPDX-License-Identifier: MIT
// Devices by the store: the steps of a frontend's connection, no more than backends ask for.
#include "rogue.h"

#define GRANT_FRAMES 4
#define FIRST_REF 64 /* below are those the builder made */

static grant_entry_v1_t *table;
static grant_ref_t next_ref = FIRST_REF;

static const char *key_of(char *out, const char *path, const char *key) {
    snprintf(out, PATH, "%s/%s", path, key);
    return out;
}

bool device_find(struct device *dev, const char *path) {
    char key[PATH];

    snprintf(dev->path, sizeof(dev->path), "%s", path);
    dev->peer = (domid_t)store_read_number(key_of(key, path, "backend-id"), DOMID_INVALID);
    return store_read(key_of(key, path, "backend"), dev->backend, sizeof(dev->backend)) > 0;
}

void device_write(struct device *dev, const char *key, unsigned long value) {
    char path[PATH], text[24];

    snprintf(text, sizeof(text), "%lu", value);
    store_write(key_of(path, dev->path, key), text);
}

grant_ref_t device_grant(struct device *dev, void *page, bool read_only) {
    int16_t status;

    if (!table && !(table = grant_init(GRANT_FRAMES, &status)))
        panic("no grant table: %d", status);
    grant_access(next_ref, dev->peer, virt_to_mfn(page), read_only);
    return next_ref++;
}

void device_revoke(grant_ref_t ref) {
    __atomic_store_n(&table[ref].flags, 0, __ATOMIC_SEQ_CST);
}

static void ignore(unsigned port) {
    (void)port;
}

void *device_share_ring(struct device *dev, const char *key) {
    void *ring = page_alloc();

    device_write(dev, key, device_grant(dev, ring, false));
    return ring;
}

static void open_port(struct device *dev) {
    long port = event_alloc_unbound(DOMID_SELF, dev->peer);

    if (port < 0)
        panic("no event channel: %ld", port);
    dev->port = (unsigned)port;
    event_adopt(dev->port, ignore);
    device_write(dev, "event-channel", dev->port);
}

static bool wait_state(struct device *dev, unsigned long wanted) {
    uint64_t end = clock_now() + PATIENCE;
    char key[PATH];

    while (clock_now() < end) {
        unsigned long state = store_read_number(key_of(key, dev->backend, "state"), 0);

        if (state == wanted)
            return true;
        clock_sleep(50 * MILLISECOND);
    }
    return false;
}

bool device_connect(struct device *dev, unsigned long state) {
    open_port(dev);
    device_write(dev, "state", state);
    if (!wait_state(dev, XenbusStateConnected))
        return false;
    device_write(dev, "state", XenbusStateConnected);
    return true;
}

bool device_wait(volatile uint32_t *counter, uint32_t n) {
    uint64_t end = clock_now() + PATIENCE;

    while ((int32_t)(*counter - n) < 0 && clock_now() < end)
        clock_sleep(10 * MILLISECOND);
    return (int32_t)(*counter - n) >= 0;
}
