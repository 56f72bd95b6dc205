// SPDX-License-Identifier: MIT
/*
 * Event channels, timers, blocking and yielding; vCPUs taken down and up. The ports that the kernel needs are left
 * alone: so each vCPU that does not come back from its sleep has lost a wake-up, and not through its own doing.
 */
#include "fuzz.h"

static unsigned ports[32];

static unsigned any_port(struct fuzzer *f) {
    unsigned port = one_in(f, 6) ? below(f, one_in(f, 4) ? 5000 : 64) : READ_ONCE(ports[below(f, ARRAY_SIZE(ports))]);

    return is_core_port(port) ? 0 : port;
}

void make_event(struct fuzzer *f, multicall_entry_t *e) {
    static const uint64_t cmds[] = {EVTCHNOP_send, EVTCHNOP_send, EVTCHNOP_unmask, EVTCHNOP_status, EVTCHNOP_bind_vcpu};
    uint32_t *words = room(f, 64);
    uint64_t cmd = one_of(f, cmds, ARRAY_SIZE(cmds));

    words[0] = any_port(f);
    words[1] = one_in(f, 8) ? (uint32_t)random_bits(f) : below(f, nr_fuzzers + 1);
    if (cmd == EVTCHNOP_status)
        ((struct evtchn_status *)words)->dom = any_domid(f), ((struct evtchn_status *)words)->port = any_port(f);
    call_set(e, __HYPERVISOR_event_channel_op, 2, cmd, one_in(f, 16) ? any_va(f) : ARG(words));
}

static void event(struct fuzzer *f) {
    call_made(f, make_event);
}

static void bind(struct fuzzer *f) {
    unsigned vcpu = below(f, nr_fuzzers + 1);
    long port;

    switch (below(f, 5)) {
    case 0:
        port = event_bind_ipi(vcpu);
        break;
    case 1:
        port = event_bind_virq(below(f, 26), vcpu);
        break;
    case 2:
        port = event_alloc_unbound(any_domid(f), any_domid(f));
        break;
    case 3:
        port = event_bind_interdomain(any_domid(f), any_port(f));
        break;
    default:
        port = hv_event_channel_op(EVTCHNOP_bind_pirq, &(struct evtchn_bind_pirq){.pirq = below(f, 32)});
    }
    if (count(f, port) > 0 && !is_core_port((unsigned)port)) {
        port = __atomic_exchange_n(&ports[below(f, ARRAY_SIZE(ports))], (unsigned)port, __ATOMIC_SEQ_CST);
        if (port && !one_in(f, 8))
            count(f, event_close((unsigned)port));
    }
}

static void close(struct fuzzer *f) {
    unsigned port = any_port(f);

    if (port)
        count(f, event_close(port));
}

/* Anything but what the kernel needs; reset and closing are not among it. */
static void any_event_op(struct fuzzer *f) {
    static const uint64_t cmds[] = {EVTCHNOP_init_control, EVTCHNOP_expand_array, EVTCHNOP_set_priority, 14, 77};
    uint64_t *words = room(f, 64);

    for (unsigned i = 0; i < 8; i++)
        words[i] = any_word(f);
    count(f, hv_event_channel_op((unsigned)one_of(f, cmds, ARRAY_SIZE(cmds)), words));
}

/* Only ever more is set in the shared words, and no selector of another vCPU, which may be asleep: the hypervisor takes
 * a selector bit that is set for a vCPU that was told, so a wake-up could be lost by our own hand. */
static void poke(struct fuzzer *f) {
    struct vcpu_info *info = cpu_this()->info;
    unsigned port = any_port(f) % 4096;

    if (is_core_port(port))
        return;
    __atomic_fetch_or(&shared_info->evtchn_pending[port / 64], 1UL << port % 64, __ATOMIC_SEQ_CST);
    __atomic_fetch_xor(&shared_info->evtchn_mask[port / 64], 1UL << port % 64, __ATOMIC_SEQ_CST);
    __atomic_fetch_or(&info->evtchn_pending_sel, 1UL << below(f, 64), __ATOMIC_SEQ_CST);
    __atomic_store_n(&info->evtchn_upcall_pending, 1, __ATOMIC_SEQ_CST);
}

static void timers(struct fuzzer *f) {
    struct vcpu_set_singleshot_timer *s = room(f, sizeof(*s));
    struct vcpu_set_periodic_timer *p = room(f, sizeof(*p));

    s->timeout_abs_ns = any_time(f);
    s->flags = below(f, 4);
    p->period_ns = one_in(f, 3) ? random_bits(f) >> below(f, 64) : 1000000 + below(f, 5000000);
    count(f, hv_set_timer_op(any_time(f)));
    count(f, hv_vcpu_op(VCPUOP_set_singleshot_timer, one_in(f, 4) ? below(f, 40) : f->id, s));
    if (one_in(f, 8))
        count(f, hv_vcpu_op(VCPUOP_set_periodic_timer, below(f, nr_fuzzers + 1), p));
    if (one_in(f, 2))
        count(f, hv_vcpu_op(VCPUOP_stop_periodic_timer, below(f, nr_fuzzers + 1), NULL));
    if (one_in(f, 8))
        count(f, hv_vcpu_op(VCPUOP_stop_singleshot_timer, f->id, NULL));
}

static void sleep(struct fuzzer *f) {
    nap(f, below(f, one_in(f, 4) ? 2000000 : 100000));
}

static void poll(struct fuzzer *f) {
    unsigned n = below(f, one_in(f, 8) ? 140 : 8);
    struct sched_poll *p = room(f, sizeof(*p));
    evtchn_port_t *list = room(f, 140 * sizeof(*list));

    for (unsigned i = 0; i < n; i++)
        list[i] = one_in(f, 4) ? cpu_this()->timer_port : any_port(f);
    p->nr_ports = n;
    p->timeout = clock_now() + below(f, 1000000);
    set_xen_guest_handle(p->ports, one_in(f, 16) ? (void *)any_va(f) : list);
    count(f, hv_sched_op(SCHEDOP_poll, p));
}

static void schedule(struct fuzzer *f) {
    static const uint64_t refused[] = {SCHEDOP_remote_shutdown, SCHEDOP_pin_override, 17, 99};
    uint32_t *words = room(f, 64);

    hv_sched_op(SCHEDOP_yield, NULL);
    words[0] = below(f, 20);
    words[1] = below(f, 8);
    count(f, hv_sched_op((unsigned)one_of(f, refused, ARRAY_SIZE(refused)), words));
}

/* One more watchdog comes and goes: it must not fire. */
static void watchdog(struct fuzzer *f) {
    struct sched_watchdog w = {.timeout = 1000 + below(f, 1000)};
    long id = count(f, hv_sched_op(SCHEDOP_watchdog, &w));

    w = (struct sched_watchdog){.id = (uint32_t)id};
    if (id > 0 && id < 99)
        count(f, hv_sched_op(SCHEDOP_watchdog, &w));
    w = (struct sched_watchdog){.id = 3 + below(f, 1000), .timeout = below(f, 3)};
    count(f, hv_sched_op(SCHEDOP_watchdog, &w));
}

/* Only the first one does so to the others, or all could be down at once. It may not get to the end: a segment that is
 * gone is found when the vCPU comes to a CPU, which here means after the nap. repair() brings the other up then. */
static void down_and_up(struct fuzzer *f) {
    unsigned other = 1 + below(f, nr_fuzzers);

    if (f->id || other >= nr_fuzzers)
        return;
    f->lowered = other;
    count(f, hv_vcpu_op(VCPUOP_down, other, NULL));
    nap(f, below(f, 100000));
    count(f, hv_vcpu_op(VCPUOP_up, other, NULL));
    f->lowered = 0;
}

const struct action event_actions[] = {
    {"event_channel_op", 20, event},
    {"bind", 10, bind},
    {"close", 5, close},
    {"any event op", 3, any_event_op},
    {"poke", 6, poke},
    {"timers", 6, timers},
    {"sleep", 4, sleep},
    {"poll", 4, poll},
    {"schedule", 6, schedule},
    {"watchdog", 2, watchdog},
    {"down and up", 2, down_and_up},
    {NULL, 0, NULL},
};
