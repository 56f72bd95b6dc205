// SPDX-License-Identifier: MIT
/*
 * Channels: the handshake over the store, as the ABI's split drivers do it (the frontend offers a granted page and an
 * unbound port and says Initialised, the backend takes both and says Connected), and the rings in the page.
 */
#include <sdk/channel.h>
#include <sdk/console.h>
#include <sdk/grant.h>
#include <sdk/store.h>

#include <xen/io/xenbus.h>

#define MAX_CHANNELS 4
#define MAP_VA (SCRATCH_VA + 0x20000000)
#define FIRST_REF 64
#define LAST_REF 511

static unsigned nr_channels;
static grant_ref_t next_ref = FIRST_REF;

/* Being woken is all: whoever waits looks at the rings. */
static void wake(unsigned port) {
    (void)port;
}

/* --- the store --- */

static void own_path(const struct channel *ch, const char *leaf, char *path, size_t size) {
    snprintf(path, size, "channel/%s/%s", ch->name, leaf);
}

static unsigned long own_number(const struct channel *ch, const char *leaf) {
    char path[80];

    own_path(ch, leaf, path, sizeof(path));
    return store_read_number(path, 0);
}

static unsigned long peer_number(const struct channel *ch, const char *leaf) {
    char path[120];

    snprintf(path, sizeof(path), "%s/%s", ch->peer_path, leaf);
    return store_read_number(path, 0);
}

static void publish(const struct channel *ch, const char *leaf, unsigned long n) {
    char path[80], value[16];

    own_path(ch, leaf, path, sizeof(path));
    snprintf(value, sizeof(value), "%lu", n);
    store_write(path, value);
}

/* --- page and port --- */

static void bind(struct channel *ch, long port) {
    ch->port = (unsigned)port;
    event_adopt(ch->port, wake);
}

static bool offer(struct channel *ch) {
    long port = event_alloc_unbound(DOMID_SELF, ch->peer);

    if (port < 0 || next_ref > LAST_REF)
        return false;
    bind(ch, port);
    ch->page = page_alloc();
    ch->ref = next_ref++;
    ch->out = &ch->page->to_back;
    ch->in = &ch->page->to_front;
    grant_access(ch->ref, ch->peer, virt_to_mfn(ch->page), false);
    publish(ch, "ring-ref", ch->ref);
    publish(ch, "event-channel", ch->port);
    publish(ch, "state", XenbusStateInitialised);
    return true;
}

static bool map(struct channel *ch, grant_ref_t ref) {
    unsigned long va = MAP_VA + ch->index * PAGE_SIZE;
    struct gnttab_map_grant_ref op = {.host_addr = va, .flags = GNTMAP_host_map, .ref = ref, .dom = ch->peer};

    pt_make(va);
    if (hv_grant_table_op(GNTTABOP_map_grant_ref, &op, 1) || op.status)
        return false;
    ch->page = (struct channel_page *)va;
    ch->ref = ref;
    ch->handle = op.handle;
    return true;
}

static void unmap(struct channel *ch) {
    struct gnttab_unmap_grant_ref op = {.host_addr = ARG(ch->page), .handle = ch->handle};

    hv_grant_table_op(GNTTABOP_unmap_grant_ref, &op, 1);
    if (op.status)
        panic("channel %s: unmapping gives %d", ch->name, op.status);
    ch->page = NULL;
}

/* What was offered may be from before this peer's time: then mapping it is refused, and we wait for the next word. */
static bool accept(struct channel *ch, grant_ref_t ref) {
    long port;

    if (!map(ch, ref))
        return false;
    port = event_bind_interdomain(ch->peer, (unsigned)peer_number(ch, "event-channel"));
    if (port < 0) {
        unmap(ch);
        ch->ref = 0;
        return false;
    }
    bind(ch, port);
    ch->out = &ch->page->to_front;
    ch->in = &ch->page->to_back;
    publish(ch, "state", XenbusStateConnected);
    return true;
}

/* A dead peer's mapping goes with its tables, soon. A page that stays in use is given up: it is as good as given away.
 */
static void withdraw(struct channel *ch) {
    for (unsigned tries = 0; tries < 1000; tries++) {
        if (grant_end(ch->ref)) {
            page_free(ch->page);
            break;
        }
        clock_sleep(MILLISECOND);
    }
    ch->page = NULL;
}

void channel_close(struct channel *ch) {
    ch->connected = false;
    if (!ch->page)
        return;
    publish(ch, "state", XenbusStateClosed);
    event_close(ch->port);
    if (ch->is_frontend)
        withdraw(ch);
    else
        unmap(ch);
}

/* --- connecting --- */

long channel_open(struct channel *ch, const char *name) {
    char role[16], path[80];
    int16_t status;
    long n;

    *ch = (struct channel){.index = nr_channels};
    n = name ? 0 : store_list("channel", ch->name, sizeof(ch->name));
    if (n < 0)
        return n;
    if (name)
        string_copy(ch->name, name, sizeof(ch->name));
    own_path(ch, "role", path, sizeof(path));
    n = store_read(path, role, sizeof(role));
    if (n < 0)
        return n;
    if (nr_channels == MAX_CHANNELS || (!nr_channels && !grant_init(1, &status)))
        return -XEN_ENOMEM;
    nr_channels++;
    ch->is_frontend = !strcmp(role, "frontend");
    snprintf(path, sizeof(path), "channel/%s", ch->name);
    return store_watch(path, ch->name);
}

static bool find_peer(struct channel *ch) {
    domid_t peer = (domid_t)own_number(ch, "peer-id");
    char path[80];

    if (ch->peer != peer) {
        channel_close(ch);
        ch->ref = 0;
        ch->peer = peer;
    }
    own_path(ch, "peer", path, sizeof(path));
    return peer && store_read(path, ch->peer_path, sizeof(ch->peer_path)) > 0;
}

static bool poll_frontend(struct channel *ch) {
    unsigned long state = peer_number(ch, "state");

    if (ch->connected && state != XenbusStateConnected) {
        channel_close(ch);
        return false;
    }
    if (!ch->page && state != XenbusStateConnected)
        offer(ch);
    return ch->page && state == XenbusStateConnected;
}

static bool poll_backend(struct channel *ch) {
    bool offered = peer_number(ch, "state") == XenbusStateInitialised;
    grant_ref_t ref = (grant_ref_t)peer_number(ch, "ring-ref");

    if (ch->page && (!offered || ref != ch->ref)) {
        channel_close(ch);
        return false;
    }
    /* An offer that we closed is not taken again. */
    return ch->page || (offered && ref != ch->ref && accept(ch, ref));
}

bool channel_poll(struct channel *ch) {
    store_has_event();
    if (!find_peer(ch))
        return false;
    ch->connected = ch->is_frontend ? poll_frontend(ch) : poll_backend(ch);
    return ch->connected;
}

/* Counts what came in since it last returned: what happened while the caller looked around ends it at once. */
void channel_block(struct channel *ch, uint64_t ns) {
    bool were_enabled = events_disable();
    uint64_t end = clock_now() + ns;

    if (ch->looked == event_count() && clock_now() < end)
        clock_doze(end);
    events_restore(were_enabled);
    ch->looked = event_count();
}

bool channel_wait(struct channel *ch, uint64_t ns) {
    uint64_t end = clock_now() + ns;

    while (!channel_poll(ch)) {
        uint64_t now = clock_now();

        if (now >= end)
            return false;
        channel_block(ch, end - now);
    }
    return true;
}

/* --- the streams --- */

static size_t used(const struct channel_ring *ring) {
    size_t n = __atomic_load_n(&ring->prod, __ATOMIC_ACQUIRE) - __atomic_load_n(&ring->cons, __ATOMIC_ACQUIRE);

    return n <= CHANNEL_RING_SIZE ? n : CHANNEL_RING_SIZE;
}

size_t channel_send(struct channel *ch, const void *bytes, size_t n) {
    struct channel_ring *ring = ch->out;
    size_t room = ch->connected ? CHANNEL_RING_SIZE - used(ring) : 0;
    uint32_t prod;

    n = n < room ? n : room;
    if (!n)
        return 0;
    prod = ring->prod;
    for (size_t i = 0; i < n; i++)
        ring->data[prod++ % CHANNEL_RING_SIZE] = ((const uint8_t *)bytes)[i];
    __atomic_store_n(&ring->prod, prod, __ATOMIC_SEQ_CST);
    event_send(ch->port);
    return n;
}

/* A producer that found the ring full is told. It may have filled it while we read: so look again, once there is room.
 */
size_t channel_receive(struct channel *ch, void *bytes, size_t n) {
    struct channel_ring *ring = ch->in;
    size_t there = ch->connected ? used(ring) : 0;
    uint32_t cons, before;

    n = n < there ? n : there;
    if (!n)
        return 0;
    cons = before = ring->cons;
    for (size_t i = 0; i < n; i++)
        ((uint8_t *)bytes)[i] = ring->data[cons++ % CHANNEL_RING_SIZE];
    __atomic_store_n(&ring->cons, cons, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&ring->prod, __ATOMIC_SEQ_CST) - before >= CHANNEL_RING_SIZE)
        event_send(ch->port);
    return n;
}
