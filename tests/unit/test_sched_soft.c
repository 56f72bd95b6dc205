// SPDX-License-Identifier: MIT
// sources: sched/sched.c sched/queue.c sched/balance.c
/* What tools may wish of the scheduler, and what it tells them: better CPUs, first moments, times. */
#include "sched_sim.h"

static u64 got_on(struct sim_entity *s, u32 cpu, u64 ns) {
    u64 on_it = 0;
    for (u64 end = now + ns; now < end;) {
        step();
        on_it += on[cpu] == s ? TICK : 0;
    }
    return on_it;
}

/* Where it had better run it runs if it can: when it wakes up, and when that CPU has nothing better to do. Elsewhere it
 * runs rather than wait. */
static void soft_affinity(void **state) {
    (void)state;
    cpus_are(2);
    struct sim_entity *a = add(256, 0, SCHED_AFFINITY_ANY, TIME_MS(1), TIME_MS(1));
    simulate(TIME_MS(10));
    assert_true(got_on(a, 0, TIME_MS(100)) > TIME_MS(40));
    sched_set_soft_affinity(&a->se, 2);
    simulate(TIME_MS(10));
    assert_int_equal(got_on(a, 0, TIME_MS(100)), 0);
    struct sim_entity *b = add(256, 0, 2, 0, 0); /* takes that CPU: a goes to the idle one */
    simulate(TIME_MS(10));
    assert_true(got_on(a, 0, TIME_MS(100)) > TIME_MS(40));
    sched_sleep(&b->se, now);
    simulate(TIME_MS(10));
    assert_int_equal(got_on(a, 0, TIME_MS(100)), 0);
    sched_set_soft_affinity(&a->se,
                            BIT(40)); /* no such CPU: it stays where it is, rather than go to another idle one */
    simulate(TIME_MS(10));
    assert_true(got_on(a, 1, TIME_MS(100)) > TIME_MS(40));
}

/* Of those that wait, the one at home there is taken to a CPU that is idle; and none is pushed away from home. */
static void soft_affinity_balances(void **state) {
    (void)state;
    cpus_are(2);
    struct sim_entity *a = hog(256), *b = hog(256), *c = hog(256);
    sched_set_soft_affinity(&a->se, 1);
    sched_set_soft_affinity(&b->se, 1);
    sched_set_soft_affinity(&c->se, 2);
    simulate(TIME_MS(50));
    assert_int_equal(got_on(c, 0, TIME_SEC(1)), 0);
    assert_int_equal(got_on(a, 1, TIME_SEC(1)) + got_on(b, 1, TIME_SEC(1)), 0);
}

static void idle_time(void **state) {
    (void)state;
    cpus_are(2);
    struct sim_entity *a = add(256, 0, 1, TIME_MS(1), TIME_MS(3));
    u64 at = now, before = sched_idle_time(0, now), other = sched_idle_time(1, now);
    simulate(TIME_SEC(1));
    assert_in_range(sched_idle_time(0, now) - before, TIME_MS(740), TIME_MS(760));
    assert_int_equal(sched_idle_time(1, now) - other, now - at);
    other = sched_idle_time(1, now);
    assert_int_equal(sched_idle_time(1, now + 5) - other, 5);
    assert_int_equal(sched_peek_cpu_time(&a->se, now), sched_cpu_time(&a->se, now));
}

/* The stretch that is not charged yet is seen without anybody's charging it. */
static void peeking(void **state) {
    (void)state;
    u64 end;
    cpus_are(1);
    struct sim_entity *a = hog(256), *b = hog(256);
    struct sched_entity *e = sched_pick(0, now, &end), *other = e == &a->se ? &b->se : &a->se;
    assert_int_equal(sched_peek_cpu_time(e, now + 12345), 12345);
    assert_int_equal(sched_peek_cpu_time(e, now - 1), 0);
    assert_int_equal(sched_peek_cpu_time(other, now + 12345), 0);
    assert_int_equal(e->run_ns, 0);
}

/* A longer first moment means fewer switches among those that wake up often. */
static void first_moments(void **state) {
    u64 few;
    (void)state;
    cpus_are(1);
    hog(256);
    for (u32 i = 0; i < 4; i++)
        add(256, 0, SCHED_AFFINITY_ANY, TIME_US(100), TIME_US(900));
    sched_set_granularity(TIME_MS(5));
    simulate(TIME_SEC(1));
    few = switches;
    switches = 0;
    sched_set_granularity(SCHED_GRANULARITY);
    simulate(TIME_SEC(1));
    assert_true(switches > few * 3 / 2);
    assert_int_equal(sched_granularity(), SCHED_GRANULARITY);
}

#define T(f) cmocka_unit_test_setup(f, setup)
int main(void) {
    const struct CMUnitTest tests[] = {
        T(soft_affinity), T(soft_affinity_balances), T(idle_time), T(peeking), T(first_moments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
