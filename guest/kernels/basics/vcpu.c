// SPDX-License-Identifier: MIT
/*
 * vcpu_op: run states, the place of vcpu_info, and questions about vCPUs. Last of all areas, since
 * vcpu_info can move only once.
 */
#include "basics.h"

#include <xen/nmi.h>

extern unsigned long entry_exceptions[32]; /* the SDK's */

static void check_runstate(void) {
    static struct vcpu_runstate_info live, copy;
    struct vcpu_register_runstate_memory_area area;
    uint64_t sum;

    test_equal("runstate.get", hv_vcpu_op(VCPUOP_get_runstate_info, 0, &copy), 0);
    sum = copy.time[0] + copy.time[1] + copy.time[2] + copy.time[3];
    test_check("runstate.running", copy.state == RUNSTATE_running && copy.time[RUNSTATE_running] && sum, "state %d",
               copy.state);
    area.addr.v = &live;
    test_equal("runstate.register", hv_vcpu_op(VCPUOP_register_runstate_memory_area, 0, &area), 0);
    clock_sleep(20 * MILLISECOND);
    test_check("runstate.blocked_time",
               live.state == RUNSTATE_running && live.time[RUNSTATE_blocked] >= 10 * MILLISECOND,
               "state %d, %lu ns blocked", live.state, live.time[RUNSTATE_blocked]);
}

static void check_questions(void) {
    test_equal("vcpu.is_up", hv_vcpu_op(VCPUOP_is_up, 0, NULL), 1);
    test_equal("vcpu.is_up_beyond", hv_vcpu_op(VCPUOP_is_up, 4000, NULL), -XEN_ENOENT);
    test_equal("vcpu.unknown_op", hv_vcpu_op(77, 0, NULL), -XEN_ENOSYS);
}

static void check_time_area(void) {
    static struct vcpu_time_info time;
    struct vcpu_register_time_memory_area area = {.addr.v = (void *)&time};

    test_equal("vcpu.time_area", hv_vcpu_op(VCPUOP_register_vcpu_time_memory_area, 0, &area), 0);
    clock_sleep(5 * MILLISECOND);
    test_check("vcpu.time_area_filled", time.version && !(time.version & 1) && time.tsc_to_system_mul, "version %u",
               time.version);
    test_equal("vcpu.time_area_same", time.tsc_to_system_mul, cpu_this()->info->time.tsc_to_system_mul);
}

static unsigned nmis, nmis_within;
static bool nmi_inside, nmi_again;

static bool on_nmi(struct regs *regs) {
    (void)regs;
    nmis++;
    nmis_within += nmi_inside;
    nmi_inside = true;
    if (nmi_again) {
        nmi_again = false;
        hv_vcpu_op(VCPUOP_send_nmi, 0, NULL);
    }
    nmi_inside = false;
    return true;
}

/* All ways to ask for them: nmi_op, a callback, the trap table (Linux). And to have one sent: it comes with events
 * masked, too. */
static void check_nmi(void) {
    struct xennmi_callback old = {.handler_address = entry_exceptions[TRAP_NMI]};
    struct callback_register new = {.type = CALLBACKTYPE_nmi, .address = entry_exceptions[TRAP_NMI]};
    struct trap_info table[2] = {{TRAP_NMI, 0, FLAT_KERNEL_CS, entry_exceptions[TRAP_NMI]}, {0}};
    bool enabled;

    trap_set_handler(TRAP_NMI, on_nmi);
    test_equal("nmi.register", hypercall2(__HYPERVISOR_nmi_op, XENNMI_register_callback, ARG(&old)), 0);
    test_equal("nmi.send", hv_vcpu_op(VCPUOP_send_nmi, 0, NULL), 0);
    test_equal("nmi.came", nmis, 1);
    test_equal("nmi.unregister", hypercall2(__HYPERVISOR_nmi_op, XENNMI_unregister_callback, 0), 0);
    test_equal("nmi.callback", hv_callback_op(CALLBACKOP_register, &new), 0);
    enabled = events_disable();
    test_equal("nmi.send_masked", hv_vcpu_op(VCPUOP_send_nmi, 0, NULL), 0);
    test_equal("nmi.came_masked", nmis, 2);
    events_restore(enabled);
    hypercall2(__HYPERVISOR_nmi_op, XENNMI_unregister_callback, 0);
    test_equal("nmi.trap_table", hv_set_trap_table(table), 0);
    test_equal("nmi.send_by_table", hv_vcpu_op(VCPUOP_send_nmi, 0, NULL), 0);
    test_equal("nmi.came_by_table", nmis, 3);
    nmi_again = true;
    hv_vcpu_op(VCPUOP_send_nmi, 0, NULL);
    test_check("nmi.waits_for_iret", nmis == 5 && !nmis_within, "%u came, %u within others", nmis, nmis_within);
    trap_set_handler(TRAP_NMI, NULL);
}

/* A word about an end that is to come; what this kernel says at its end is the same. */
static void check_shutdown_code(void) {
    struct sched_shutdown op = {.reason = SHUTDOWN_poweroff};

    test_equal("sched.shutdown_code", hv_sched_op(SCHEDOP_shutdown_code, &op), 0);
}

static void check_info(void) {
    static uint8_t page[PAGE_SIZE] __attribute__((aligned(4096)));
    struct vcpu_info *info = (void *)(page + 128);
    struct vcpu_register_vcpu_info reg = {.mfn = virt_to_mfn(page), .offset = PAGE_SIZE - 32};
    bool were_enabled;

    test_equal("vcpu_info.crosses_page", hv_vcpu_op(VCPUOP_register_vcpu_info, 0, &reg), -XEN_ENXIO);
    reg.offset = 128;
    were_enabled = events_disable();
    if (!test_equal("vcpu_info.register", hv_vcpu_op(VCPUOP_register_vcpu_info, 0, &reg), 0))
        return;
    cpu_this()->info = info;
    test_check("vcpu_info.mask_copied", info->evtchn_upcall_mask == 1, "%u", info->evtchn_upcall_mask);
    events_restore(were_enabled);
    test_check("vcpu_info.time", info->time.tsc_to_system_mul && clock_now(), "no time in the new place");
    clock_sleep(10 * MILLISECOND);
    test_pass("vcpu_info.events");
    test_check("vcpu_info.again", hv_vcpu_op(VCPUOP_register_vcpu_info, 0, &reg) < 0, "registered twice");
}

void check_vcpu(void) {
    check_questions();
    check_runstate();
    check_time_area();
    check_nmi();
    check_shutdown_code();
    check_info();
}
