// SPDX-License-Identifier: MIT
/*
 * The store's client: requests out, replies in, events of watches noted in between. The ring's page is part of the
 * initial image, as the console's is.
 */
#include <sdk/start.h>
#include <sdk/store.h>

#include <xen/io/xs_wire.h>

#define PATIENCE (5 * SECOND)
#define PAYLOAD 512

static struct xenstore_domain_interface *ring;
static bool fired;

static void notice(unsigned port) {
    (void)port;
}

static bool connect(void) {
    if (!ring && start_info->store_mfn && start_info->store_evtchn) {
        ring = (void *)(kernel_virt_base + (machine_to_phys_mapping[start_info->store_mfn] << PAGE_SHIFT));
        event_adopt(start_info->store_evtchn, notice);
    }
    return ring;
}

static void put(const void *bytes, size_t n) {
    uint32_t prod = ring->req_prod;

    for (size_t i = 0; i < n; i++)
        ring->req[MASK_XENSTORE_IDX(prod++)] = ((const char *)bytes)[i];
    __atomic_store_n(&ring->req_prod, prod, __ATOMIC_RELEASE);
}

/* Waits for each byte as long as the patience lasts. */
static bool take(void *bytes, size_t n, uint64_t end) {
    uint32_t cons = ring->rsp_cons;

    for (size_t i = 0; i < n; i++) {
        while (__atomic_load_n(&ring->rsp_prod, __ATOMIC_ACQUIRE) == cons) {
            if (clock_now() >= end)
                return false;
            clock_doze(end);
        }
        ((char *)bytes)[i] = ring->rsp[MASK_XENSTORE_IDX(cons++)];
        __atomic_store_n(&ring->rsp_cons, cons, __ATOMIC_RELEASE);
    }
    return true;
}

/* One message: its header and payload, as much as fits. */
static bool take_message(struct xsd_sockmsg *header, char *payload, size_t size) {
    uint64_t end = clock_now() + PATIENCE;
    char rest;

    if (!take(header, sizeof(*header), end))
        return false;
    for (uint32_t i = 0; i < header->len; i++)
        if (!take(i < size ? payload + i : &rest, 1, end))
            return false;
    event_send(start_info->store_evtchn);
    fired |= header->type == XS_WATCH_EVENT;
    return true;
}

static long error_of(const char *word, size_t n) {
    return n >= 6 && !strncmp(word, "ENOENT", 6) ? -XEN_ENOENT : -XEN_EINVAL;
}

struct request {
    uint32_t type;
    const char *path, *rest; /* what follows the path's NUL, or NULL */
    size_t rest_len;
};

/* Gives the reply's payload. Events are off: nothing that comes in is missed before a wait. */
static long exchange(const struct request *r, char *reply, size_t size) {
    size_t path_len = strlen(r->path) + 1;
    struct xsd_sockmsg header = {.type = r->type, .len = (uint32_t)(path_len + r->rest_len)};

    if (!connect() || header.len > PAYLOAD)
        return -XEN_EIO;
    put(&header, sizeof(header));
    put(r->path, path_len);
    put(r->rest, r->rest_len);
    event_send(start_info->store_evtchn);
    do
        if (!take_message(&header, reply, size))
            return -XEN_EIO;
    while (header.type == XS_WATCH_EVENT);
    if (header.type == XS_ERROR)
        return error_of(reply, header.len);
    return header.len < size ? (long)header.len : (long)size;
}

static long request(const struct request *r, char *reply, size_t size) {
    bool were_enabled = events_disable();
    long rc = exchange(r, reply, size);

    events_restore(were_enabled);
    return rc;
}

long store_read(const char *path, char *value, size_t size) {
    long n = request(&(struct request){.type = XS_READ, .path = path}, value, size - 1);

    value[n < 0 ? 0 : n] = 0;
    return n;
}

unsigned long store_read_number(const char *path, unsigned long otherwise) {
    char text[24];

    return store_read(path, text, sizeof(text)) > 0 ? parse_number(text) : otherwise;
}

long store_write(const char *path, const char *value) {
    char reply[16];
    long rc = request(&(struct request){XS_WRITE, path, value, strlen(value)}, reply, sizeof(reply));

    return rc < 0 ? rc : 0;
}

long store_list(const char *path, char *names, size_t size) {
    return request(&(struct request){.type = XS_DIRECTORY, .path = path}, names, size);
}

long store_watch(const char *path, const char *token) {
    char reply[16];
    long rc = request(&(struct request){XS_WATCH, path, token, strlen(token) + 1}, reply, sizeof(reply));

    return rc < 0 ? rc : 0;
}

bool store_has_event(void) {
    bool were_enabled = events_disable(), had;
    struct xsd_sockmsg header;
    char payload[PAYLOAD];

    while (ring && __atomic_load_n(&ring->rsp_prod, __ATOMIC_ACQUIRE) != ring->rsp_cons)
        if (!take_message(&header, payload, sizeof(payload)))
            break;
    had = fired;
    fired = false;
    events_restore(were_enabled);
    return had;
}
