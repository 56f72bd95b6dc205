/* SPDX-License-Identifier: MIT */
/* What the files of this kernel share: devices found in the store, and their rings. */
#ifndef ROGUE_H
#define ROGUE_H

#include <sdk/sdk.h>

#include <xen/io/blkif.h>
#include <xen/io/netif.h>
#include <xen/io/xenbus.h>

#define PATIENCE (20 * SECOND)
#define PATH 128

/* One device, and what was agreed on with its backend. */
struct device {
    char path[PATH], backend[PATH]; /* in the store */
    domid_t peer;
    unsigned port;
};

/* The device of that name, such as "device/vbd/51712"; false: there is none. */
bool device_find(struct device *dev, const char *path);
void device_write(struct device *dev, const char *key, unsigned long value);
/* Grants a page to the backend, writable; the references are never used twice. */
grant_ref_t device_grant(struct device *dev, void *page, bool read_only);
/* Takes a grant back without asking whether it is in use. */
void device_revoke(grant_ref_t ref);
/* A page granted to the backend, told under that key. */
void *device_share_ring(struct device *dev, const char *key);
/* Opens an event channel for the backend, says that all is set up, by the state that the backend takes for that, and
 * waits for it to connect. */
bool device_connect(struct device *dev, unsigned long state);
/* Waits till the counter has moved to n. */
bool device_wait(volatile uint32_t *counter, uint32_t n);

void attack_disk(const char *path, unsigned attack);
void attack_net(const char *path, unsigned attack);

#endif
