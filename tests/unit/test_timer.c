// SPDX-License-Identifier: MIT
// sources: time/timer.c
/*
 * Timer queues: order, moving, cancelling, re-arming from callbacks, requests to CPUs; random operations against an
 * array of deadlines; threads that set and cancel the same timers.
 */
#include "host.h"
#include <pthread.h>
#include <cmocka.h>

#define NR_TIMERS 200
#define NR_TEST_CPUS 4

static struct timer timers[NR_TIMERS];
static u64 fired[NR_TIMERS];
static u32 order[NR_TIMERS * 2], nr_order;

static void on_timer(void *arg) {
    struct timer *t = arg;
    u32 i = (u32)(t - timers);
    __atomic_fetch_add(&fired[i], 1, __ATOMIC_SEQ_CST);
    u32 at = __atomic_fetch_add(&nr_order, 1, __ATOMIC_SEQ_CST);
    if (at < ARRAY_SIZE(order))
        order[at] = i;
}

static int setup(void **state) {
    (void)state;
    host_set_cpus(NR_TEST_CPUS);
    host_cpu = 0;
    for (u32 i = 0; i < NR_TIMERS; i++) {
        timer_init(&timers[i], on_timer, &timers[i]);
        fired[i] = 0;
    }
    nr_order = 0;
    return 0;
}

static int teardown(void **state) {
    (void)state;
    for (u32 i = 0; i < NR_TIMERS; i++)
        timer_cancel(&timers[i]);
    return 0;
}

static void in_order(void **state) {
    (void)state;
    const u64 when[] = {50, 10, 40, 20, 30, 25, 60};
    for (u32 i = 0; i < ARRAY_SIZE(when); i++)
        timer_set(&timers[i], 0, when[i]);
    assert_int_equal(timer_next(0), 10);
    timer_run_expired(0, 9);
    assert_int_equal(nr_order, 0);
    timer_run_expired(0, 40);
    const u32 expected[] = {1, 3, 5, 4, 2};
    assert_int_equal(nr_order, 5);
    assert_memory_equal(order, expected, sizeof(expected));
    assert_int_equal(timer_next(0), 50);
    assert_false(timer_is_set(&timers[1]));
    assert_true(timer_is_set(&timers[0]));
}

static void requests(void **state) {
    (void)state;
    timer_set(&timers[0], 2, 100);
    assert_int_equal(host_take_requests(2), CPU_REQ_TIMER);
    timer_set(&timers[1], 2, 200);
    assert_int_equal(host_take_requests(2), 0);
    timer_set(&timers[1], 2, 50);
    assert_int_equal(host_take_requests(2), CPU_REQ_TIMER);
    timer_set(&timers[1], 0, 50);
    assert_int_equal(host_take_requests(0), CPU_REQ_TIMER);
    assert_int_equal(timer_next(2), 100);
    assert_int_equal(timer_next(0), 50);
    timer_cancel(&timers[1]);
    timer_cancel(&timers[1]);
    assert_int_equal(timer_next(0), TIME_NEVER);
}

static void rearm(void *arg) {
    struct timer *t = arg;
    on_timer(t);
    timer_set(t, 1, t->expires + 10);
}

static void rearms_itself(void **state) {
    (void)state;
    timer_init(&timers[0], rearm, &timers[0]);
    timer_set(&timers[0], 0, 10);
    timer_run_expired(0, 15);
    assert_int_equal(fired[0], 1);
    assert_int_equal(timer_next(0), TIME_NEVER);
    assert_int_equal(timer_next(1), 20);
    timer_cancel_sync(&timers[0]);
    assert_int_equal(timer_next(1), TIME_NEVER);
}

/* The model: a deadline and a CPU for each timer, TIME_NEVER if it is not set. */
static void random_ops(void **state) {
    (void)state;
    u64 seed = 1, now = 0, due[NR_TIMERS], count[NR_TIMERS] = {0};
    u32 cpu[NR_TIMERS] = {0};
    for (u32 i = 0; i < NR_TIMERS; i++)
        due[i] = TIME_NEVER;
    for (u32 step = 0; step < 60000; step++) {
        u32 i = host_random(&seed) % NR_TIMERS, c = host_random(&seed) % NR_TEST_CPUS;
        u64 what = host_random(&seed) % 10;
        if (what < 6) {
            due[i] = now + host_random(&seed) % 1000;
            cpu[i] = c;
            timer_set(&timers[i], c, due[i]);
        } else if (what < 8) {
            due[i] = TIME_NEVER;
            timer_cancel(&timers[i]);
        } else {
            now += host_random(&seed) % 30;
            nr_order = 0;
            timer_run_expired(c, now);
            for (u32 k = 0; k < NR_TIMERS; k++)
                if (cpu[k] == c && due[k] <= now) {
                    due[k] = TIME_NEVER;
                    count[k]++;
                }
        }
        u64 next = TIME_NEVER;
        for (u32 k = 0; k < NR_TIMERS; k++)
            if (cpu[k] == c)
                next = MIN(next, due[k]);
        assert_int_equal(timer_next(c), next);
        assert_int_equal(timer_is_set(&timers[i]), due[i] != TIME_NEVER);
    }
    for (u32 k = 0; k < NR_TIMERS; k++)
        assert_int_equal(fired[k], count[k]);
}

static void *hammer(void *arg) {
    u64 seed = 77 + (u64)arg;
    host_cpu = (u32)(u64)arg;
    for (u32 step = 0; step < 20000; step++) {
        struct timer *t = &timers[host_random(&seed) % 8];
        switch (host_random(&seed) % 4) {
        case 0:
            timer_cancel(t);
            break;
        case 1:
            timer_run_expired(host_cpu, step);
            break;
        default:
            timer_set(t, host_random(&seed) % NR_TEST_CPUS, step + host_random(&seed) % 50);
        }
    }
    return NULL;
}

static void threads(void **state) {
    (void)state;
    pthread_t th[NR_TEST_CPUS];
    for (u64 i = 0; i < NR_TEST_CPUS; i++)
        pthread_create(&th[i], NULL, hammer, (void *)i);
    for (u32 i = 0; i < NR_TEST_CPUS; i++)
        pthread_join(th[i], NULL);
    for (u32 i = 0; i < 8; i++)
        timer_cancel_sync(&timers[i]);
    for (u32 i = 0; i < NR_TEST_CPUS; i++)
        assert_int_equal(timer_next(i), TIME_NEVER);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(requests, setup, teardown),
        cmocka_unit_test_setup_teardown(rearms_itself, setup, teardown),
        cmocka_unit_test_setup_teardown(random_ops, setup, teardown),
        cmocka_unit_test_setup_teardown(threads, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
