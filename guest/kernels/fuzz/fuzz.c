// SPDX-License-Identifier: MIT
/*
 * Background: tests try what somebody thought of. Chance, at full speed and from several vCPUs at once, tries the rest.
 * Scenario: `vcpus=N` (all but one) vCPUs do random things for `seconds=N` (10), from `seed=N` (1; `seed=clock` takes
 *   another one each time, and prints it): hypercalls of every kind with plausible and with wild arguments, multicalls
 * of them, trapped page-table writes, privileged instructions, ports, MSRs, wild iret frames, random bytes run as user
 * code. They share 128 frames, which become memory, tables and descriptors in turn. One more vCPU, if there is one, is
 * never started: contexts and areas are tried on it. What the kernel itself lives on (its memory, stacks, timers) it
 * spares, and what it must have it puts back. A watchdog of the hypervisor ends it if it falls silent for 120 seconds.
 *   `null_stacks`: null selectors also for stack segments, which no QEMU may see (SECURITY.md).
 *   A seed gives each vCPU the same sequence; how they interleave is left to chance.
 * Good: RESULT with no failures, and what was done in INFO lines. Bad: FAIL fuzz.progress, a vCPU that stands still,
 *   which this kernel's own actions never cause (its watchdog then has the host's log tell where); the domain ended by
 * the hypervisor; anything happening to others.
 */
#include "fuzz.h"

#include <xen/nmi.h>

const char kernel_name[] = "fuzz";

#define SILENCE (60 * SECOND)
#define WATCHDOG 120 /* seconds */

unsigned nr_fuzzers;

static struct fuzzer fuzzers[MAX_CPUS];
static volatile unsigned stop, stopped, ports_known;
static uint64_t core_ports;
static uint32_t watchdog_id;
static const struct action *const groups[] = {table_actions, memory_actions, state_actions,
                                              event_actions, grant_actions,  cpu_actions};

bool is_core_port(unsigned port) {
    return port < 64 && (core_ports >> port & 1);
}

long count(struct fuzzer *f, long rc) {
    f->calls++;
    f->accepted += rc >= 0;
    return rc;
}

void call_set(multicall_entry_t *e, unsigned nr, unsigned args, ...) {
    va_list list;

    va_start(list, args);
    e->op = nr;
    for (unsigned i = 0; i < args; i++)
        e->args[i] = va_arg(list, unsigned long);
    va_end(list);
}

long call_made(struct fuzzer *f, maker_t *make) {
    multicall_entry_t *e = room(f, sizeof(*e));

    make(f, e);
    return count(f, hypercall5((unsigned)e->op & 127, e->args[0], e->args[1], e->args[2], e->args[3], e->args[4]));
}

void nap(struct fuzzer *f, uint64_t ns) {
    events_disable();
    hv_set_timer_op(clock_now() + ns);
    count(f, hv_sched_op(SCHEDOP_block, NULL));
    events_enable();
}

/* Any number and any words, but the calls whose effect on this vCPU nothing would put back. */
void make_any(struct fuzzer *f, multicall_entry_t *e) {
    static const uint8_t spared[] = {__HYPERVISOR_set_trap_table,
                                     __HYPERVISOR_stack_switch,
                                     __HYPERVISOR_set_callbacks,
                                     __HYPERVISOR_sched_op_compat,
                                     __HYPERVISOR_set_segment_base,
                                     __HYPERVISOR_iret,
                                     __HYPERVISOR_vcpu_op,
                                     __HYPERVISOR_sched_op,
                                     __HYPERVISOR_callback_op,
                                     __HYPERVISOR_nmi_op,
                                     __HYPERVISOR_multicall,
                                     __HYPERVISOR_event_channel_op,
                                     __HYPERVISOR_event_channel_op_compat};
    unsigned nr = below(f, one_in(f, 8) ? 128 : 64);

    for (unsigned i = 0; i < ARRAY_SIZE(spared); i++)
        if (nr == spared[i])
            nr = __HYPERVISOR_xen_version;
    call_set(e, nr, 5, any_word(f), any_word(f), any_word(f), any_word(f), any_word(f));
}

static void any_call(struct fuzzer *f) {
    call_made(f, make_any);
}

static maker_t *const makers[] = {make_mmu_update, make_mmu_update, make_mmuext,  make_mmuext, make_va_mapping,
                                  make_va_mapping, make_grant,      make_grant,   make_event,  make_memory_query,
                                  make_descriptor, make_debugreg,   make_version, make_any,    make_segment_base};

/* Up to 16 different calls, at times repeated to a list that takes its time. */
static void multicall(struct fuzzer *f) {
    unsigned n = 1 + below(f, 16), total = one_in(f, 16) ? 100 + below(f, 50) : n;
    multicall_entry_t *list = room(f, total * sizeof(*list));

    for (unsigned i = 0; i < n; i++)
        makers[below(f, ARRAY_SIZE(makers))](f, &list[i]);
    for (unsigned i = n; i < total; i++)
        list[i] = list[i % n];
    count(f, hv_multicall(one_in(f, 32) ? (void *)any_va(f) : list, total));
    for (unsigned i = 0; i < total; i++)
        count(f, (long)list[i].result);
}

static const struct action own_actions[] = {{"multicall", 20, multicall}, {"any call", 20, any_call}, {NULL, 0, NULL}};

static unsigned total_weight;

static unsigned weight_of(const struct action *group) {
    unsigned sum = 0;

    for (; group->name; group++)
        sum += group->weight;
    return sum;
}

static const struct action *pick_from(const struct action *group, unsigned *at) {
    for (; group->name; group++) {
        if (*at < group->weight)
            return group;
        *at -= group->weight;
    }
    return NULL;
}

static const struct action *pick(struct fuzzer *f) {
    unsigned at = below(f, total_weight);
    const struct action *a = pick_from(own_actions, &at);

    for (unsigned i = 0; !a; i++)
        a = pick_from(groups[i], &at);
    return a;
}

static void run_action(void *arg) {
    struct fuzzer *f = arg;
    const struct action *a = pick(f);

    f->doing = a->name;
    events_enable();
    a->run(f);
}

/* A trap may have ended the handling of an event half way: what is pending is looked for anew. */
static void look_again(void) {
    struct vcpu_info *info = cpu_this()->info;

    __atomic_store_n(&info->evtchn_pending_sel, ~0UL, __ATOMIC_SEQ_CST);
    __atomic_store_n(&info->evtchn_upcall_pending, 1, __ATOMIC_SEQ_CST);
}

/* What the kernel must have: handlers, and none for NMIs, which an action may have left pending; a stack for entries
 * from user mode, no stray breakpoints, the FPU; and its other vCPUs: nobody else would bring up one that an action
 * left down. */
static void repair(struct fuzzer *f) {
    if (f->lowered && hv_vcpu_op(VCPUOP_up, f->lowered, NULL))
        panic("vCPU %u does not come up again", f->lowered);
    f->lowered = 0;
    hypercall2(__HYPERVISOR_nmi_op, XENNMI_unregister_callback, 0);
    hv_stack_switch(FLAT_KERNEL_SS, (ARG(__builtin_frame_address(0)) - 1024) & ~15UL);
    hv_set_trap_table(trap_table());
    trap_install_callbacks();
    hv_set_debugreg(7, 0x400);
    hv_fpu_taskswitch(0);
    look_again();
}

/* A trap leaves the probe with events masked, as they were before it: the event callback may be a wild one then. */
static void one_action(struct fuzzer *f) {
    struct probe p;

    f->used = 0;
    events_disable();
    if (!probe_run(&p, run_action, f))
        f->traps++;
    events_disable();
    f->leaving = false;
    repair(f);
    events_enable();
    f->actions++;
}

static bool is_astray(const struct regs *regs) {
    return regs_from_user(regs) || regs->rip < ARG(image_start) || regs->rip >= ARG(image_end);
}

/* An event ends what code that is not the kernel's is at. One that came before that began is followed by another. */
static bool on_event(struct regs *regs) {
    if (!fuzzers[cpu_this()->id].leaving)
        return true;
    if (is_astray(regs))
        return false;
    hv_set_timer_op(clock_now() + MILLISECOND / 4);
    return true;
}

/* Data segments whose descriptors are gone are found when the vCPU next comes to a CPU, whatever it is at then; the
 * hypervisor has put null ones in their place. A return frame that is refused is an action's own, and ends it. */
static bool on_failsafe(struct regs *regs) {
    (void)regs;
    return !probe_is_armed();
}

/* A breakpoint that an action left may be hit before repair() takes it away. */
static bool on_debug(struct regs *regs) {
    if (probe_is_armed())
        return false;
    hv_set_debugreg(7, 0x400);
    regs->rflags &= ~RFLAGS_TF;
    return true;
}

static void set_up(struct fuzzer *f, unsigned id, uint64_t seed) {
    f->id = id;
    f->random = (seed + 1) * 0x9e3779b97f4a7c15UL + id * 0xbf58476d1ce4e5b9UL;
    f->arena = page_alloc();
    for (unsigned i = 1; i < ARENA_PAGES; i++)
        if (page_alloc() != f->arena + i * PAGE_SIZE)
            panic("the argument pages are not in one piece");
    f->doing = "nothing yet";
    cpu_prepare_user(f);
}

/* Later attempts to move the record are refused. */
static void move_info(struct fuzzer *f) {
    test_check("fuzz.vcpu_info", !cpu_move_info(f->id), "refused on vCPU %u", f->id);
}

static void secondary(void *arg) {
    struct fuzzer *f = arg;

    move_info(f);
    clock_wait_for(&ports_known, SILENCE);
    while (!stop)
        one_action(f);
    __atomic_add_fetch(&stopped, 1, __ATOMIC_SEQ_CST);
    for (;;)
        clock_sleep(SECOND);
}

static void find_core_ports(void) {
    for (unsigned port = 1; port < 64; port++) {
        struct evtchn_status s = {.dom = DOMID_SELF, .port = port};

        if (!hv_event_channel_op(EVTCHNOP_status, &s) && s.status != EVTCHNSTAT_closed)
            core_ports |= 1UL << port;
    }
    ports_known = 1;
}

static void feed_watchdog(void) {
    struct sched_watchdog w = {.id = watchdog_id, .timeout = WATCHDOG};
    long rc = hv_sched_op(SCHEDOP_watchdog, &w);

    if (rc < 0)
        panic("no watchdog: %ld", rc);
    if (!watchdog_id)
        watchdog_id = (uint32_t)rc;
}

static void describe(const struct fuzzer *f) {
    const struct vcpu_info *info = cpus[f->id].info;
    unsigned port = cpus[f->id].timer_port;

    printf("INFO vCPU %u: %lu actions, now %s; up %ld, upcall pending %u mask %u, timer port pending %u mask %lu\n",
           f->id, f->actions, f->doing, hv_vcpu_op(VCPUOP_is_up, f->id, NULL), info->evtchn_upcall_pending,
           info->evtchn_upcall_mask, event_is_pending(port), shared_info->evtchn_mask[port / 64] >> port % 64 & 1);
}

/* True if all got on since the last time, or have not stood still for long. */
static bool all_get_on(void) {
    static unsigned long seen[MAX_CPUS];
    static uint64_t when[MAX_CPUS];

    for (unsigned id = 0; id < nr_fuzzers; id++) {
        if (fuzzers[id].actions != seen[id] || !when[id]) {
            seen[id] = fuzzers[id].actions;
            when[id] = clock_now();
        } else if (clock_now() - when[id] > SILENCE) {
            describe(&fuzzers[id]);
            return false;
        }
    }
    return true;
}

static void sum_up(void) {
    unsigned long calls = 0, accepted = 0, traps = 0, actions = 0;

    for (unsigned id = 0; id < nr_fuzzers; id++) {
        calls += fuzzers[id].calls;
        accepted += fuzzers[id].accepted;
        traps += fuzzers[id].traps;
        actions += fuzzers[id].actions;
    }
    printf("INFO fuzz: %lu actions, %lu calls, %lu accepted, %lu traps\n", actions, calls, accepted, traps);
    test_check("fuzz.accepted", accepted > calls / 10, "%lu of %lu", accepted, calls);
}

static uint64_t find_seed(void) {
    char word[24] = "";
    uint64_t seed = cmdline_number("seed", 1);

    if (cmdline_value("seed", word, sizeof(word)) && !strcmp(word, "clock"))
        seed = rdtsc() >> 8 & 0xffffffff;
    printf("fuzz: seed=%lu\n", seed);
    return seed;
}

static void start_all(void) {
    unsigned possible = cpu_count_possible();
    uint64_t seed = find_seed();

    nr_fuzzers = (unsigned)cmdline_number("vcpus", possible > 1 ? possible - 1 : 1);
    values_init();
    total_weight = weight_of(own_actions);
    for (unsigned i = 0; i < ARRAY_SIZE(groups); i++)
        total_weight += weight_of(groups[i]);
    trap_set_handler(TRAP_EVENT, on_event);
    trap_set_handler(TRAP_FAILSAFE, on_failsafe);
    trap_set_handler(TRAP_DB, on_debug);
    for (unsigned id = 0; id < nr_fuzzers; id++)
        set_up(&fuzzers[id], id, seed);
    move_info(&fuzzers[0]);
    for (unsigned id = 1; id < nr_fuzzers; id++) {
        test_check("fuzz.start", !cpu_start(id, secondary, &fuzzers[id]), "vCPU %u did not start", id);
        clock_wait_for((const volatile unsigned *)&cpus[id].timer_port, SILENCE);
    }
    find_core_ports();
}

/* The hypervisor says where each vCPU of a domain stood whose watchdog runs out. */
static void have_places_told(void) {
    console_flush();
    hv_sched_op(SCHEDOP_watchdog, &(struct sched_watchdog){.id = watchdog_id, .timeout = 1});
    for (;;)
        clock_sleep(SECOND);
}

void kernel_main(void) {
    uint64_t end = clock_now() + cmdline_number("seconds", 10) * SECOND, next = 0;
    bool alive = true;

    start_all();
    while (alive && clock_now() < end) {
        for (unsigned n = 0; n < 16; n++)
            one_action(&fuzzers[0]);
        if (clock_now() < next)
            continue;
        feed_watchdog();
        alive = all_get_on();
        next = clock_now() + SECOND;
    }
    stop = 1;
    for (uint64_t give_up = clock_now() + SILENCE; stopped < nr_fuzzers - 1 && clock_now() < give_up;)
        clock_sleep(MILLISECOND);
    if (stopped < nr_fuzzers - 1)
        for (unsigned id = 0; id < nr_fuzzers; id++)
            describe(&fuzzers[id]);
    sum_up();
    if (!test_check("fuzz.progress", alive && stopped == nr_fuzzers - 1, "a vCPU stands still"))
        have_places_told();
}
