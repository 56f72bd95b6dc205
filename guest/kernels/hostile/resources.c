// SPDX-License-Identifier: MIT
/*
 * What can be used up or taken from others: memory, event channels, grants.
 */
#include "hostile.h"

#include <xen/physdev.h>

static void attack_memory(void) {
    domid_t self = DOMID_SELF, other = 0x7fe0;
    long max = hv_memory_op(XENMEM_maximum_reservation, &self), now = hv_memory_op(XENMEM_current_reservation, &self);
    xen_pfn_t frame = start_info->nr_pages + 1000;
    struct xen_memory_reservation r = {.nr_extents = 1, .domid = DOMID_SELF};
    long got = 0;

    refused("memory.other_domain", hv_memory_op(XENMEM_current_reservation, &other));
    set_xen_guest_handle(r.extent_start, &frame);
    frame = 0xffffffffff;
    test_equal("memory.decrease_wild", hv_memory_op(XENMEM_decrease_reservation, &r), 0);
    frame = virt_to_mfn(pt_root());
    hv_memory_op(XENMEM_decrease_reservation, &r);
    test_pass("memory.decrease_live_root");
    if (max - now > 4096) {
        test_skip("memory.beyond_limit", "this domain's limit is too far away");
        return;
    }
    while (got <= max - now + 16) {
        frame = start_info->nr_pages + 1000 + (unsigned long)got;
        if (hv_memory_op(XENMEM_populate_physmap, &r) != 1)
            break;
        got++;
    }
    test_check("memory.beyond_limit", got <= max - now, "got %ld frames, %ld allowed", got, max - now);
}

/* One of these numbers may be our own; a privileged domain may do it for all. */
static void attack_events_of_others(void) {
    unsigned worked = 0;
    long port;

    for (domid_t id = 0; id < 32 && !is_control_domain(); id++)
        if ((port = event_alloc_unbound(id, 0)) > 0) {
            worked++;
            event_close((unsigned)port);
        }
    test_check("event.for_others", worked <= 1, "ports of %u domains", worked);
    refused("event.for_nobody", event_alloc_unbound(0x7fe0, 0));
}

static void attack_events(void) {
    struct evtchn_bind_pirq pirq = {.pirq = 0xffffff};
    unsigned first = 0, count = 0;
    long port;

    for (unsigned n = 100; n < 5000; n++)
        if (event_send(n) >= 0)
            count++;
    test_equal("event.send_sweep", count, 0);
    for (count = 0; count < 5000 && (port = event_alloc_unbound(DOMID_SELF, DOMID_SELF)) > 0; count++)
        first = first ? first : (unsigned)port;
    test_check("event.exhaust", count < 4096, "got %u ports", count);
    printf("INFO %u ports, from %u\n", count, first);
    for (unsigned n = first; count && n < 4200; n++)
        count -= !event_close(n);
    test_equal("event.all_closed", count, 0);
    port = event_alloc_unbound(DOMID_SELF, DOMID_SELF);
    test_check("event.alloc_again", port > 0, "%ld", port);
    event_close((unsigned)port);
    attack_events_of_others();
    refused("event.pirq", hv_event_channel_op(EVTCHNOP_bind_pirq, &pirq));
    if (!is_control_domain()) /* whose devices have some */
        refused("event.free_pirq", hypercall2(__HYPERVISOR_physdev_op, PHYSDEVOP_get_free_pirq, ARG(&pirq)));
    refused("event.virq_vcpu", event_bind_virq(VIRQ_TIMER, ~0U));
    refused("event.virq_number", event_bind_virq(~0U, 0));
}

static int16_t map_status(uint64_t va, uint32_t flags, grant_ref_t ref, domid_t dom) {
    struct gnttab_map_grant_ref op = {.host_addr = va, .flags = flags, .ref = ref, .dom = dom};
    long rc = hv_grant_table_op(GNTTABOP_map_grant_ref, &op, 1);

    return rc ? (int16_t)rc : op.status;
}

static int16_t unmap_status(uint64_t va, uint32_t handle) {
    struct gnttab_unmap_grant_ref op = {.host_addr = va, .handle = handle};
    long rc = hv_grant_table_op(GNTTABOP_unmap_grant_ref, &op, 1);

    return rc ? (int16_t)rc : op.status;
}

static void attack_grants(void) {
    static unsigned long frames[4];
    struct gnttab_setup_table setup = {.dom = DOMID_SELF, .nr_frames = 0x7fffffff};
    unsigned ok = 0;

    set_xen_guest_handle(setup.frame_list, frames);
    refused("grant.setup_many", hv_grant_table_op(GNTTABOP_setup_table, &setup, 1) ?: setup.status);
    setup = (struct gnttab_setup_table){.dom = 0x7fe0, .nr_frames = 1};
    set_xen_guest_handle(setup.frame_list, frames);
    refused("grant.setup_other", hv_grant_table_op(GNTTABOP_setup_table, &setup, 1) ?: setup.status);
    for (grant_ref_t ref = 0; ref < 600; ref++)
        ok += map_status(SCRATCH_VA, GNTMAP_host_map, ref, 0) == GNTST_okay;
    test_equal("grant.map_sweep", ok, 0);
    refused("grant.map_ref", map_status(SCRATCH_VA, GNTMAP_host_map, ~0U, 0));
    refused("grant.map_domain", map_status(SCRATCH_VA, GNTMAP_host_map, 1, 0x7fe0));
    refused("grant.map_flags", map_status(SCRATCH_VA, 0, 1, 0));
    refused("grant.map_reserved", map_status(HYPERVISOR_VIRT_START, GNTMAP_host_map, 1, 0));
    for (uint32_t handle = 0; handle < 600; handle++)
        ok += unmap_status(SCRATCH_VA, handle) == GNTST_okay;
    test_equal("grant.unmap_sweep", ok, 0);
    refused("grant.unmap_wild", unmap_status(SCRATCH_VA, ~0U));
    refused("grant.many", hv_grant_table_op(GNTTABOP_map_grant_ref, (void *)0x1000, ~0U));
}

/* One of these numbers may be our own; a control domain may do it for all. */
static void attack_memory_of_others(void) {
    unsigned worked[5] = {0};
    mmu_update_t update = {virt_to_machine(pt_make(SCRATCH_VA)), 0};
    struct mmuext_op flush = {.cmd = MMUEXT_TLB_FLUSH_LOCAL};
    struct xen_memory_reservation r = {.nr_extents = 1};
    static xen_pfn_t frame;

    set_xen_guest_handle(r.extent_start, &frame);
    for (domid_t id = 0; id < 32 && !is_control_domain(); id++) {
        r.domid = id;
        frame = 0xffffffffff;
        worked[0] += hv_memory_op(XENMEM_current_reservation, &id) >= 0;
        worked[1] += hv_mmu_update(&update, 1, NULL, id) >= 0;
        worked[2] += hv_mmuext_op(&flush, 1, NULL, id) >= 0;
        worked[3] += hypercall4(__HYPERVISOR_update_va_mapping_otherdomain, (void *)SCRATCH_VA, 0, 0, id) >= 0;
        if (hv_memory_op(XENMEM_populate_physmap, &r) == 1)
            worked[4] += hv_memory_op(XENMEM_decrease_reservation, &r) == 1;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(worked); i++)
        test_check("memory.of_others", worked[i] <= 1, "call %u for %u domains", i, worked[i]);
}

static void attack_poll(void) {
    evtchn_port_t ports[2] = {0xffffffff, 0x7fffffff};
    struct sched_poll poll = {.nr_ports = 2, .timeout = 1};

    set_xen_guest_handle(poll.ports, ports);
    refused("poll.wild_ports", hv_sched_op(SCHEDOP_poll, &poll));
    /* All readable, and more than anybody's stack has room for. */
    poll.nr_ports = 60000;
    set_xen_guest_handle(poll.ports, (evtchn_port_t *)DIRECT_MAP);
    refused("poll.many_ports", hv_sched_op(SCHEDOP_poll, &poll));
}

void attack_resources(void) {
    pt_make(SCRATCH_VA);
    attack_memory();
    attack_memory_of_others();
    attack_events();
    attack_grants();
    attack_poll();
}
