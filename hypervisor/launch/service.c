// SPDX-License-Identifier: MIT
// The store as guests are served with it: each guest's connection, the channels they share, and telling a guest of what
// another one changed.
#include "internal_host.h"

#include <pv/launch_channel.h>
#include <pv/mm.h>

static struct launch_channels channels; /* lock: channels_lock */
static struct spinlock channels_lock = SPINLOCK_INIT(LOCK_CHANNELS);
static struct store_service services[LAUNCH_MAX_GUESTS];

static u32 index_of(const struct store_service *s) {
    return (u32)(s - services);
}

/* --- what the store knows --- */

static int read_value(void *arg, const char *path, char *value, size_t size) {
    const struct store_service *s = arg;
    int len;

    if (!strcmp(path, "domid"))
        return snprintf(value, size, "%u", s->d->id);
    if (!strcmp(path, "name"))
        return snprintf(value, size, "%s", s->d->name);
    spin_lock(&channels_lock);
    len = launch_channels_read(&channels, index_of(s), path, value, size);
    spin_unlock(&channels_lock);
    return len;
}

static int list_names(void *arg, const char *path, char *names, size_t size) {
    int len;

    spin_lock(&channels_lock);
    len = launch_channels_list(&channels, index_of(arg), path, names, size);
    spin_unlock(&channels_lock);
    return len;
}

static bool write_value(void *arg, const char *path, const char *value, size_t len) {
    struct store_service *s = arg;
    bool written;

    spin_lock(&channels_lock);
    written = launch_channels_write(&channels, index_of(s), path, value, len);
    spin_unlock(&channels_lock);
    s->wrote |= written;
    return written;
}

static void set_watch(void *arg, const char *path, const char *token, bool on) {
    spin_lock(&channels_lock);
    launch_channels_watch(&channels, index_of(arg), path, token, on);
    spin_unlock(&channels_lock);
}

static int next_event(void *arg, char *event, size_t size) {
    int len;

    spin_lock(&channels_lock);
    len = launch_channels_next_event(&channels, index_of(arg), event, size);
    spin_unlock(&channels_lock);
    return len;
}

static const struct launch_store_ops ops = {
    .read = read_value,
    .list = list_names,
    .write = write_value,
    .watch = set_watch,
    .next_event = next_event,
};

/* --- serving --- */

/* True: others may have to be told of something. */
static bool serve(struct store_service *s) {
    bool wrote;

    spin_lock(&s->lock);
    s->wrote = false;
    if (s->d && launch_store_serve(&s->store, mfn_to_virt(s->d->ring_mfn[1]), &ops, s))
        evtchn_raise_host(s->d, s->port);
    wrote = s->wrote;
    spin_unlock(&s->lock);
    return wrote;
}

static u32 next_due(int guest) {
    u32 next;

    spin_lock(&channels_lock);
    next = launch_channels_next_due(&channels, guest);
    spin_unlock(&channels_lock);
    return next;
}

/* Each guest once: one whose ring has no room is served again when it has taken something out of it, and one that
 * writes meanwhile notifies us of it, so that we are here again. */
static void serve_events(void) {
    for (u32 i = next_due(-1); i < LAUNCH_MAX_GUESTS; i = next_due((int)i))
        serve(&services[i]);
}

static void notified(struct domain *d, u32 port, void *arg) {
    (void)d;
    (void)port;
    if (serve(arg))
        serve_events();
}

static void join(u32 guest, u32 domid) {
    spin_lock(&channels_lock);
    launch_channels_join(&channels, guest, domid);
    spin_unlock(&channels_lock);
    serve_events();
}

void store_plan(const struct launch_plan *plan) {
    launch_channels_init(&channels, plan);
    for (u32 i = 0; i < LAUNCH_MAX_GUESTS; i++)
        spin_init(&services[i].lock, LOCK_STORE);
}

int store_attach(u32 guest, struct domain *d, u32 *port) {
    struct store_service *s = &services[guest];
    int rc = evtchn_bind_host(d, notified, s, port);

    if (rc)
        return rc;
    spin_lock(&s->lock);
    memset(&s->store, 0, sizeof(s->store));
    s->port = *port;
    s->d = d;
    spin_unlock(&s->lock);
    join(guest, d->id);
    return 0;
}

void store_detach(u32 guest) {
    struct store_service *s = &services[guest];
    bool was_there;

    spin_lock(&s->lock);
    was_there = s->d;
    s->d = NULL;
    spin_unlock(&s->lock);
    if (was_there)
        join(guest, 0);
}
