// SPDX-License-Identifier: MIT
/* The small store of guests without a control domain: requests in from the ring, one reply out for each, and events of
 * watches between them. */
#include <pv/launch_store.h>

#include "internal.h"

#define HEADER_SIZE ((uint32_t)sizeof(struct xsd_sockmsg))
#define PAYLOAD_SIZE (LAUNCH_STORE_REPLY_SIZE - HEADER_SIZE)

static uint32_t load(const uint32_t *index) {
    return __atomic_load_n(index, __ATOMIC_ACQUIRE);
}

static void publish(uint32_t *index, uint32_t value) {
    __atomic_store_n(index, value, __ATOMIC_RELEASE);
}

/* Move as much of the reply as fits. True: all of it is out. */
static bool flush_reply(struct launch_store *store, struct xenstore_domain_interface *ring) {
    uint32_t used = store->rsp_prod - load(&ring->rsp_cons);

    if (used > XENSTORE_RING_SIZE) {
        store->broken = true;
        return false;
    }
    while (store->reply_at < store->reply_len && used < XENSTORE_RING_SIZE) {
        ring->rsp[MASK_XENSTORE_IDX(store->rsp_prod)] = store->reply[store->reply_at++];
        store->rsp_prod++;
        used++;
    }
    publish(&ring->rsp_prod, store->rsp_prod);
    return store->reply_at == store->reply_len;
}

static void copy(char *to, const void *from, size_t len) {
    for (size_t i = 0; i < len; i++)
        to[i] = ((const char *)from)[i]; /* NOLINT(clang-analyzer-core.*): the analyzer loses bytes of structs */
}

/* The room for a reply's payload. */
static char *payload(struct launch_store *store) {
    return store->reply + HEADER_SIZE;
}

static void start_message(struct launch_store *store, const struct xsd_sockmsg *header) {
    copy(store->reply, header, HEADER_SIZE);
    store->reply_len = HEADER_SIZE + header->len;
    store->reply_at = 0;
}

static void start_reply(struct launch_store *store, uint32_t type, uint32_t len) {
    start_message(store, &(struct xsd_sockmsg){
                             .type = type,
                             .req_id = store->request.header.req_id,
                             .tx_id = store->request.header.tx_id,
                             .len = len,
                         });
}

/* A reply that is a word with its NUL: most are. */
static void reply_word(struct launch_store *store, uint32_t type, const char *word) {
    uint32_t len = (uint32_t)launch_text_len(word) + 1;

    copy(payload(store), word, len);
    start_reply(store, type, len);
}

/* What read or list gave. */
static void reply_value(struct launch_store *store, int len) {
    if (len < 0 || len > (int)PAYLOAD_SIZE)
        reply_word(store, XS_ERROR, "ENOENT");
    else
        start_reply(store, store->request.header.type, (uint32_t)len);
}

/* The path is terminated; what stands behind it is a value, or a token with its NUL. */
static size_t behind_path(const struct launch_store *store, const char **rest) {
    size_t len = store->request.header.len < LAUNCH_STORE_PATH_SIZE - 1 ? store->request.header.len : 0;
    size_t at = launch_text_len(store->path) + 1;

    *rest = at < len ? store->path + at : "";
    return at < len ? len - at : 0;
}

static void answer_write(struct launch_store *store, const struct launch_store_ops *ops, void *arg) {
    const char *value;
    size_t len = behind_path(store, &value);

    if (ops->write(arg, store->path, value, len))
        reply_word(store, XS_WRITE, "OK");
    else
        reply_word(store, XS_ERROR, "EROFS");
}

static void answer_watch(struct launch_store *store, const struct launch_store_ops *ops, void *arg) {
    uint32_t type = store->request.header.type;
    const char *token;

    behind_path(store, &token);
    ops->watch(arg, store->path, token, type == XS_WATCH);
    reply_word(store, type, "OK");
}

static void answer(struct launch_store *store, const struct launch_store_ops *ops, void *arg) {
    uint32_t type = store->request.header.type;

    switch (type) {
    case XS_READ:
        reply_value(store, ops->read(arg, store->path, payload(store), PAYLOAD_SIZE));
        break;
    case XS_DIRECTORY:
        reply_value(store, ops->list(arg, store->path, payload(store), PAYLOAD_SIZE));
        break;
    case XS_DIRECTORY_PART:
    case XS_GET_PERMS:
        reply_word(store, XS_ERROR, "ENOENT");
        break;
    case XS_WATCH:
    case XS_UNWATCH:
        answer_watch(store, ops, arg);
        break;
    case XS_RESET_WATCHES:
    case XS_TRANSACTION_END:
        reply_word(store, type, "OK");
        break;
    case XS_TRANSACTION_START:
        reply_word(store, type, "1");
        break;
    case XS_WRITE:
        answer_write(store, ops, arg);
        break;
    case XS_MKDIR:
    case XS_RM:
    case XS_SET_PERMS:
        reply_word(store, XS_ERROR, "EROFS");
        break;
    default:
        reply_word(store, XS_ERROR, "ENOSYS");
    }
}

/* Between requests and their replies only. True: an event is on its way. */
static bool start_event(struct launch_store *store, const struct launch_store_ops *ops, void *arg) {
    int len = ops->next_event(arg, payload(store), PAYLOAD_SIZE);

    if (len > 0 && len <= (int)PAYLOAD_SIZE)
        start_message(store, &(struct xsd_sockmsg){.type = XS_WATCH_EVENT, .len = (uint32_t)len});
    return len > 0;
}

/* One byte of a request. The payload's start is kept as a path; a path too long for that names nothing here. */
static void take_byte(struct launch_store *store, char c) {
    uint32_t at = store->taken++;

    if (at < HEADER_SIZE)
        store->request.bytes[at] = c;
    else if (at - HEADER_SIZE < LAUNCH_STORE_PATH_SIZE - 1)
        store->path[at - HEADER_SIZE] = c;
}

static bool request_is_whole(struct launch_store *store) {
    if (store->taken < HEADER_SIZE)
        return false;
    if (store->request.header.len > XENSTORE_PAYLOAD_MAX) {
        store->broken = true;
        return false;
    }
    return store->taken == HEADER_SIZE + store->request.header.len;
}

static void finish_request(struct launch_store *store, const struct launch_store_ops *ops, void *arg) {
    uint32_t len = store->request.header.len;

    store->path[len < LAUNCH_STORE_PATH_SIZE - 1 ? len : 0] = 0;
    store->taken = 0;
    answer(store, ops, arg);
}

bool launch_store_serve(struct launch_store *store, struct xenstore_domain_interface *ring,
                        const struct launch_store_ops *ops, void *arg) {
    uint32_t cons = store->req_cons, rsp = store->rsp_prod, prod = load(&ring->req_prod);

    if (prod - cons > XENSTORE_RING_SIZE)
        store->broken = true;
    while (!store->broken && flush_reply(store, ring)) {
        if (!store->taken && start_event(store, ops, arg))
            continue;
        if (store->req_cons == prod)
            break;
        take_byte(store, ring->req[MASK_XENSTORE_IDX(store->req_cons)]);
        store->req_cons++;
        if (request_is_whole(store))
            finish_request(store, ops, arg);
    }
    publish(&ring->req_cons, store->req_cons);
    return store->req_cons != cons || store->rsp_prod != rsp;
}
