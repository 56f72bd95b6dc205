// SPDX-License-Identifier: MIT
/*
 * A domain that really runs, of eight pages: its tables, its code (code.S), words that it and we write, a stack. It is
 * watched, stopped, looked into, ended in each way and let go on; and it dies at every point of its life, with its
 * frames mapped here, without anything being left.
 */
#include "control.h"

#define BASE 0xffffffff80000000UL
#define WINDOW (SCRATCH_VA + (3UL << 30))
#define KERNEL_CS 0xe033
#define LIMIT 5000 /* ms */

enum { CODE, WORDS, L4, L3, L2, L1, STACK, SPARE, NR_PAGES };

struct words {
    uint64_t count, go_on, call, arg[3], result;
    struct sched_shutdown reason;
    struct sched_remote_shutdown remote;
    struct gnttab_map_grant_ref map;
};
#define WORDS_VA(member) (BASE + WORDS * PAGE_SIZE + offsetof(struct words, member))

extern const uint8_t guest_code[], guest_code_end[];

static domid_t id;
static xen_pfn_t mfns[NR_PAGES];
static struct vcpu_guest_context context;
static volatile struct words *words;

static void *window(unsigned page) {
    return (void *)(WINDOW + page * PAGE_SIZE);
}

static long map(unsigned page, uint64_t flags) {
    struct mmu_update req = {virt_to_machine(pt_make(ARG(window(page)))) | MMU_NORMAL_PT_UPDATE,
                             flags ? mfns[page] << PAGE_SHIFT | flags : 0};
    long rc = hv_mmu_update(&req, 1, NULL, flags ? id : DOMID_SELF); /* it may be gone */

    mmuext_linear(MMUEXT_INVLPG_LOCAL, ARG(window(page)));
    return rc;
}

static long populate(void) {
    struct xen_memory_reservation r = {.nr_extents = NR_PAGES, .domid = id};
    long rc;

    for (unsigned i = 0; i < NR_PAGES; i++)
        mfns[i] = i;
    set_xen_guest_handle(r.extent_start, mfns);
    rc = hv_memory_op(XENMEM_populate_physmap, &r);
    return rc == NR_PAGES ? 0 : -XEN_ENOMEM;
}

static uint64_t entry(unsigned page, uint64_t flags) {
    return mfns[page] << PAGE_SHIFT | flags;
}

static void write_tables(void) {
    uint64_t *table[] = {window(L4), window(L3), window(L2), window(L1)};

    for (unsigned level = 4; level > 1; level--)
        table[4 - level][pt_index(BASE, level)] = entry(L4 + 5 - level, PTE_TABLE);
    for (unsigned i = 0; i < NR_PAGES; i++)
        table[3][i] = entry(i, PTE_U | (i >= L4 && i <= L1 ? PTE_KERNEL_RO : PTE_KERNEL));
}

static long pin(void) {
    struct mmuext_op ext = {.cmd = MMUEXT_PIN_L4_TABLE, .arg1.mfn = mfns[L4]};

    return hv_mmuext_op(&ext, 1, NULL, id);
}

static long with_context(uint32_t cmd) {
    set_xen_guest_handle(clean()->u.vcpucontext.ctxt, &context);
    return domctl(cmd, id);
}

static void start_context(void) {
    memset(&context, 0, sizeof(context));
    context.flags = VGCF_in_kernel | VGCF_online;
    context.user_regs.rip = BASE;
    context.user_regs.rsp = BASE + SPARE * PAGE_SIZE;
    context.user_regs.rflags = 1UL << 9;
    context.user_regs.cs = FLAT_KERNEL_CS;
    context.user_regs.ss = FLAT_KERNEL_SS;
    context.kernel_ss = FLAT_KERNEL_SS;
    context.kernel_sp = context.user_regs.rsp;
    context.ctrlreg[3] = xen_pfn_to_cr3(mfns[L4]);
}

/* The steps of a life, as many as are asked for; 0 or what went wrong. */
static long live(unsigned steps) {
    long rc = 0;

    id = make_domain_without_maps(1, NR_PAGES);
    if (!rc && steps > 0)
        rc = populate();
    for (unsigned i = 0; !rc && steps > 1 && i < NR_PAGES; i++)
        rc = map(i, PTE_KERNEL);
    if (!rc && steps > 2) {
        memcpy(window(CODE), guest_code, (size_t)(guest_code_end - guest_code));
        write_tables();
        for (unsigned i = L4; i <= L1; i++)
            rc |= map(i, 0);
        words = window(WORDS);
        rc |= pin();
    }
    if (!rc && steps > 3) {
        start_context();
        rc = with_context(XEN_DOMCTL_setvcpucontext);
    }
    clean();
    return rc || steps <= 4 ? rc : domctl(XEN_DOMCTL_unpausedomain, id);
}

static long unmap_all(void) {
    long rc = 0;

    for (unsigned i = 0; i < NR_PAGES; i++)
        rc |= map(i, 0);
    return rc;
}

static bool counts(void) {
    uint64_t before = words->count;

    for (unsigned i = 0; i < LIMIT && words->count == before; i++)
        clock_sleep(MILLISECOND);
    return words->count != before;
}

static volatile unsigned told;

static void on_exception(unsigned port) {
    (void)port;
    told++;
}

/* It has ended: with this reason, and we are told. */
static void wait_for_end(const char *name, unsigned reason) {
    struct xen_domctl_getdomaininfo info = {0};

    for (unsigned i = 0; i < LIMIT && !(told && get_info(id, &info) && info.flags & XEN_DOMINF_shutdown); i++)
        clock_sleep(MILLISECOND);
    test_check("run.told", told, "no VIRQ_DOM_EXC");
    told = 0;
    test_check(name, info.flags & XEN_DOMINF_shutdown && (info.flags >> XEN_DOMINF_shutdownshift & 0xff) == reason,
               "flags %x", info.flags);
    test_check("run.ended_keeps_memory", info.tot_pages == NR_PAGES && !(info.flags & XEN_DOMINF_dying),
               "%lu pages, flags %x", info.tot_pages, info.flags);
}

static void call(uint64_t number, uint64_t a, uint64_t b, uint64_t c) {
    words->call = number;
    words->arg[0] = a;
    words->arg[1] = b;
    words->arg[2] = c;
    words->go_on = 1;
}

static void end_with(unsigned reason) {
    words->reason.reason = reason;
    call(__HYPERVISOR_sched_op, SCHEDOP_shutdown, WORDS_VA(reason), 0x5a5a); /* the last for the tools to find */
}

static uint64_t result_of(uint64_t number, uint64_t a, uint64_t b, uint64_t c) {
    words->result = 1;
    call(number, a, b, c);
    for (unsigned i = 0; i < LIMIT && words->go_on; i++)
        clock_sleep(MILLISECOND);
    return words->result;
}

/* What a toolstack may do to a domain, that domain may not do to itself or to us. */
static void check_no_toolstack(void) {
    static const domid_t targets[] = {0, DOMID_SELF};
    struct xen_domctl_getdomaininfo info = {0};

    for (unsigned i = 0; i <= ARRAY_SIZE(targets); i++) {
        uint64_t rc;

        words->remote = (struct sched_remote_shutdown){i ? targets[i - 1] : id, SHUTDOWN_reboot};
        rc = result_of(__HYPERVISOR_sched_op, SCHEDOP_remote_shutdown, WORDS_VA(remote), 0);
        test_check("run.no_toolstack", rc == (uint64_t)-XEN_EPERM || rc == (uint64_t)-XEN_ESRCH, "%ld", (long)rc);
    }
    test_check("run.no_toolstack_alive", get_info(id, &info) && !(info.flags & XEN_DOMINF_shutdown), "%x", info.flags);
}

/* It was made without any room for mappings of others' frames. */
static void check_maps(void) {
    uint64_t rc;

    words->map = (struct gnttab_map_grant_ref){.dom = 0, .ref = 100, .flags = GNTMAP_device_map, .status = 1};
    rc = result_of(__HYPERVISOR_grant_table_op, GNTTABOP_map_grant_ref, WORDS_VA(map), 1);
    test_equal("run.map", (long)rc, 0);
    test_equal("run.map.no_room", words->map.status, GNTST_no_space);
}

static void check_paused(void) {
    uint64_t before;

    clean();
    test_equal("run.pause", domctl(XEN_DOMCTL_pausedomain, id), 0);
    before = words->count;
    clock_sleep(20 * MILLISECOND);
    test_check("run.paused_at_once", words->count == before, "%lu after %lu", words->count, before);
    clean();
    test_equal("run.unpause", domctl(XEN_DOMCTL_unpausedomain, id), 0);
    test_check("run.goes_on", counts(), "it does not");
}

static void check_context(void) {
    uint64_t rip;

    test_equal("run.context", with_context(XEN_DOMCTL_getvcpucontext), 0);
    rip = context.user_regs.rip - BASE;
    test_check("run.context.rip", rip < (uint64_t)(guest_code_end - guest_code), "%lx", rip);
    test_equal("run.context.cs", context.user_regs.cs, KERNEL_CS);
    test_equal("run.context.root", (long)context.ctrlreg[3], (long)xen_pfn_to_cr3(mfns[L4]));
    test_equal("run.context.user_root", (long)context.ctrlreg[1], 0);
    test_equal("run.context.flags", (long)(context.flags & (VGCF_in_kernel | VGCF_online)),
               VGCF_in_kernel | VGCF_online);
    test_check("run.goes_on_after", counts(), "it does not");
    context.ctrlreg[3] = xen_pfn_to_cr3(mfns[L3]);
    test_check("run.context_other_root", with_context(XEN_DOMCTL_setvcpucontext) < 0, "taken");
    test_check("run.goes_on_still", counts(), "it does not");
}

static volatile unsigned suspended;

static void on_suspend(unsigned port) {
    (void)port;
    suspended++;
}

/* A port of the domain's to us, which it is to send to when it suspends. */
static long subscribe(void) {
    struct evtchn_alloc_unbound unbound = {.dom = id, .remote_dom = DOMID_SELF};
    long port = hv_event_channel_op(EVTCHNOP_alloc_unbound, &unbound);

    port = port ? port : event_bind_interdomain(id, unbound.port);
    test_check("run.suspend_port", port > 0, "%ld", port);
    event_set_handler((unsigned)port, on_suspend);
    event_unmask((unsigned)port);
    clock_sleep(MILLISECOND);
    suspended = 0; /* binding is an event as well */
    clean()->u.subscribe.port = unbound.port;
    test_equal("run.subscribe", domctl(XEN_DOMCTL_subscribe, id), 0);
    return port;
}

/* As tools suspend a domain, and find that it can't be moved after all. */
static void check_suspend(void) {
    long port = subscribe();

    end_with(SHUTDOWN_suspend);
    wait_for_end("run.suspended", SHUTDOWN_suspend);
    for (unsigned i = 0; i < LIMIT && !suspended; i++)
        clock_sleep(MILLISECOND); /* its state may be seen before the event comes */
    test_check("run.suspended.told", suspended == 1, "%u", suspended);
    event_close((unsigned)port);
    test_equal("run.suspended.context", with_context(XEN_DOMCTL_getvcpucontext), 0);
    test_equal("run.suspended.rdx", (long)context.user_regs.rdx, 0x5a5a);
    test_equal("run.suspended.rax", (long)context.user_regs.rax, 0);
    context.user_regs.rax = 1;
    test_equal("run.suspended.set", with_context(XEN_DOMCTL_setvcpucontext), 0);
    words->go_on = 0;
    clean();
    test_equal("run.resume", domctl(XEN_DOMCTL_resumedomain, id), 0);
    test_check("run.resumed", counts(), "it does not go on");
    test_equal("run.resumed.result", (long)words->result, 1);
}

static void check_end(void) {
    struct sched_remote_shutdown end = {.domain_id = id, .reason = SHUTDOWN_watchdog};

    test_equal("run.remote_end", hypercall2(__HYPERVISOR_sched_op, SCHEDOP_remote_shutdown, &end), 0);
    wait_for_end("run.remote_ended", SHUTDOWN_watchdog);
    clean();
    domctl(XEN_DOMCTL_resumedomain, id);
    test_check("run.resumed_again", counts(), "it does not go on");
    end_with(SHUTDOWN_crash);
    wait_for_end("run.crashed", SHUTDOWN_crash);
    test_equal("run.destroy", destroy_domain(id), 0);
    test_equal("run.unmap", unmap_all(), 0);
}

#define STEPS 6
#define ROUNDS 5

/* A step more each time, with frames mapped here until after the end. */
static void check_deaths(void) {
    unsigned long before = 0;
    long rc = 0;

    for (unsigned i = 0; i < 2 * STEPS * ROUNDS; i++) {
        if (i == STEPS * ROUNDS)
            before = free_pages();
        rc |= live(i % STEPS);
        rc |= destroy_domain(id);
        rc |= unmap_all();
    }
    test_equal("run.deaths", rc, 0);
    for (unsigned i = 0; i < LIMIT && free_pages() < before; i++)
        clock_sleep(MILLISECOND);
    test_check("run.deaths.free_pages", free_pages() >= before, "%lu of %lu", free_pages(), before);
}

void check_run(void) {
    long port = event_bind_virq(VIRQ_DOM_EXC, 0);

    event_set_handler((unsigned)port, on_exception);
    event_unmask((unsigned)port);
    if (test_equal("run.live", live(5), 0)) {
        test_check("run.counts", counts(), "it does not run");
        check_paused();
        check_no_toolstack();
        check_context();
        check_maps();
        check_suspend();
        check_end();
    }
    check_deaths();
    event_close((unsigned)port);
}
