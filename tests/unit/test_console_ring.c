// SPDX-License-Identifier: MIT
// sources: console/ring.c
/* The console ring page against guests that keep its rules and guests that do not: wild indices, and indices and bytes
 * that change meanwhile. */
#include "host.h"
#include <cmocka.h>
#include <pthread.h>
#include "../../hypervisor/console/internal.h"

static struct xencons_interface *page;
static u32 out_cons, in_prod;

static int setup(void **state) {
    (void)state;
    static struct {
        char before[64];
        struct xencons_interface r;
        char after[64];
    } area;
    memset(&area, 0, sizeof(area));
    page = &area.r;
    ring_attach(page, &out_cons, &in_prod);
    return 0;
}

static void guest_prints(const char *text) {
    for (; *text; text++)
        page->out[page->out_prod++ % sizeof(page->out)] = *text;
}

static void takes_what_was_written(void **state) {
    (void)state;
    char buf[16] = "";
    guest_prints("hello");
    assert_int_equal(ring_take_output(page, &out_cons, buf, sizeof(buf)), 5);
    assert_memory_equal(buf, "hello", 5);
    assert_int_equal(page->out_cons, 5);
    assert_int_equal(ring_take_output(page, &out_cons, buf, sizeof(buf)), 0);
}

static void indices_wrap(void **state) {
    (void)state;
    char buf[16];
    page->out_prod = page->out_cons = 0xfffffffe;
    ring_attach(page, &out_cons, &in_prod);
    guest_prints("wrapped");
    assert_int_equal(ring_take_output(page, &out_cons, buf, 4), 4);
    assert_int_equal(ring_take_output(page, &out_cons, buf + 4, 12), 3);
    assert_memory_equal(buf, "wrapped", 7);
    assert_int_equal(page->out_cons, 5);
}

static void garbage_indices_empty_the_ring(void **state) {
    (void)state;
    char buf[16];
    guest_prints("text");
    page->out_prod = out_cons + sizeof(page->out) + 1;
    assert_int_equal(ring_take_output(page, &out_cons, buf, sizeof(buf)), 0);
    assert_int_equal(page->out_cons, page->out_prod);
    guest_prints("again");
    assert_int_equal(ring_take_output(page, &out_cons, buf, sizeof(buf)), 5);
    assert_memory_equal(buf, "again", 5);
}

static void a_consumer_index_changed_by_the_guest_is_not_used(void **state) {
    (void)state;
    char buf[16];
    guest_prints("abc");
    page->out_cons = 0x80000000;
    assert_int_equal(ring_take_output(page, &out_cons, buf, sizeof(buf)), 3);
    assert_memory_equal(buf, "abc", 3);
    assert_int_equal(page->out_cons, 3);
}

static void a_full_ring_is_not_garbage(void **state) {
    (void)state;
    char buf[4096];
    page->out_prod = sizeof(page->out);
    assert_int_equal(ring_take_output(page, &out_cons, buf, sizeof(buf)), sizeof(page->out));
}

static void input_stops_when_full(void **state) {
    (void)state;
    char many[1500];
    memset(many, 'x', sizeof(many));
    assert_int_equal(ring_put_input(page, &in_prod, many, sizeof(many)), sizeof(page->in));
    assert_int_equal(ring_put_input(page, &in_prod, many, 1), 0);
    page->in_cons += 10;
    assert_int_equal(ring_put_input(page, &in_prod, many, 100), 10);
    assert_int_equal(page->in_prod, sizeof(page->in) + 10);
}

static void garbage_input_consumer_resets(void **state) {
    (void)state;
    page->in_cons = 0x12345678;
    assert_int_equal(ring_put_input(page, &in_prod, "ab", 2), 2);
    assert_int_equal(page->in_prod, 0x1234567a);
    assert_memory_equal(page->in + 0x278, "ab", 2); /* 0x12345678 modulo 1024 */
    page->in_prod = 7;                              /* the guest's scribble does not matter */
    assert_int_equal(ring_put_input(page, &in_prod, "c", 1), 1);
    assert_int_equal(page->in_prod, 0x1234567b);
}

static bool stop;
static void *scribbler(void *arg) {
    u64 seed = 42;
    volatile u32 *idx = &page->in_cons;
    (void)arg;
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        u64 r = host_random(&seed);
        idx[r % 4] = (u32)(r >> 8) % (r & 1 ? 4096 : 0xffffffff);
    }
    return NULL;
}

/* Never more than asked for, never outside the page (the sanitizer looks), whatever changes meanwhile. */
static void a_guest_that_scribbles_meanwhile(void **state) {
    (void)state;
    pthread_t t;
    char buf[64];
    stop = false;
    pthread_create(&t, NULL, scribbler, NULL);
    for (int i = 0; i < 200000; i++) {
        assert_true(ring_take_output(page, &out_cons, buf, sizeof(buf)) <= sizeof(buf));
        assert_true(ring_put_input(page, &in_prod, buf, sizeof(buf)) <= sizeof(buf));
    }
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    pthread_join(t, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(takes_what_was_written, setup),
        cmocka_unit_test_setup(indices_wrap, setup),
        cmocka_unit_test_setup(garbage_indices_empty_the_ring, setup),
        cmocka_unit_test_setup(a_consumer_index_changed_by_the_guest_is_not_used, setup),
        cmocka_unit_test_setup(a_full_ring_is_not_garbage, setup),
        cmocka_unit_test_setup(input_stops_when_full, setup),
        cmocka_unit_test_setup(garbage_input_consumer_resets, setup),
        cmocka_unit_test_setup(a_guest_that_scribbles_meanwhile, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
