// SPDX-License-Identifier: MIT
// sources: sched/sched.c sched/queue.c sched/balance.c
/*
 * The scheduler, driven by a small simulator: CPUs that pick when they are asked to or when their slice ends, and
 * entities that run and sleep by plan. What is measured is who got how much, and how late.
 */
#include "sched_sim.h"
#include <pthread.h>

static void assert_share(const struct sim_entity *s, u64 got, double expected, double tolerance) {
    double share = (double)s->got / (double)got;
    if (share < expected - tolerance || share > expected + tolerance) {
        print_message("entity %ld (weight %u): %.4f, expected %.4f\n", (long)(s - ent), s->se.weight, share, expected);
        fail();
    }
}

/* Each gets its weight's share of all the CPUs' time, within 2 % of it. */
static void check_weights(u32 n, u64 ns) {
    u64 total = 0;
    for (u32 i = 0; i < nr_ents; i++)
        total += ent[i].se.weight;
    simulate(ns);
    for (u32 i = 0; i < nr_ents; i++) {
        double expected = (double)ent[i].se.weight * n / (double)total;
        assert_share(&ent[i], ns, expected, expected * 0.02);
        assert_in_range(sched_cpu_time(&ent[i].se, now), ent[i].got - TICK, ent[i].got + TICK);
    }
}

/* --- tests --- */

static void fair_1cpu(void **state) {
    (void)state;
    cpus_are(1);
    const u32 weights[] = {256, 512, 256, 1024, 100};
    for (u32 i = 0; i < ARRAY_SIZE(weights); i++)
        hog(weights[i]);
    check_weights(1, TIME_SEC(5));
    assert_true(switches < 5 * 450); /* slices are not cut up */
}

static void fair_extreme_weights(void **state) {
    (void)state;
    cpus_are(1);
    hog(65535);
    hog(65535);
    struct sim_entity *tiny = hog(1);
    simulate(TIME_SEC(2));
    assert_share(&ent[0], TIME_SEC(2), 0.5, 0.01);
    assert_share(&ent[1], TIME_SEC(2), 0.5, 0.01);
    assert_true(tiny->got <= TIME_MS(10));
}

static void fair_2cpus(void **state) {
    (void)state;
    cpus_are(2);
    hog(256), hog(256), hog(256);
    check_weights(2, TIME_SEC(5));
}

static void fair_2cpus_weighted(void **state) {
    (void)state;
    cpus_are(2);
    hog(768), hog(512), hog(256), hog(256), hog(1000);
    check_weights(2, TIME_SEC(10));
}

static void fair_8cpus(void **state) {
    (void)state;
    cpus_are(8);
    for (u32 i = 0; i < 19; i++)
        hog(i % 3 ? 256 : 512);
    check_weights(8, TIME_SEC(5));
}

static void fair_8cpus_11(void **state) {
    (void)state;
    cpus_are(8);
    for (u32 i = 0; i < 11; i++)
        hog(256);
    check_weights(8, TIME_SEC(5));
}

/* One that deserves more than a whole CPU gets one; the others share the rest. */
static void infeasible_weight(void **state) {
    (void)state;
    cpus_are(2);
    struct sim_entity *heavy = hog(60000), *a = hog(256), *b = hog(256);
    simulate(TIME_SEC(3));
    assert_share(heavy, TIME_SEC(3), 1.0, 0.02);
    assert_share(a, TIME_SEC(3), 0.5, 0.02);
    assert_share(b, TIME_SEC(3), 0.5, 0.02);
}

static void all_cpus_used(void **state) {
    (void)state;
    cpus_are(4);
    for (u32 i = 0; i < 4; i++)
        hog(1 + i * 300);
    simulate(TIME_SEC(1));
    for (u32 i = 0; i < 4; i++)
        assert_share(&ent[i], TIME_SEC(1), 1.0, 0.001);
    assert_true(picks < 20); /* alone on its CPU: tickless */
}

static void tickless(void **state) {
    (void)state;
    cpus_are(1);
    struct sim_entity *a = hog(256);
    simulate(TIME_MS(1));
    assert_int_equal(slice[0], SCHED_NO_SLICE);
    simulate(TIME_SEC(3));
    struct sim_entity *b = hog(256);
    simulate(TIME_MS(1));
    assert_true(slice[0] != SCHED_NO_SLICE);
    u64 before = a->got;
    simulate(TIME_SEC(1)); /* what ran alone owes nothing for it */
    assert_in_range(a->got - before, TIME_MS(490), TIME_MS(510));
    sched_sleep(&b->se, now);
    simulate(TIME_MS(10)); /* one more slice may have begun */
    assert_int_equal(slice[0], SCHED_NO_SLICE);
    sched_sleep(&a->se, now);
    simulate(TIME_MS(1));
    assert_null(on[0]);
    assert_int_equal(slice[0], SCHED_NO_SLICE);
}

static void caps(void **state) {
    (void)state;
    cpus_are(2);
    struct sim_entity *c10 = add(256, 10, 1, 0, 0), *c50 = add(256, 50, 2, 0, 0), *free_ = add(256, 0, 1, 0, 0);
    simulate(TIME_SEC(2));
    assert_share(c10, TIME_SEC(2), 0.10, 0.01);
    assert_share(c50, TIME_SEC(2), 0.50, 0.01);
    assert_share(free_, TIME_SEC(2), 0.90, 0.01);
    u64 before = c10->got;
    sched_set_cap(&c10->se, 0, now);
    simulate(TIME_SEC(2));
    assert_in_range(c10->got - before, TIME_MS(980), TIME_MS(1020));
    before = c50->got;
    sched_set_cap(&c50->se, 25, now);
    simulate(TIME_SEC(2));
    assert_in_range(c50->got - before, TIME_MS(490), TIME_MS(520));
}

/* Over any 60 ms a cap of 20 % on an otherwise idle CPU lets it run for 12 ms, and one window more at most. */
static void cap_windows(void **state) {
    (void)state;
    cpus_are(1);
    struct sim_entity *c = add(256, 20, SCHED_AFFINITY_ANY, TIME_MS(3), TIME_MS(1));
    for (u32 i = 0; i < 50; i++) {
        u64 before = c->got;
        simulate(TIME_MS(60));
        assert_in_range(c->got - before, TIME_MS(8), TIME_MS(16) + 4 * TICK);
    }
}

static void affinity(void **state) {
    (void)state;
    cpus_are(4);
    struct sim_entity *a = add(256, 0, 4, 0, 0), *b = add(256, 0, 4, 0, 0), *c = add(256, 0, 4, 0, 0);
    simulate(TIME_SEC(1));
    assert_share(a, TIME_SEC(1), 1.0 / 3, 0.01);
    assert_true(on[2] && !on[0] && !on[1] && !on[3]);
    struct sim_entity *runs = on[2];
    sched_set_affinity(&runs->se, 1, now); /* a running one */
    simulate(TIME_MS(1));
    assert_ptr_equal(on[0], runs);
    struct sim_entity *waits = on[2] == a ? (runs == b ? c : b) : (runs == a ? (on[2] == b ? c : b) : a);
    sched_set_affinity(&waits->se, 8, now); /* a waiting one */
    simulate(TIME_MS(1));
    assert_ptr_equal(on[3], waits);
    sched_set_affinity(&waits->se, BIT(40), now); /* no such CPU: any */
    simulate(TIME_MS(1));
    assert_int_equal(waits->se.state, SCHED_RUNNING);
    sched_sleep(&a->se, now);
    sched_set_affinity(&a->se, 2, now); /* a sleeping one */
    sched_wake(&a->se, now);
    simulate(TIME_MS(1));
    assert_ptr_equal(on[1], a);
}

/* An I/O entity that runs 200 us every 5 ms or so among hogs gets on soon after each wake-up, and gets all it wants. */
static void latency(void **state) {
    (void)state;
    cpus_are(1);
    for (u32 i = 0; i < 10; i++)
        hog(256);
    struct sim_entity *io = add(256, 0, SCHED_AFFINITY_ANY, TIME_US(200), TIME_US(4900));
    simulate(TIME_SEC(3));
    assert_true(io->worst_latency <= TIME_US(500));
    assert_true(io->got >= TIME_MS(110));
}

static void latency_2cpus_many(void **state) {
    (void)state;
    cpus_are(2);
    for (u32 i = 0; i < 20; i++)
        hog(256);
    for (u32 i = 0; i < 4; i++)
        add(256, 0, SCHED_AFFINITY_ANY, TIME_US(150), TIME_US(7000 + 130 * i));
    simulate(TIME_SEC(3));
    for (u32 i = 20; i < 24; i++)
        assert_true(ent[i].worst_latency <= TIME_MS(1));
}

/* Sleeping for a moment again and again must not bring more than the share. */
static void no_gaming(void **state) {
    (void)state;
    cpus_are(1);
    struct sim_entity *a = hog(256), *b = hog(256);
    struct sim_entity *gamer = add(256, 0, SCHED_AFFINITY_ANY, TIME_US(450), TIME_US(50));
    simulate(TIME_SEC(3));
    assert_true(gamer->got <= TIME_MS(1030));
    assert_in_range(a->got, TIME_MS(970), TIME_MS(1050));
    assert_in_range(b->got, TIME_MS(970), TIME_MS(1050));
}

static void no_starvation(void **state) {
    (void)state;
    cpus_are(2);
    u64 seed = 5, last[MAX_ENTITIES] = {0};
    for (u32 i = 0; i < 60; i++)
        if (i % 2)
            hog(128 + host_random(&seed) % 512);
        else
            add(128 + host_random(&seed) % 512, 0, SCHED_AFFINITY_ANY, TIME_US(300), TIME_MS(1 + i));
    for (u32 i = 0; i < 10; i++) {
        simulate(TIME_SEC(1)); /* 60 entities, 5 ms each, weights up to 1:5 */
        for (u32 k = 0; k < 60; k++) {
            assert_true(ent[k].got > last[k]);
            last[k] = ent[k].got;
        }
    }
}

static void yielding(void **state) {
    (void)state;
    cpus_are(1);
    struct sim_entity *a = hog(256), *b = hog(256);
    simulate(TIME_MS(1));
    for (u32 i = 0; i < 20; i++) {
        struct sim_entity *was = on[0];
        sched_yield_entity(&was->se, now);
        step();
        assert_ptr_not_equal(on[0], was);
    }
    for (u32 i = 0; i < 2000; i++) { /* one that always yields lets the other have nearly all */
        if (on[0] == a)
            sched_yield_entity(&a->se, now);
        step();
    }
    u64 before = b->got;
    simulate(TIME_MS(100)); /* and is not owed 100 ms for it */
    assert_in_range(b->got - before, TIME_MS(38), TIME_MS(60));
    sched_sleep(&b->se, now);
    sched_yield_entity(&b->se, now);
    sched_yield_entity(&a->se, now); /* alone: goes on */
    step();
    step();
    assert_ptr_equal(on[0], a);
}

/* Two that have just woken yield to each other: the third, which was there before, is not kept waiting. */
static void yielding_after_waking(void **state) {
    (void)state;
    cpus_are(1);
    struct sim_entity *third = hog(256), *pair[] = {hog(256), hog(256)};
    simulate(TIME_MS(20));
    for (u32 i = 0; i < 2; i++)
        sched_sleep(&pair[i]->se, now);
    simulate(TIME_MS(20));
    for (u32 i = 0; i < 2; i++)
        sched_wake(&pair[i]->se, now);
    u64 before = third->got;
    for (u32 i = 0; i < 2000; i++) {
        if (on[0] && on[0] != third)
            sched_yield_entity(&on[0]->se, now);
        step();
    }
    assert_in_range(third->got - before, 600 * TICK, 2000 * TICK); /* its third of the time, at least */
}

static void weight_changes(void **state) {
    (void)state;
    cpus_are(1);
    struct sim_entity *a = hog(256), *b = hog(256);
    simulate(TIME_MS(500));
    sched_set_weight(&a->se, 768, now);
    sched_set_weight(&b->se, 0, now);
    assert_int_equal(b->se.weight, 1);
    sched_set_weight(&b->se, 256, now);
    u64 before = a->got;
    simulate(TIME_SEC(2));
    assert_in_range(a->got - before, TIME_MS(1470), TIME_MS(1530));
    sched_set_weight(&b->se, 1 << 20, now);
    assert_int_equal(b->se.weight, SCHED_WEIGHT_MAX);
}

/* Woken between pick and switched_out: it stays with the CPU that holds its context. */
static void on_cpu_is_respected(void **state) {
    (void)state;
    cpus_are(2);
    struct sim_entity *a = add(256, 0, 3, 0, 0), *b = NULL;
    u64 end;
    assert_ptr_equal(sched_pick(0, now, &end), &a->se);
    sched_sleep(&a->se, now);
    assert_null(sched_pick(0, now, &end));
    sched_wake(&a->se, now);
    assert_null(sched_pick(1, now, &end)); /* not to be stolen */
    assert_ptr_equal(sched_pick(0, now, &end), &a->se);
    sched_sleep(&a->se, now);
    b = add(256, 0, 1, 0, 0);
    assert_ptr_equal(sched_pick(0, now, &end), &b->se);
    sched_wake(&a->se, now);
    assert_null(sched_pick(1, now, &end));
    host_take_requests(1);
    sched_switched_out(&a->se, now);
    assert_int_equal(host_take_requests(1), CPU_REQ_RESCHED);
    assert_ptr_equal(sched_pick(1, now, &end), &a->se);
    assert_false(sched_entity_remove(&a->se, now));
    assert_null(sched_pick(1, now, &end));
    sched_switched_out(&a->se, now);
    assert_true(sched_entity_remove(&a->se, now));
    sched_wake(&a->se, now);
    assert_int_equal(a->se.state, SCHED_GONE);
}

/* Its CPU is taken away and given back before it is switched out. */
static void homeless_returns(void **state) {
    (void)state;
    cpus_are(2);
    u64 end;
    struct sim_entity *a = add(256, 0, 3, 0, 0);
    assert_ptr_equal(sched_pick(0, now, &end), &a->se);
    sched_set_affinity(&a->se, 2, now);
    assert_null(sched_pick(0, now, &end));
    assert_int_equal(a->se.state, SCHED_HOMELESS);
    sched_set_affinity(&a->se, 3, now);
    sched_switched_out(&a->se, now);
    assert_int_equal(a->se.state, SCHED_QUEUED);
    assert_true(sched_entity_remove(&a->se, now));
}

/* Anything at any time; then it must still be a fair scheduler in which everything runnable runs. */
static void random_ops(void **state) {
    (void)state;
    u64 seed = 99;
    cpus_are(4);
    for (u32 i = 0; i < 40; i++)
        add(1 + host_random(&seed) % 65535, host_random(&seed) % 120, host_random(&seed) & 15, TIME_US(500),
            TIME_US(900));
    for (u32 i = 0; i < 100000; i++) {
        struct sched_entity *e = &ent[host_random(&seed) % nr_ents].se;
        switch (host_random(&seed) % 9) {
        case 8:
            sched_set_soft_affinity(e, host_random(&seed) & 31);
            break;
        case 0:
            sched_wake(e, now);
            break;
        case 1:
            sched_sleep(e, now);
            break;
        case 2:
            sched_set_weight(e, host_random(&seed) % 70000, now);
            break;
        case 3:
            sched_set_cap(e, host_random(&seed) % 120, now);
            break;
        case 4:
            sched_set_affinity(e, host_random(&seed) & 31, now);
            break;
        case 5:
            sched_yield_entity(e, now);
            break;
        case 6:
            (void)sched_cpu_time(e, now - host_random(&seed) % 1000);
            break;
        case 7:
            now += host_random(&seed) % TIME_MS(1);
            break;
        }
        step();
    }
    for (u32 i = 0; i < nr_ents; i++) {
        sched_sleep(&ent[i].se, now);
        ent[i].wake_at = 0;
    }
    simulate(TIME_MS(50));
    for (u32 i = 0; i < nr_ents; i++) {
        assert_true(sched_entity_remove(&ent[i].se, now));
        assert_false(ent[i].se.on_cpu);
    }
    nr_ents = 0;
    memset(ent, 0, sizeof(ent));
    for (u32 i = 0; i < 6; i++)
        hog(256);
    check_weights(4, TIME_SEC(5));
}

/* CPUs as threads: no deadlock, and no entity is ever on two of them. */
static u32 holder[MAX_ENTITIES];

static void *cpu_thread(void *arg) {
    u64 seed = (u64)arg + 7, end;
    struct sched_entity *prev = NULL;
    host_cpu = (u32)(u64)arg;
    for (u32 i = 0; i < 20000; i++) {
        u64 t = __atomic_add_fetch(&now, TIME_US(20), __ATOMIC_SEQ_CST);
        struct sched_entity *e = &ent[host_random(&seed) % 12].se, *next;
        switch (host_random(&seed) % 6) {
        case 0:
        case 1:
            sched_wake(e, t);
            break;
        case 2:
            sched_sleep(e, t);
            break;
        case 3:
            sched_set_affinity(e, host_random(&seed) & 15, t);
            break;
        case 4:
            sched_set_weight(e, host_random(&seed) % 1000, t);
            break;
        case 5:
            sched_set_cap(e, host_random(&seed) % 150, t);
            break;
        }
        next = sched_pick(host_cpu, t, &end);
        if (next == prev)
            continue;
        if (next)
            BUG_ON(__atomic_fetch_add(&holder[container_of(next, struct sim_entity, se) - ent], 1, __ATOMIC_SEQ_CST));
        if (prev) {
            __atomic_fetch_sub(&holder[container_of(prev, struct sim_entity, se) - ent], 1, __ATOMIC_SEQ_CST);
            sched_switched_out(prev, t);
        }
        prev = next;
    }
    if (prev) {
        end = __atomic_load_n(&now, __ATOMIC_SEQ_CST);
        sched_sleep(prev, end);
        __atomic_fetch_sub(&holder[container_of(prev, struct sim_entity, se) - ent], 1, __ATOMIC_SEQ_CST);
        sched_switched_out(prev, end);
    }
    return NULL;
}

static void threads(void **state) {
    (void)state;
    pthread_t th[4];
    cpus_are(4);
    for (u32 i = 0; i < 12; i++)
        add(256, 0, SCHED_AFFINITY_ANY, 0, 0);
    for (u64 i = 0; i < 4; i++)
        pthread_create(&th[i], NULL, cpu_thread, (void *)i);
    for (u32 i = 0; i < 4; i++)
        pthread_join(th[i], NULL);
    for (u32 i = 0; i < 12; i++)
        assert_true(sched_entity_remove(&ent[i].se, now));
    for (u32 i = 0; i < 4; i++) {
        assert_int_equal(sched_queue(i)->nr_waiting, 0);
        assert_int_equal(sched_queue(i)->load, 0);
    }
}

#define T(f) cmocka_unit_test_setup(f, setup)
int main(void) {
    const struct CMUnitTest tests[] = {
        T(fair_1cpu),         T(fair_extreme_weights),
        T(fair_2cpus),        T(fair_2cpus_weighted),
        T(fair_8cpus),        T(fair_8cpus_11),
        T(infeasible_weight), T(all_cpus_used),
        T(tickless),          T(caps),
        T(cap_windows),       T(affinity),
        T(latency),           T(latency_2cpus_many),
        T(no_gaming),         T(no_starvation),
        T(yielding),          T(yielding_after_waking),
        T(weight_changes),    T(on_cpu_is_respected),
        T(homeless_returns),  T(random_ops),
        T(threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
