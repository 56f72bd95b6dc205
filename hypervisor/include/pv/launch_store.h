/* SPDX-License-Identifier: MIT */
/*
 * A store for guests without a control domain. PV guests expect someone on the other end of their store ring and some
 * (GRUB) wait for its answers before anything else. This one speaks the wire protocol and answers each request at once;
 * which values there are, which may be written and what is watched is for its caller to say.
 *
 * Pure: it works on the ring page through any mapping. The page is the guest's to write: all that is believed of it are
 * its bytes, once read, and its two indices, checked. No lock: the caller serves one guest on one CPU at a time.
 */
#ifndef PV_LAUNCH_STORE_H
#define PV_LAUNCH_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <xen/io/xs_wire.h>

#define LAUNCH_STORE_PATH_SIZE 128
#define LAUNCH_STORE_REPLY_SIZE 256

/* What the store knows. `arg` is the caller's; paths and tokens are terminated, values are not. */
struct launch_store_ops {
    /* The value at a path in at most `size` bytes; its length, or -1: there is nothing. */
    int (*read)(void *arg, const char *path, char *value, size_t size);
    /* The names under a path, each with its NUL; as read. */
    int (*list)(void *arg, const char *path, char *names, size_t size);
    /* False: not to be written. */
    bool (*write)(void *arg, const char *path, const char *value, size_t len);
    /* A watch is set (or ended). Every one is granted; those on paths that never change never fire. */
    void (*watch)(void *arg, const char *path, const char *token, bool on);
    /* Takes one event that is due: path, NUL, token, NUL; its length, or 0: none. */
    int (*next_event)(void *arg, char *event, size_t size);
};

/* One guest's connection. All zero at first, and again when the guest restarts with a new page. */
struct launch_store {
    uint32_t req_cons, rsp_prod;  /* ours; the ring's copies are for the guest to read */
    uint32_t taken;               /* bytes of the present request, header included, taken from the ring */
    uint32_t reply_len, reply_at; /* the reply under way */
    bool broken;                  /* the guest broke the protocol: nothing more is served */
    union {
        struct xsd_sockmsg header;
        char bytes[sizeof(struct xsd_sockmsg)];
    } request;
    char path[LAUNCH_STORE_PATH_SIZE]; /* as much of the payload as matters: a path, maybe a value or token behind */
    char reply[LAUNCH_STORE_REPLY_SIZE];
};

/*
 * Serve what lies in the ring, and events that are due: when the guest notified its store port, when an event became
 * due, and once at its start. The work is bounded by the ring's size. True: the guest is to be notified.
 */
bool launch_store_serve(struct launch_store *store, struct xenstore_domain_interface *ring,
                        const struct launch_store_ops *ops, void *arg);

#endif
