// sources: hypervisor/launch/store.c hypervisor/launch/message.c
// SPDX-License-Identifier: MIT
/* The store for guests without a control domain: every kind of request, rings that wrap and fill, guests that lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <pv/launch_store.h>

static struct launch_store store;
static struct xenstore_domain_interface ring;

static int setup(void **state) {
    (void)state;
    memset(&store, 0, sizeof(store));
    memset(&ring, 0, sizeof(ring));
    return 0;
}

static int read_value(void *arg, const char *path, char *value, size_t size) {
    (void)arg;
    if (strcmp(path, "name") != 0 || size < 6)
        return -1;
    memcpy(value, "debian", 6);
    return 6;
}

static int list_names(void *arg, const char *path, char *names, size_t size) {
    (void)arg;
    if (strcmp(path, "dir") != 0 || size < 4)
        return -1;
    memcpy(names, "a\0b", 4);
    return 4;
}

static char written[64], watched[64];
static int events;

static bool write_value(void *arg, const char *path, const char *value, size_t len) {
    (void)arg;
    snprintf(written, sizeof(written), "%s=%.*s", path, (int)len, value);
    return strcmp(path, "mine") == 0;
}

static void set_watch(void *arg, const char *path, const char *token, bool on) {
    (void)arg;
    snprintf(watched, sizeof(watched), "%s %s %d", path, token, on);
    events += on && strcmp(path, "mine") == 0;
}

static int next_event(void *arg, char *event, size_t size) {
    (void)arg;
    if (!events || size < 8)
        return 0;
    events--;
    memcpy(event, "mine\0tk", 8);
    return 8;
}

static const struct launch_store_ops ops = {read_value, list_names, write_value, set_watch, next_event};

static bool serve(void) {
    return launch_store_serve(&store, &ring, &ops, NULL);
}

static void put(const void *bytes, size_t len) {
    for (size_t i = 0; i < len; i++)
        ring.req[MASK_XENSTORE_IDX(ring.req_prod++)] = ((const char *)bytes)[i];
}

static void request(uint32_t type, uint32_t id, const void *body, uint32_t len) {
    struct xsd_sockmsg header = {type, id, 0, len};

    put(&header, sizeof(header));
    put(body, len);
}

static void take(void *bytes, size_t len) {
    assert_true(ring.rsp_prod - ring.rsp_cons >= len);
    for (size_t i = 0; i < len; i++)
        ((char *)bytes)[i] = ring.rsp[MASK_XENSTORE_IDX(ring.rsp_cons++)];
}

static void expect_reply(uint32_t type, uint32_t id, const char *body, uint32_t len) {
    struct xsd_sockmsg header;
    char got[64];

    take(&header, sizeof(header));
    assert_int_equal(header.type, type);
    assert_int_equal(header.req_id, id);
    assert_int_equal(header.len, len);
    take(got, len);
    assert_memory_equal(got, body, len);
}

static void each_request(void **state) {
    static const struct {
        uint32_t type, reply;
        const char *word;
    } rows[] = {
        {XS_DIRECTORY, XS_ERROR, "ENOENT"},
        {XS_READ, XS_ERROR, "ENOENT"},
        {XS_WATCH, XS_WATCH, "OK"},
        {XS_UNWATCH, XS_UNWATCH, "OK"},
        {XS_WRITE, XS_ERROR, "EROFS"},
        {XS_TRANSACTION_END, XS_TRANSACTION_END, "OK"},
        {XS_CONTROL, XS_ERROR, "ENOSYS"},
        {XS_INTRODUCE, XS_ERROR, "ENOSYS"},
        {XS_TRANSACTION_START, XS_TRANSACTION_START, "1"},
        {0xffffffff, XS_ERROR, "ENOSYS"},
    };

    (void)state;
    for (uint32_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        request(rows[i].type, 100 + i, "device/vbd", 11);
        assert_true(serve());
        expect_reply(rows[i].reply, 100 + i, rows[i].word, (uint32_t)strlen(rows[i].word) + 1);
        assert_int_equal(ring.rsp_prod, ring.rsp_cons);
        assert_int_equal(ring.req_prod, ring.req_cons);
    }
    assert_false(serve());
}

static void values(void **state) {
    (void)state;
    request(XS_READ, 1, "name", 5);
    request(XS_READ, 2, "names", 6);
    request(XS_READ, 3, "", 0);
    assert_true(serve());
    expect_reply(XS_READ, 1, "debian", 6);
    expect_reply(XS_ERROR, 2, "ENOENT", 7);
    expect_reply(XS_ERROR, 3, "ENOENT", 7);
}

static void directories(void **state) {
    (void)state;
    request(XS_DIRECTORY, 1, "dir", 4);
    assert_true(serve());
    expect_reply(XS_DIRECTORY, 1, "a\0b", 4);
}

static void writes(void **state) {
    (void)state;
    request(XS_WRITE, 1, "mine\0value", 10);
    request(XS_WRITE, 2, "mine", 5);
    request(XS_WRITE, 3, "other\0x", 7);
    assert_true(serve());
    expect_reply(XS_WRITE, 1, "OK", 3);
    expect_reply(XS_WRITE, 2, "OK", 3);
    expect_reply(XS_ERROR, 3, "EROFS", 6);
    assert_string_equal(written, "other=x");
    request(XS_WRITE, 4, "mine\0value", 10);
    serve();
    assert_string_equal(written, "mine=value");
}

static void watches(void **state) {
    (void)state;
    request(XS_WATCH, 1, "mine\0tk", 8);
    request(XS_READ, 2, "name", 5);
    assert_true(serve());
    assert_string_equal(watched, "mine tk 1");
    expect_reply(XS_WATCH, 1, "OK", 3);
    expect_reply(XS_WATCH_EVENT, 0, "mine\0tk", 8);
    expect_reply(XS_READ, 2, "debian", 6);
    events = 1;
    assert_true(serve());
    expect_reply(XS_WATCH_EVENT, 0, "mine\0tk", 8);
    assert_false(serve());
    request(XS_UNWATCH, 3, "mine\0tk", 8);
    serve();
    assert_string_equal(watched, "mine tk 0");
}

static void in_pieces(void **state) {
    struct xsd_sockmsg header = {XS_READ, 7, 0, 5};

    (void)state;
    for (size_t i = 0; i < sizeof(header); i++) {
        put((char *)&header + i, 1);
        assert_true(serve());
    }
    put("nam", 3);
    serve();
    assert_int_equal(ring.rsp_prod, 0);
    put("e", 2);
    serve();
    expect_reply(XS_READ, 7, "debian", 6);
}

static void long_payloads(void **state) {
    static char body[XENSTORE_PAYLOAD_MAX];
    struct xsd_sockmsg header = {XS_READ, 8, 0, sizeof(body)};

    (void)state;
    memset(body, 'x', sizeof(body));
    put(&header, sizeof(header));
    for (size_t at = 0; at < sizeof(body); at += 512) {
        put(body + at, 512);
        serve();
    }
    expect_reply(XS_ERROR, 8, "ENOENT", 7);
    request(XS_READ, 9, "name", 5);
    serve();
    expect_reply(XS_READ, 9, "debian", 6);
}

/* 46 requests of 21 bytes make 46 replies of 22: round after round, over all ring positions. */
static void full_rings(void **state) {
    (void)state;
    for (int round = 0; round < 40; round++) {
        uint32_t id = 0, seen = 0;

        for (; id < 48; id++)
            request(XS_READ, id, "name", 5);
        serve();
        while (seen < 48) {
            expect_reply(XS_READ, seen++, "debian", 6);
            serve();
        }
        assert_int_equal(ring.rsp_prod, ring.rsp_cons);
    }
}

static void no_room_for_replies(void **state) {
    (void)state;
    for (uint32_t id = 0; id < 48; id++)
        request(XS_READ, id, "none", 5);
    serve();
    for (uint32_t id = 48; id < 50; id++) /* 50 replies of 23 bytes are more than the ring holds */
        request(XS_READ, id, "none", 5);
    serve();
    assert_int_equal(ring.rsp_prod, XENSTORE_RING_SIZE);
    assert_false(serve());
    for (uint32_t id = 0; id < 50; id++) {
        expect_reply(XS_ERROR, id, "ENOENT", 7);
        serve();
    }
}

static void liars(void **state) {
    struct xsd_sockmsg header = {XS_READ, 7, 0, XENSTORE_PAYLOAD_MAX + 1};

    (void)state;
    ring.req_prod = XENSTORE_RING_SIZE + 1;
    assert_false(serve());
    assert_true(store.broken);
    setup(NULL);
    ring.rsp_cons = 1;
    request(XS_READ, 1, "name", 5);
    serve();
    assert_true(store.broken);
    setup(NULL);
    put(&header, sizeof(header));
    serve();
    assert_true(store.broken);
    assert_int_equal(ring.rsp_prod, 0);
}

static int too_long(void *arg, const char *path, char *value, size_t size) {
    (void)arg, (void)path, (void)value;
    return (int)size + 1;
}

static void a_value_too_long_is_none(void **state) {
    (void)state;
    request(XS_READ, 1, "name", 5);
    launch_store_serve(&store, &ring,
                       &(struct launch_store_ops){too_long, list_names, write_value, set_watch, next_event}, NULL);
    expect_reply(XS_ERROR, 1, "ENOENT", 7);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(each_request, setup), cmocka_unit_test_setup(values, setup),
        cmocka_unit_test_setup(in_pieces, setup),    cmocka_unit_test_setup(long_payloads, setup),
        cmocka_unit_test_setup(full_rings, setup),   cmocka_unit_test_setup(no_room_for_replies, setup),
        cmocka_unit_test_setup(liars, setup),        cmocka_unit_test_setup(a_value_too_long_is_none, setup),
        cmocka_unit_test_setup(directories, setup),  cmocka_unit_test_setup(writes, setup),
        cmocka_unit_test_setup(watches, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
