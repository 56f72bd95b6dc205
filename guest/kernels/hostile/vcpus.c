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

#define HYPERVISOR_CS 0xe008 /* of ring 0, in every descriptor table */
#define HYPERVISOR_SS 0xe010
#define STARTED 2 /* a vCPU that no other attack needs */

static volatile unsigned started_with, start_trapped;

static void started(void) {
    unsigned cs;

    __asm__ volatile("mov %%cs, %0" : "=r"(cs));
    started_with = cs;
    for (;;)
        cpu_relax();
}

static void start_refused(void) {
    start_trapped = 1;
    for (;;)
        hv_vcpu_op(VCPUOP_down, STARTED, NULL);
}

/* Said to be user code, with the hypervisor's own selectors: to load them is a fault of the vCPU's. */
static void attack_start(void) {
    static char stack[PAGE_SIZE] __attribute__((aligned(16)));

    if (hv_vcpu_op(VCPUOP_is_up, STARTED, NULL) != 0) {
        test_skip("vcpu.start_in_ring0", "no third vCPU");
        return;
    }
    cpu_fill_context(STARTED, &ctxt);
    ctxt.flags = VGCF_I387_VALID;
    ctxt.user_regs.rip = ARG(started);
    ctxt.user_regs.cs = HYPERVISOR_CS;
    ctxt.user_regs.ss = HYPERVISOR_SS;
    ctxt.user_regs.rsp = ctxt.kernel_sp = ARG(stack + sizeof(stack));
    ctxt.trap_ctxt[TRAP_GP].address = ARG(start_refused);
    if (hv_vcpu_op(VCPUOP_initialise, STARTED, &ctxt) || hv_vcpu_op(VCPUOP_up, STARTED, NULL))
        test_fail("vcpu.start_in_ring0", "the vCPU did not start");
    else
        test_check("vcpu.start_in_ring0", clock_wait_for(&start_trapped, 20 * SECOND) && !started_with, "cs 0x%x",
                   started_with);
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
    attack_start();
    attack_records();
    attack_numbers();
}
