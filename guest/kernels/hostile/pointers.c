// SPDX-License-Identifier: MIT
/*
 * Hypercalls with wild pointers and huge counts.
 */
#include "hostile.h"

#define KEEP ~0UL /* argument replaced by the wild pointer */

struct call {
    const char *name;
    unsigned nr;
    unsigned long args[5];
    long most; /* what counts as refusal: 0 for those which return how many they did */
};

/* Each must fail with any pointer: all of them read their argument before they do anything. */
static const struct call calls[] = {
    {"ptr.set_trap_table", __HYPERVISOR_set_trap_table, {KEEP}, -1},
    {"ptr.mmu_update", __HYPERVISOR_mmu_update, {KEEP, 1, 0, DOMID_SELF}, -1},
    {"ptr.mmu_update_many", __HYPERVISOR_mmu_update, {KEEP, 0x7fffffff, 0, DOMID_SELF}, -1},
    {"ptr.set_gdt", __HYPERVISOR_set_gdt, {KEEP, 512}, -1},
    {"ptr.memory_exchange", __HYPERVISOR_memory_op, {XENMEM_exchange, KEEP}, -1},
    {"ptr.memory_decrease", __HYPERVISOR_memory_op, {XENMEM_decrease_reservation, KEEP}, 0},
    {"ptr.memory_populate", __HYPERVISOR_memory_op, {XENMEM_populate_physmap, KEEP}, 0},
    {"ptr.memory_current", __HYPERVISOR_memory_op, {XENMEM_current_reservation, KEEP}, -1},
    {"ptr.memory_machphys", __HYPERVISOR_memory_op, {XENMEM_machphys_mapping, KEEP}, -1},
    {"ptr.memory_map", __HYPERVISOR_memory_op, {XENMEM_memory_map, KEEP}, -1},
    {"ptr.multicall", __HYPERVISOR_multicall, {KEEP, 1}, -1},
    {"ptr.multicall_many", __HYPERVISOR_multicall, {KEEP, 0x7fffffff}, -1},
    {"ptr.extraversion", __HYPERVISOR_xen_version, {XENVER_extraversion, KEEP}, -1},
    {"ptr.capabilities", __HYPERVISOR_xen_version, {XENVER_capabilities, KEEP}, -1},
    {"ptr.features", __HYPERVISOR_xen_version, {XENVER_get_features, KEEP}, -1},
    {"ptr.console", __HYPERVISOR_console_io, {CONSOLEIO_write, 16, KEEP}, -1},
    {"ptr.grant_map", __HYPERVISOR_grant_table_op, {GNTTABOP_map_grant_ref, KEEP, 1}, -1},
    {"ptr.grant_unmap", __HYPERVISOR_grant_table_op, {GNTTABOP_unmap_grant_ref, KEEP, 1}, -1},
    {"ptr.grant_copy", __HYPERVISOR_grant_table_op, {GNTTABOP_copy, KEEP, 1}, -1},
    {"ptr.grant_copy_many", __HYPERVISOR_grant_table_op, {GNTTABOP_copy, KEEP, 0x7fffffff}, -1},
    {"ptr.grant_setup", __HYPERVISOR_grant_table_op, {GNTTABOP_setup_table, KEEP, 1}, -1},
    {"ptr.vcpu_initialise", __HYPERVISOR_vcpu_op, {VCPUOP_initialise, 0, KEEP}, -1},
    {"ptr.vcpu_runstate", __HYPERVISOR_vcpu_op, {VCPUOP_get_runstate_info, 0, KEEP}, -1},
    {"ptr.vcpu_singleshot", __HYPERVISOR_vcpu_op, {VCPUOP_set_singleshot_timer, 0, KEEP}, -1},
    {"ptr.vcpu_info", __HYPERVISOR_vcpu_op, {VCPUOP_register_vcpu_info, 0, KEEP}, -1},
    {"ptr.mmuext_op", __HYPERVISOR_mmuext_op, {KEEP, 1, 0, DOMID_SELF}, -1},
    {"ptr.mmuext_op_many", __HYPERVISOR_mmuext_op, {KEEP, 0x7fffffff, 0, DOMID_SELF}, -1},
    {"ptr.sched_shutdown", __HYPERVISOR_sched_op, {SCHEDOP_shutdown, KEEP}, -1},
    {"ptr.sched_poll", __HYPERVISOR_sched_op, {SCHEDOP_poll, KEEP}, -1},
    {"ptr.callback", __HYPERVISOR_callback_op, {CALLBACKOP_register, KEEP}, -1},
    {"ptr.event_alloc", __HYPERVISOR_event_channel_op, {EVTCHNOP_alloc_unbound, KEEP}, -1},
    {"ptr.event_send", __HYPERVISOR_event_channel_op, {EVTCHNOP_send, KEEP}, -1},
    {"ptr.event_status", __HYPERVISOR_event_channel_op, {EVTCHNOP_status, KEEP}, -1},
    {"ptr.physdev", __HYPERVISOR_physdev_op, {6, KEEP}, -1},
};

static const unsigned long pointers[] = {
    0x1000,                    /* unmapped, low */
    SCRATCH_VA + (77UL << 30), /* unmapped, high */
    1UL << 63,                 /* non-canonical */
    0x00007ffffffffff8,        /* into the hole */
    0xffff800000000000,        /* M2P: readable, not ours to pass */
    0xffff808000000000,        /* the hypervisor's slots */
    0xffff82d080200000,
    0xffff87fffffffff8, /* across their end */
    0xfffffffffffffff8, /* across the end of everything */
};

static long call_with(const struct call *call, unsigned long pointer) {
    unsigned long a[5];

    for (unsigned i = 0; i < 5; i++)
        a[i] = call->args[i] == KEEP ? pointer : call->args[i];
    return hypercall5(call->nr, a[0], a[1], a[2], a[3], a[4]);
}

static void attack_pointers_one(const struct call *call) {
    for (unsigned i = 0; i < ARRAY_SIZE(pointers); i++) {
        long rc = call_with(call, pointers[i]);

        if (rc <= call->most)
            continue;
        test_fail(call->name, "gave %ld with pointer 0x%lx", rc, pointers[i]);
        return;
    }
    test_pass(call->name);
}

/* Output only the kernel may read: the hypervisor must not write where the guest itself cannot. */
static void attack_read_only_output(void) {
    void *page = page_alloc();

    page_protect(page);
    test_equal("ptr.output_read_only", hv_xen_version(XENVER_extraversion, page), -XEN_EFAULT);
    test_equal("ptr.output_text", hv_xen_version(XENVER_extraversion, pt_root()), -XEN_EFAULT);
    page_unprotect(page);
    page_free(page);
}

static void attack_counts(void) {
    xen_pfn_t frame = 0;
    struct xen_memory_reservation r = {.nr_extents = 1UL << 60, .domid = DOMID_SELF};
    multicall_entry_t nested[3] = {
        {.op = __HYPERVISOR_multicall, .args = {0, 1}}, {.op = ~0UL}, {.op = __HYPERVISOR_iret}};

    set_xen_guest_handle(r.extent_start, &frame);
    test_check("count.populate", hv_memory_op(XENMEM_populate_physmap, &r) <= 0, "accepted");
    test_check("count.decrease", hv_memory_op(XENMEM_decrease_reservation, &r) <= 0, "accepted");
    r.nr_extents = 1;
    r.extent_order = 60;
    test_check("count.order", hv_memory_op(XENMEM_populate_physmap, &r) <= 0, "accepted");
    test_check("count.decrease_order", hv_memory_op(XENMEM_decrease_reservation, &r) <= 0, "accepted");
    nested[0].args[0] = ARG(nested);
    hv_multicall(nested, 3);
    test_check("count.multicall_in_multicall", (long)nested[0].result < 0, "%ld", (long)nested[0].result);
    test_check("count.iret_in_multicall", (long)nested[2].result < 0, "%ld", (long)nested[2].result);
    test_equal("count.unknown_in_multicall", (long)nested[1].result, -XEN_ENOSYS);
    refused("count.set_gdt", hypercall2(__HYPERVISOR_set_gdt, pointers, ~0UL));
}

/* Numbers nobody defined, with arguments nobody checked. The page has 128 entries. */
static void attack_numbers(void) {
    unsigned bad = 0;

    for (unsigned nr = 42; nr < 128; nr++)
        if ((nr < 48 || nr > 55) && hypercall5(nr, ~0UL, ~0UL, ~0UL, ~0UL, ~0UL) >= 0)
            bad++;
    test_equal("number.sweep", bad, 0);
}

void attack_pointers(void) {
    for (unsigned i = 0; i < ARRAY_SIZE(calls); i++)
        attack_pointers_one(&calls[i]);
    attack_read_only_output();
    attack_counts();
    attack_numbers();
    hv_set_trap_table(trap_table());
}
