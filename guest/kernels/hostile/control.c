// SPDX-License-Identifier: MIT
/*
 * Control operations, asked for by a domain that is not the control domain: each number there is and some more, with
 * arguments that make sense in part. Every one gets the same refusal, so that nothing can be learned from it either.
 * `rounds=N` (8) tries of each.
 */
#undef __XEN_INTERFACE_VERSION__
#define __XEN_TOOLS__
#include "hostile.h"

#include <xen/domctl.h>
#include <xen/platform.h>
#include <xen/sysctl.h>

static unsigned rounds;

static uint64_t state = 0x2545f4914f6cdd1d;

static uint64_t random_word(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

/* Numbers that are small, addresses that are ours, or anything. */
static uint64_t plausible(const void *memory) {
    uint64_t word = random_word();

    return word % 3 == 0 ? word % 64 : word % 3 == 1 ? ARG(memory) + word % 4096 : random_word();
}

static void fill(uint64_t *words, unsigned n) {
    for (unsigned i = 0; i < n; i++)
        words[i] = plausible(words);
}

static domid_t somebody(void) {
    static const domid_t ids[] = {0, 1, 2, 3, DOMID_SELF, DOMID_XEN, DOMID_IO, 0x7fff};

    return ids[random_word() % ARRAY_SIZE(ids)];
}

static void try_domctls(void) {
    static struct xen_domctl op;
    unsigned other = 0;

    for (unsigned i = 0; i < 132 * rounds; i++) {
        unsigned cmd = i / rounds;

        fill((uint64_t *)&op, sizeof(op) / 8);
        op.cmd = cmd < 128 ? cmd : 1000 + cmd - 128;
        op.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
        op.domain = somebody();
        other += hypercall1(__HYPERVISOR_domctl, &op) != -XEN_EPERM;
    }
    test_equal("control.domctl", other, 0);
    op.interface_version++;
    test_equal("control.domctl_version", hypercall1(__HYPERVISOR_domctl, &op), -XEN_EACCES);
}

static void try_sysctls(void) {
    static struct xen_sysctl op;
    unsigned other = 0;

    for (unsigned i = 0; i < 40 * rounds; i++) {
        fill((uint64_t *)&op, sizeof(op) / 8);
        op.cmd = i / rounds;
        op.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
        other += hypercall1(__HYPERVISOR_sysctl, &op) != -XEN_EPERM;
    }
    test_equal("control.sysctl", other, 0);
    op.interface_version++;
    test_equal("control.sysctl_version", hypercall1(__HYPERVISOR_sysctl, &op), -XEN_EACCES);
}

static void try_memory_ops(void) {
    static const unsigned commands[] = {XENMEM_claim_pages, XENMEM_set_memory_map, XENMEM_acquire_resource,
                                        XENMEM_machphys_mfn_list, XENMEM_machine_memory_map};
    static uint64_t words[16];
    unsigned other = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(commands) * rounds; i++) {
        fill(words, ARRAY_SIZE(words));
        other += hv_memory_op(commands[i / rounds], words) != -XEN_EPERM;
    }
    test_equal("control.memory_op", other, 0);
}

/* The machine: all its operations, but those on oneself. */
static void try_machine(void) {
    static const uint64_t own = 1ul << PHYSDEVOP_IRQ_UNMASK_NOTIFY | 1ul << PHYSDEVOP_irq_status_query |
                                1ul << PHYSDEVOP_set_iopl | 1ul << PHYSDEVOP_set_iobitmap;
    static struct xen_platform_op op;
    static uint64_t words[16];
    unsigned done = 0, other = 0;

    for (unsigned i = 0; i < 70 * rounds; i++) {
        fill((uint64_t *)&op, sizeof(op) / 8);
        op.cmd = i / rounds;
        op.interface_version = XENPF_INTERFACE_VERSION;
        other += hypercall1(__HYPERVISOR_platform_op, &op) != -XEN_EPERM;
    }
    test_equal("control.platform_op", other, 0);
    for (unsigned i = 0; i < 40 * rounds; i++) {
        fill(words, ARRAY_SIZE(words));
        if (!(own >> i / rounds & 1))
            done += hv_physdev_op(i / rounds, words) >= 0;
    }
    test_equal("control.physdev_op", done, 0);
}

static bool is_refusal(long rc) {
    return rc == -XEN_EPERM || rc == -XEN_ESRCH;
}

/* What is about memory, tables, ports and ends of others. Of oneself it may be allowed: that is left out. */
static void try_others(domid_t id) {
    struct mmu_update req = {virt_to_machine(start_info) & ~7UL, 0};
    struct mmuext_op ext = {.cmd = MMUEXT_PIN_L1_TABLE, .arg1.mfn = random_word() % 65536};
    struct xen_memory_reservation r = {.nr_extents = 1, .domid = id};
    struct sched_remote_shutdown end = {.domain_id = id};
    struct evtchn_status status = {.dom = id, .port = 1};
    struct evtchn_reset reset = {.dom = id};
    xen_pfn_t frame = random_word() % 65536;

    set_xen_guest_handle(r.extent_start, &frame);
    test_check("control.frames_of_others", is_refusal(hv_mmu_update(&req, 1, NULL, id)), "domain %u", id);
    test_check("control.tables_of_others",
               is_refusal(hypercall4(__HYPERVISOR_mmu_update, &req, 1, NULL, (id + 1UL) << 16 | DOMID_SELF)),
               "domain %u", id);
    test_check("control.pin_for_others", is_refusal(hv_mmuext_op(&ext, 1, NULL, id)), "domain %u", id);
    test_check("control.va_of_others",
               is_refusal(hypercall4(__HYPERVISOR_update_va_mapping_otherdomain, SCRATCH_VA, 0, 0, id)), "domain %u",
               id);
    test_equal("control.populate_others", hv_memory_op(XENMEM_populate_physmap, &r), 0);
    test_equal("control.decrease_others", hv_memory_op(XENMEM_decrease_reservation, &r), 0);
    test_check("control.size_of_others", is_refusal(hv_memory_op(XENMEM_current_reservation, &id)), "domain %u", id);
    test_check("control.end_of_others", is_refusal(hypercall2(__HYPERVISOR_sched_op, SCHEDOP_remote_shutdown, &end)),
               "domain %u", id);
    test_check("control.ports_of_others",
               is_refusal(hypercall2(__HYPERVISOR_event_channel_op, EVTCHNOP_status, &status)), "domain %u", id);
    test_check("control.reset_others", is_refusal(hypercall2(__HYPERVISOR_event_channel_op, EVTCHNOP_reset, &reset)),
               "domain %u", id);
    test_check("control.port_for_others", is_refusal(event_alloc_unbound(id, DOMID_SELF)), "domain %u", id);
}

/* Only a toolstack ends domains so, be it this one. */
static void try_end_of_self(domid_t self) {
    struct sched_remote_shutdown end = {.domain_id = self};

    test_equal("control.end_of_self", hypercall2(__HYPERVISOR_sched_op, SCHEDOP_remote_shutdown, &end), -XEN_EPERM);
    end.domain_id = DOMID_SELF;
    test_check("control.end_of_dom_self", is_refusal(hypercall2(__HYPERVISOR_sched_op, SCHEDOP_remote_shutdown, &end)),
               "not refused");
}

/* Wild arguments, for domains there may be and may not be. */
static domid_t other_than(domid_t self) {
    domid_t id;

    do
        id = somebody();
    while (id == self || id == DOMID_SELF || id == DOMID_IO);
    return id;
}

static long try_table_call(domid_t id) {
    static uint64_t words[3 * 8];

    fill(words, ARRAY_SIZE(words));
    switch (random_word() % 4) {
    case 0:
        return hypercall4(__HYPERVISOR_mmu_update, words, 1 + random_word() % 8, NULL, (id + 1UL) << 16 | DOMID_SELF);
    case 1:
        words[0] &= ~3UL;
        return hypercall4(__HYPERVISOR_mmu_update, words, 1, NULL, id);
    case 2:
        words[0] %= 22;
        return hypercall4(__HYPERVISOR_mmuext_op, words, 1, NULL, id);
    default:
        return hypercall4(__HYPERVISOR_update_va_mapping_otherdomain, SCRATCH_VA + (words[0] & PAGE_MASK) % (1UL << 30),
                          words[1], words[2] % 4, id);
    }
}

static long try_memory_call(domid_t id) {
    static const unsigned commands[] = {XENMEM_current_reservation, XENMEM_maximum_reservation, XENMEM_exchange,
                                        XENMEM_add_to_physmap,      XENMEM_remove_from_physmap, XENMEM_set_memory_map,
                                        XENMEM_maximum_gpfn,        XENMEM_access_op,           XENMEM_get_vnumainfo};
    static uint64_t words[16];
    struct gnttab_setup_table table = {.dom = id, .nr_frames = 1};
    unsigned command = commands[random_word() % ARRAY_SIZE(commands)];

    if (random_word() % 4 == 0) {
        set_xen_guest_handle(table.frame_list, (xen_pfn_t *)words);
        return hv_grant_table_op(GNTTABOP_setup_table, &table, 1) ? -1 : table.status;
    }
    fill(words, ARRAY_SIZE(words));
    memcpy((char *)words + (command == XENMEM_exchange ? offsetof(struct xen_memory_exchange, in.domid) : 0), &id,
           sizeof(id));
    return hv_memory_op(command, words);
}

static void try_wildly(domid_t self) {
    unsigned tables = 0, memory = 0;

    for (unsigned i = 0; i < 64 * rounds; i++) {
        tables += try_table_call(other_than(self)) >= 0;
        memory += try_memory_call(other_than(self)) >= 0;
    }
    test_equal("control.wild_tables", tables, 0);
    test_equal("control.wild_memory", memory, 0);
}

/* The number of this domain: a port that waits for itself is bound from there. */
static domid_t own_number(void) {
    struct evtchn_status status = {.dom = DOMID_SELF};
    long port = event_alloc_unbound(DOMID_SELF, DOMID_SELF);

    status.port = (evtchn_port_t)port;
    hypercall2(__HYPERVISOR_event_channel_op, EVTCHNOP_status, &status);
    event_close((unsigned)port);
    return status.u.unbound.dom;
}

void attack_control_operations(void) {
    domid_t self = own_number();

    if (is_control_domain()) {
        test_skip("control", "this is the control domain");
        return;
    }
    rounds = (unsigned)cmdline_number("rounds", 8);
    try_domctls();
    try_sysctls();
    try_memory_ops();
    try_machine();
    for (domid_t id = 0; id < 6; id++)
        if (id != self)
            try_others(id);
    try_others(999);
    try_end_of_self(self);
    try_wildly(self);
}
