/* SPDX-License-Identifier: MIT */
/*
 * The scheduler, driven by a small simulator: CPUs that pick when they are asked to or when their slice ends, and
 * entities that run and sleep by plan. To be included by one file.
 */
#ifndef TESTS_UNIT_SCHED_SIM_H
#define TESTS_UNIT_SCHED_SIM_H

#include "host.h"
#include "../../hypervisor/sched/internal.h"
#include <cmocka.h>

#define MAX_ENTITIES 200
#define TICK TIME_US(50) /* the simulator's step */

struct sim_entity {
    struct sched_entity se;
    u64 run, sleep;    /* runs so long, then sleeps so long; sleep 0: a hog */
    u64 left, wake_at; /* of the run; 0: awake */
    u64 woken_at, worst_latency, got;
    bool waiting_first; /* woken, and not run since */
};

static struct sim_entity ent[MAX_ENTITIES];
static u32 nr_ents;
static struct sim_entity *on[MAX_CPUS];
static u64 slice[MAX_CPUS], now, switches, picks;

static int setup(void **state) {
    (void)state;
    sched_init();
    memset(ent, 0, sizeof(ent));
    memset(on, 0, sizeof(on));
    nr_ents = 0;
    switches = picks = 0;
    now = TIME_MS(100);
    return 0;
}

static void cpus_are(u32 n) {
    host_set_cpus(n);
    for (u32 i = 0; i < n; i++)
        slice[i] = 0;
}

static struct sim_entity *add(u32 weight, u32 cap, u64 affinity, u64 run, u64 sleep) {
    struct sim_entity *s = &ent[nr_ents++];
    sched_entity_init(&s->se, weight, cap, affinity);
    s->run = s->left = run;
    s->sleep = sleep;
    sched_wake(&s->se, now);
    return s;
}
static struct sim_entity *hog(u32 weight) {
    return add(weight, 0, SCHED_AFFINITY_ANY, 0, 0);
}

static void cpu_picks(u32 cpu) {
    struct sched_entity *e = sched_pick(cpu, now, &slice[cpu]);
    struct sim_entity *next = e ? container_of(e, struct sim_entity, se) : NULL, *prev = on[cpu];
    picks++;
    assert_true(slice[cpu] > now);
    if (next == prev)
        return;
    for (u32 i = 0; i < nr_cpus; i++)
        assert_true(!next || on[i] != next); /* nobody runs twice */
    on[cpu] = next;
    switches++;
    if (prev)
        sched_switched_out(&prev->se, now);
    if (next)
        assert_true(next->se.on_cpu);
}

static void run_one(u32 cpu) {
    struct sim_entity *s = on[cpu];
    if (!s || s->se.state != SCHED_RUNNING)
        return;
    if (s->waiting_first) {
        s->worst_latency = MAX(s->worst_latency, now - s->woken_at);
        s->waiting_first = false;
    }
    s->got += TICK;
    if (!s->sleep)
        return;
    s->left -= MIN(s->left, TICK);
    if (s->left)
        return;
    s->wake_at = now + TICK + s->sleep;
    s->left = s->run;
    sched_sleep(&s->se, now + TICK);
}

static void step(void) {
    for (u32 i = 0; i < nr_ents; i++)
        if (ent[i].wake_at && ent[i].wake_at <= now) {
            ent[i].wake_at = 0;
            ent[i].woken_at = now;
            ent[i].waiting_first = true;
            sched_wake(&ent[i].se, now);
        }
    for (u32 round = 0; round < 4; round++)
        for (u32 cpu = 0; cpu < nr_cpus; cpu++)
            if ((host_take_requests(cpu) & CPU_REQ_RESCHED) || now >= slice[cpu])
                cpu_picks(cpu);
    for (u32 cpu = 0; cpu < nr_cpus; cpu++)
        run_one(cpu);
    now += TICK;
}

static void simulate(u64 ns) {
    for (u64 end = now + ns; now < end;)
        step();
}

#endif
