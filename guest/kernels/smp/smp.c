// SPDX-License-Identifier: MIT
/*
 * Background: a second vCPU shares the first one's page tables, and must see its changes when told to.
 * Scenario: bring up all vCPUs (or `vcpus=N`), events between them, shared counters, TLB shootdown, moving
 *   an event channel, and taking a vCPU down (VCPUOP_down) and up again.
 * Good: PASS lines. Bad: FAIL; a hang means a lost event or wake-up. With one vCPU all is skipped.
 */
#include <sdk/sdk.h>

const char kernel_name[] = "smp";

#define ROUNDS 1000
#define ECHOES 5000
#define WAIT (5 * SECOND)

static unsigned count;
static volatile unsigned alive[MAX_CPUS], pings[MAX_CPUS], go, stop, finished;
static unsigned ping_port[MAX_CPUS];
static unsigned long counter;

static void on_ping(unsigned port) {
    (void)port;
    pings[cpu_this()->id]++;
}

static bool wait_all(const volatile unsigned *flags) {
    for (unsigned id = 1; id < count; id++)
        if (!clock_wait_for(&flags[id], WAIT))
            return false;
    return true;
}

static uint64_t start_xmm0[MAX_CPUS];
static uint32_t start_mxcsr[MAX_CPUS];

/* Sits blocked until told what to do; pings are counted by the handler. */
static void secondary(void *arg) {
    unsigned id = cpu_this()->id;

    (void)arg;
    __asm__ volatile("movq %%xmm0, %0; stmxcsr %1" : "=r"(start_xmm0[id]), "=m"(start_mxcsr[id]));
    alive[id]++;
    while (!stop) {
        if (go) {
            for (unsigned i = 0; i < ROUNDS; i++)
                __atomic_add_fetch(&counter, 1, __ATOMIC_RELAXED);
            __atomic_add_fetch(&finished, 1, __ATOMIC_RELAXED);
            while (go && !stop)
                cpu_relax();
        }
        clock_sleep(MILLISECOND);
    }
}

static void check_start(void) {
    for (unsigned id = 1; id < count; id++) {
        test_equal("smp.is_down", hv_vcpu_op(VCPUOP_is_up, id, NULL), 0);
        test_equal("smp.start", cpu_start(id, secondary, NULL), 0);
    }
    test_check("smp.alive", wait_all(alive), "a vCPU did not start");
    for (unsigned id = 1; id < count && id < 3; id++) {
        test_equal("smp.start_xmm0", (long)start_xmm0[id], (long)(CPU_START_XMM0 + id));
        test_equal("smp.start_mxcsr", start_mxcsr[id], CPU_START_MXCSR);
    }
    test_equal("smp.is_up", hv_vcpu_op(VCPUOP_is_up, 1, NULL), 1);
    test_check("smp.start_twice", hv_vcpu_op(VCPUOP_initialise, 1, NULL) < 0, "accepted");
    test_equal("smp.start_beyond", hv_vcpu_op(VCPUOP_up, 4000, NULL), -XEN_ENOENT);
}

static void check_pings(void) {
    bool all = true;

    for (unsigned id = 1; id < count; id++) {
        ping_port[id] = (unsigned)event_bind_ipi(id);
        event_set_handler(ping_port[id], on_ping);
        event_unmask(ping_port[id]);
    }
    for (unsigned round = 1; round <= 100; round++)
        for (unsigned id = 1; id < count; id++) {
            unsigned before = pings[id];
            uint64_t end = clock_now() + WAIT;

            event_send(ping_port[id]);
            while (pings[id] == before && clock_now() < end)
                hv_sched_op(SCHEDOP_yield, NULL);
            all &= pings[id] == before + 1;
        }
    test_check("smp.pings", all, "vCPU 1 saw %u of 100", pings[1]);
}

static void check_counter(void) {
    uint64_t end = clock_now() + WAIT;

    go = 1;
    while (finished < count - 1 && clock_now() < end)
        cpu_relax();
    test_equal("smp.together", (long)counter, (count - 1L) * ROUNDS);
    go = 0;
}

static volatile unsigned long *const shared = (void *)SCRATCH_VA;
static volatile unsigned reads, last_read, watching;

static void watcher(void *arg) {
    (void)arg;
    watching = 1;
    while (!stop) {
        last_read = (unsigned)*shared;
        reads++;
        cpu_relax();
    }
}

static bool others_see(unsigned value) {
    unsigned from = reads;
    uint64_t end = clock_now() + WAIT;

    while (reads < from + 2 && clock_now() < end)
        hv_sched_op(SCHEDOP_yield, NULL);
    return last_read == value;
}

static long flush_all_cpus(unsigned cmd) {
    static unsigned long mask[1];
    struct mmuext_op op = {.cmd = cmd, .arg1.linear_addr = SCRATCH_VA};

    mask[0] = (1UL << count) - 1;
    set_xen_guest_handle(op.arg2.vcpumask, mask);
    return hv_mmuext_op(&op, 1, NULL, DOMID_SELF);
}

static void swap_to(uint64_t *page, unsigned long value) {
    *page = value;
    pt_write(pt_entry(SCRATCH_VA, 1), virt_to_machine(page) | PTE_KERNEL);
}

static void check_shootdown(void) {
    uint64_t *a = page_alloc(), *b = page_alloc();

    *a = 1;
    pt_map_page(SCRATCH_VA, a, PTE_KERNEL);
    cpu_start(1, watcher, NULL);
    clock_wait_for(&watching, WAIT);
    test_check("smp.shared_page", others_see(1), "saw %u", last_read);
    swap_to(b, 2);
    test_equal("smp.invlpg_multi", flush_all_cpus(MMUEXT_INVLPG_MULTI), 0);
    test_check("smp.invlpg_multi_seen", others_see(2), "saw %u", last_read);
    swap_to(a, 3);
    test_equal("smp.flush_multi", flush_all_cpus(MMUEXT_TLB_FLUSH_MULTI), 0);
    test_check("smp.flush_multi_seen", others_see(3), "saw %u", last_read);
    swap_to(b, 4);
    test_equal("smp.flush_all", mmuext(MMUEXT_TLB_FLUSH_ALL, 0), 0);
    test_check("smp.flush_all_seen", others_see(4), "saw %u", last_read);
    *a = 5;
    hv_update_va_mapping(SCRATCH_VA, virt_to_machine(a) | PTE_KERNEL, UVMF_INVLPG | UVMF_ALL);
    test_check("smp.uvm_all_seen", others_see(5), "saw %u", last_read);
}

static bool wait_down(unsigned id) {
    uint64_t end = clock_now() + WAIT;

    while (hv_vcpu_op(VCPUOP_is_up, id, NULL) == 1 && clock_now() < end)
        hv_sched_op(SCHEDOP_yield, NULL);
    return hv_vcpu_op(VCPUOP_is_up, id, NULL) == 0;
}

static void spinner(void *arg) {
    (void)arg;
    watching = 1;
    while (!stop)
        cpu_relax();
}

/* No timer is set: only an event can end this. */
static void sleeper(void *arg) {
    (void)arg;
    watching = 1;
    while (!stop)
        hv_sched_op(SCHEDOP_block, NULL);
}

/* The sender does not enter the hypervisor while it waits, so neither may need its help. One event could be lucky: each
 * CPU enters the hypervisor once a second anyhow. */
static void check_reach(const char *name, void (*work)(void *)) {
    unsigned before, sent;
    uint64_t end;

    watching = 0;
    cpu_start(1, work, NULL);
    clock_wait_for(&watching, WAIT);
    clock_sleep(20 * MILLISECOND);
    before = pings[1];
    end = clock_now() + WAIT;
    for (sent = 0; sent < 20 && pings[1] == before + sent && clock_now() < end; sent++) {
        event_send(ping_port[1]);
        while (pings[1] == before + sent && clock_now() < end)
            cpu_relax();
    }
    test_equal(name, (long)pings[1], before + 20L);
}

static void echo(unsigned port) {
    (void)port;
    pings[1]++;
    event_send(ping_port[0]);
}

static bool echo_once(void) {
    unsigned before = pings[0];
    uint64_t end = clock_now() + WAIT;

    event_send(ping_port[1]);
    while (pings[0] == before && clock_now() < end)
        cpu_relax();
    return pings[0] != before;
}

/* Pings to a blocked vCPU, answered from its handler, to one which spins without a hypercall. */
static void check_echo(void) {
    const struct vcpu_info *a = cpus[0].info, *b = cpus[1].info;
    unsigned rounds = 0, there = pings[1];
    uint64_t enough = clock_now() + WAIT;
    bool ok = true;

    ping_port[0] = (unsigned)event_bind_ipi(0);
    event_set_handler(ping_port[0], on_ping);
    event_unmask(ping_port[0]);
    event_set_handler(ping_port[1], echo);
    for (; ok && rounds < ECHOES && clock_now() < enough; rounds++)
        ok = echo_once();
    test_check("smp.echo", ok,
               "stuck after %u: %u came there; vCPU 0 pending %u mask %u port %u, vCPU 1 pending %u mask %u port %u",
               rounds, pings[1] - there, a->evtchn_upcall_pending, a->evtchn_upcall_mask,
               event_is_pending(ping_port[0]), b->evtchn_upcall_pending, b->evtchn_upcall_mask,
               event_is_pending(ping_port[1]));
    event_set_handler(ping_port[1], on_ping);
}

/* The secondaries return to cpu_main, which takes them down; they come up with other work. */
static void take_all_down(void) {
    bool all = true;

    stop = 1;
    for (unsigned id = 1; id < count; id++)
        event_send(ping_port[id]);
    for (unsigned id = 1; id < count; id++)
        all &= wait_down(id);
    stop = 0;
    test_check("smp.down", all, "a vCPU stayed up");
}

static volatile unsigned turn, saw_before, saw_after;

/* Reads the page until told that another one is there: then before and after a flush of its own. */
static void flusher(void *arg) {
    unsigned cmd = *(unsigned *)arg;

    while (!stop) {
        last_read = (unsigned)*shared;
        if (turn % 2) {
            saw_before = (unsigned)*shared;
            mmuext_linear(cmd, SCRATCH_VA);
            saw_after = (unsigned)*shared;
            turn++;
        }
    }
}

/* The entry changes while this vCPU runs on, with a CPU that still holds what was there. */
static void check_own_flush(const char *name, unsigned cmd) {
    uint64_t *page[2] = {page_alloc(), page_alloc()}, end = clock_now() + WAIT;
    unsigned stale = 0, wrong = 0;

    turn = 0;
    pt_map_page(SCRATCH_VA, page[0], PTE_KERNEL);
    cpu_start(1, flusher, &cmd);
    for (unsigned round = 1; round <= 100 && clock_now() < end; round++) {
        swap_to(page[round % 2], round);
        turn++;
        while (turn % 2 && clock_now() < end)
            hv_sched_op(SCHEDOP_yield, NULL);
        if (turn % 2)
            break;
        stale += saw_before == round - 1;
        wrong += saw_after != round;
    }
    if (stale || wrong)
        test_check(name, !wrong, "the old page was seen after %u of %u flushes", wrong, turn / 2);
    else
        test_skip(name, "no CPU held a translation that was old");
    take_all_down();
}

static void check_move(void) {
    unsigned port = (unsigned)event_alloc_unbound(DOMID_SELF, DOMID_SELF);
    unsigned local = (unsigned)event_bind_interdomain(DOMID_SELF, port);
    unsigned before = pings[1];

    event_set_handler(port, on_ping);
    test_equal("smp.bind_vcpu", event_bind_vcpu(port, 1), 0);
    event_unmask(port);
    event_send(local);
    for (uint64_t end = clock_now() + WAIT; pings[1] == before && clock_now() < end;)
        hv_sched_op(SCHEDOP_yield, NULL);
    test_equal("smp.bound_event", (long)pings[1], before + 1L);
    test_equal("smp.bind_vcpu_timer", event_bind_vcpu(cpus[1].timer_port, 0), -XEN_EINVAL);
    test_equal("smp.bind_vcpu_beyond", event_bind_vcpu(port, 4000), -XEN_ENOENT);
}

void kernel_main(void) {
    count = (unsigned)cmdline_number("vcpus", cpu_count_possible());
    printf("smp: %u vCPUs\n", count);
    if (count < 2) {
        test_skip("smp", "this domain has one vCPU");
        return;
    }
    check_start();
    check_pings();
    check_counter();
    check_move();
    take_all_down();
    check_shootdown();
    take_all_down();
    check_own_flush("smp.invlpg_local_seen", MMUEXT_INVLPG_LOCAL);
    check_own_flush("smp.flush_local_seen", MMUEXT_TLB_FLUSH_LOCAL);
    check_reach("smp.event_to_running", spinner);
    take_all_down();
    check_reach("smp.event_to_blocked", sleeper);
    check_echo();
    take_all_down();
    alive[1] = 0;
    cpu_start(1, secondary, NULL);
    test_check("smp.up_again", clock_wait_for(&alive[1], WAIT), "did not come up");
    take_all_down();
}
