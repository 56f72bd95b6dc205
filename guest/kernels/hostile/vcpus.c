// SPDX-License-Identifier: MIT
/*
 * vCPUs: contexts that must not be accepted, and records of the hypervisor placed where they do not belong.
 */
#include "hostile.h"

static struct vcpu_guest_context ctxt;

static long try_context(void) {
    return hv_vcpu_op(VCPUOP_initialise, 1, &ctxt);
}

static void attack_contexts(void) {
    void *data = page_alloc();

    if (hv_vcpu_op(VCPUOP_is_up, 1, NULL) != 0) {
        test_skip("vcpu.contexts", "no second vCPU");
        return;
    }
    refused("vcpu.up_uninitialised", hv_vcpu_op(VCPUOP_up, 1, NULL));
    cpu_fill_context(1, &ctxt);
    ctxt.ctrlreg[3] = xen_pfn_to_cr3(virt_to_mfn(data));
    refused("vcpu.cr3_data", try_context());
    cpu_fill_context(1, &ctxt);
    ctxt.ctrlreg[3] = xen_pfn_to_cr3(0xffffffffffUL);
    refused("vcpu.cr3_beyond", try_context());
    cpu_fill_context(1, &ctxt);
    ctxt.ctrlreg[3] = xen_pfn_to_cr3(virt_to_mfn(pt_entry(ARG(data), 1)));
    refused("vcpu.cr3_l1", try_context());
    cpu_fill_context(1, &ctxt);
    ctxt.gdt_ents = 8192;
    refused("vcpu.gdt_long", try_context());
    cpu_fill_context(1, &ctxt);
    ctxt.gdt_ents = 512;
    ctxt.gdt_frames[0] = virt_to_mfn(pt_root());
    refused("vcpu.gdt_table", try_context());
    cpu_fill_context(1, &ctxt);
    ctxt.ldt_base = 1UL << 63;
    ctxt.ldt_ents = 8;
    refused("vcpu.ldt_noncanonical", try_context());
    cpu_fill_context(1, &ctxt);
    ctxt.event_callback_eip = 1UL << 63;
    refused("vcpu.callback_noncanonical", try_context());
    page_free(data);
}

static void attack_records(void) {
    struct vcpu_register_vcpu_info info = {.mfn = 0xffffffffff, .offset = 0};
    struct vcpu_register_runstate_memory_area area;
    long rc;

    refused("vcpu_info.beyond_memory", hv_vcpu_op(VCPUOP_register_vcpu_info, 0, &info));
    info.mfn = virt_to_mfn(pt_root());
    refused("vcpu_info.page_table", hv_vcpu_op(VCPUOP_register_vcpu_info, 0, &info));
    info.mfn = virt_to_mfn(&ctxt);
    info.offset = 0xfffffff0;
    refused("vcpu_info.offset", hv_vcpu_op(VCPUOP_register_vcpu_info, 0, &info));
    for (unsigned i = 0; i < ARRAY_SIZE(reserved_addresses); i++) {
        area.addr.v = (void *)reserved_addresses[i];
        refused("runstate.reserved", hv_vcpu_op(VCPUOP_register_runstate_memory_area, 0, &area));
    }
    /* An unmapped place is the guest's own loss: writes to it are dropped. */
    area.addr.v = (void *)(SCRATCH_VA + (99UL << 30));
    rc = hv_vcpu_op(VCPUOP_register_runstate_memory_area, 0, &area);
    clock_sleep(10 * MILLISECOND);
    test_check("runstate.unmapped", rc <= 0, "%ld", rc);
    area.addr.v = (void *)pt_root();
    rc = hv_vcpu_op(VCPUOP_register_runstate_memory_area, 0, &area);
    clock_sleep(10 * MILLISECOND);
    test_check("runstate.page_table", rc <= 0, "%ld", rc);
}

static void attack_numbers(void) {
    unsigned worked = 0;

    for (unsigned cmd = 0; cmd < 20; cmd++)
        worked += hv_vcpu_op(cmd, ~0U, NULL) >= 0;
    test_equal("vcpu.number_sweep", worked, 0);
}

void attack_vcpus(void) {
    attack_contexts();
    attack_records();
    attack_numbers();
}
