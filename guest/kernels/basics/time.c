// SPDX-License-Identifier: MIT
/*
 * System time, timers and the scheduler's calls.
 */
#include "basics.h"

/* A reading of the clock, and those of the TSC around it, however long they took. */
struct reading {
    uint64_t before, clock, after;
};

static struct reading read_clocks(void) {
    struct reading r;

    r.before = rdtsc();
    r.clock = clock_now();
    r.after = rdtsc();
    return r;
}

static void check_rate(void) {
    struct reading first = read_clocks(), last;
    uint64_t least, most;

    do
        last = read_clocks();
    while (last.clock < first.clock + 20 * MILLISECOND);
    least = (last.before - first.after) * MILLISECOND / clock_tsc_khz();
    most = (last.after - first.before) * MILLISECOND / clock_tsc_khz();
    test_check("clock.agrees_with_tsc",
               last.clock - first.clock > least * 9 / 10 && last.clock - first.clock < most * 11 / 10,
               "%lu ns by the clock, %lu to %lu by the TSC", last.clock - first.clock, least, most);
}

static void check_clock(void) {
    uint64_t last = clock_now(), start = last, now;
    bool monotonic = true;

    for (unsigned i = 0; i < 100000; i++) {
        now = clock_now();
        monotonic &= now >= last;
        last = now;
    }
    test_check("clock.monotonic", monotonic, "went back");
    test_check("clock.moves", last > start, "stands at %lu", last);
    check_rate();
    test_check("clock.wall", clock_wall_seconds() > 1000000000, "%lu s", clock_wall_seconds());
}

/* Waits for the timer event of this vCPU: how late it came in ns, or -1 if it never did. */
static long timer_latency(uint64_t when) {
    struct cpu *cpu = cpu_this();

    if (!clock_wait_for(&cpu->timer_fired, (when > clock_now() ? when - clock_now() : 0) + SECOND))
        return -1;
    return (long)(clock_now() - when);
}

static void expect_timer(const char *name, long rc, uint64_t when) {
    long late = rc ? rc : timer_latency(when);

    /* Generous: the machine may be emulated, and busy. */
    test_check(name, !rc && late >= 0 && late < (long)SECOND, "rc %ld, %ld ns late", rc, late);
    cpu_this()->timer_fired = 0;
}

static void check_timers(void) {
    struct vcpu_set_singleshot_timer shot = {clock_now() + 10 * MILLISECOND, 0};
    struct vcpu_set_periodic_timer period = {10 * MILLISECOND};
    uint64_t when = clock_now() + 10 * MILLISECOND;
    long rc;

    cpu_this()->timer_fired = 0;
    expect_timer("timer.set_timer_op", hv_set_timer_op(when), when);
    when = clock_now() - 1;
    expect_timer("timer.set_timer_op_past", hv_set_timer_op(when), when);
    shot.timeout_abs_ns = clock_now() + 10 * MILLISECOND;
    expect_timer("timer.singleshot", hv_vcpu_op(VCPUOP_set_singleshot_timer, 0, &shot), shot.timeout_abs_ns);
    shot = (struct vcpu_set_singleshot_timer){1, VCPU_SSHOTTMR_future};
    rc = hv_vcpu_op(VCPUOP_set_singleshot_timer, 0, &shot);
    test_check("timer.singleshot_past", rc == -XEN_ETIME || (!rc && timer_latency(clock_now()) >= 0), "rc %ld", rc);
    cpu_this()->timer_fired = 0;
    shot = (struct vcpu_set_singleshot_timer){clock_now() + 30 * MILLISECOND, 0};
    hv_vcpu_op(VCPUOP_set_singleshot_timer, 0, &shot);
    test_equal("timer.stop", hv_vcpu_op(VCPUOP_stop_singleshot_timer, 0, NULL), 0);
    clock_wait_for(&cpu_this()->timer_fired, 60 * MILLISECOND);
    test_equal("timer.stopped", cpu_this()->timer_fired, 0);
    test_equal("timer.periodic", hv_vcpu_op(VCPUOP_set_periodic_timer, 0, &period), 0);
    when = clock_now() + 500 * MILLISECOND;
    while (cpu_this()->timer_fired < 5 && clock_now() < when)
        hv_sched_op(SCHEDOP_yield, NULL);
    test_check("timer.periodic_fires", cpu_this()->timer_fired >= 5, "%u times", cpu_this()->timer_fired);
    test_equal("timer.periodic_stop", hv_vcpu_op(VCPUOP_stop_periodic_timer, 0, NULL), 0);
    period.period_ns = 1;
    test_equal("timer.periodic_too_short", hv_vcpu_op(VCPUOP_set_periodic_timer, 0, &period), -XEN_EINVAL);
    cpu_this()->timer_fired = 0;
}

static void check_poll(void) {
    evtchn_port_t port = (evtchn_port_t)event_bind_ipi(0);
    struct sched_poll poll = {.nr_ports = 1};
    uint64_t start = clock_now();

    set_xen_guest_handle(poll.ports, &port);
    poll.timeout = start + 20 * MILLISECOND;
    test_equal("poll.timeout", hv_sched_op(SCHEDOP_poll, &poll), 0);
    test_check("poll.waited", clock_now() >= start + 20 * MILLISECOND, "only %lu ns", clock_now() - start);
    event_send(port);
    start = clock_now();
    poll.timeout = start + 5 * SECOND;
    test_equal("poll.pending", hv_sched_op(SCHEDOP_poll, &poll), 0);
    test_check("poll.at_once", clock_now() < start + SECOND, "%lu ns", clock_now() - start);
    poll.nr_ports = 129;
    test_equal("poll.too_many", hv_sched_op(SCHEDOP_poll, &poll), -XEN_EINVAL);
    event_clear(port);
    event_close(port);
}

/* A timer ends what an event that waits already did not. */
static void check_block_with_event(void) {
    unsigned port = (unsigned)event_bind_ipi(0);
    uint64_t start;

    event_unmask(port);
    events_disable();
    event_send(port);
    start = clock_now();
    hv_set_timer_op(start + 10 * SECOND);
    test_equal("sched.block_with_event", hv_sched_op(SCHEDOP_block, NULL), 0);
    test_check("sched.block_at_once", clock_now() - start < 5 * SECOND, "woke after %lu ns", clock_now() - start);
    hv_set_timer_op(0);
    event_mask(port); /* it may be the number of another one next */
    event_close(port);
}

static void check_scheduler(void) {
    uint64_t start = clock_now();

    test_equal("sched.yield", hv_sched_op(SCHEDOP_yield, NULL), 0);
    clock_sleep(20 * MILLISECOND);
    test_check("sched.block", clock_now() - start >= 20 * MILLISECOND, "woke after %lu ns", clock_now() - start);
    check_block_with_event();
    test_equal("sched.unknown", hv_sched_op(77, NULL), -XEN_ENOSYS);
}

void check_time(void) {
    check_clock();
    check_timers();
    check_poll();
    check_scheduler();
}
