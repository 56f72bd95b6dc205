// SPDX-License-Identifier: MIT
/*
 * xen_version's questions, unknown hypercalls, multicall, vm_assist.
 */
#include "basics.h"

static void check_questions(void) {
    static xen_commandline_t text;
    xen_domain_handle_t handle;
    xen_extraversion_t extra = "";
    xen_compile_info_t compile = {0};
    xen_capabilities_info_t caps = "";
    xen_platform_parameters_t params = {0};
    xen_feature_info_t features = {0, 0};
    long version = hv_xen_version(XENVER_version, NULL);

    test_check("version.number", version >> 16 >= 4, "0x%lx", version);
    test_check("version.extra", !hv_xen_version(XENVER_extraversion, extra) && strlen(extra), "\"%s\"", extra);
    test_equal("version.compile_info", hv_xen_version(XENVER_compile_info, &compile), 0);
    test_check("version.capabilities", hv_xen_version(XENVER_capabilities, &caps) >= 0 && strlen(caps), "\"%s\"", caps);
    test_check("version.platform",
               !hv_xen_version(XENVER_platform_parameters, &params) && params.virt_start == HYPERVISOR_VIRT_START,
               "0x%lx", params.virt_start);
    test_check("version.features",
               !hv_xen_version(XENVER_get_features, &features) &&
                   features.submap >> XENFEAT_mmu_pt_update_preserve_ad & 1,
               "0x%x", features.submap);
    features.submap_idx = 77;
    test_equal("version.features_bad_index", hv_xen_version(XENVER_get_features, &features), -XEN_EINVAL);
    test_equal("version.changeset", hv_xen_version(XENVER_changeset, text), 0);
    test_equal("version.handle", hv_xen_version(XENVER_guest_handle, handle), 0);
    test_equal("version.commandline", hv_xen_version(XENVER_commandline, text), 0);
    test_check("version.commandline_denied", is_privileged() || !strcmp(text, "<denied>"), "\"%s\"", text);
    test_equal("version.pagesize", hv_xen_version(XENVER_pagesize, NULL), 4096);
    test_equal("version.bad_subop", hv_xen_version(99, NULL), -XEN_ENOSYS);
}

static void check_unknown(void) {
    test_equal("hypercall.hole_11", hypercall1(11, 0), -XEN_ENOSYS);
    test_equal("hypercall.unknown_60", hypercall1(60, 0), -XEN_ENOSYS);
}

static void check_multicall(void) {
    multicall_entry_t calls[3] = {{.op = __HYPERVISOR_xen_version, .args = {XENVER_version, 0}},
                                  {.op = __HYPERVISOR_xen_version, .args = {99, 0}},
                                  {.op = __HYPERVISOR_xen_version, .args = {XENVER_pagesize, 0}}};

    test_equal("multicall.all", hv_multicall(calls, 3), 0);
    test_equal("multicall.first", (long)calls[0].result, hv_xen_version(XENVER_version, NULL));
    test_equal("multicall.error", (long)calls[1].result, -XEN_ENOSYS);
    test_equal("multicall.after_error", (long)calls[2].result, 4096);
    test_equal("multicall.none", hv_multicall(calls, 0), 0);
}

#define MANY 4096U
#define NOT_YET 0x5a5aUL /* as a result: the call was not made */

static multicall_entry_t many[MANY];
static bool came_between;

/* In place of the SDK's, and good for it. */
static void on_timer(unsigned port) {
    (void)port;
    cpu_this()->timer_fired++;
    came_between |= many[0].result != NOT_YET && many[MANY - 1].result == NOT_YET;
}

/* Long work stops for a timer. On a busy machine that may be due before the first call, or after the last. */
static void check_interrupted(void) {
    event_set_handler(cpu_this()->timer_port, on_timer);
    for (unsigned tries = 0; tries < 100 && !came_between; tries++) {
        for (unsigned i = 0; i < MANY; i++)
            many[i] =
                (multicall_entry_t){.op = __HYPERVISOR_xen_version, .result = NOT_YET, .args = {XENVER_pagesize, 0}};
        hv_set_timer_op(clock_now() + MILLISECOND / 20);
        hv_multicall(many, MANY);
    }
    test_check("multicall.interrupted", came_between, "no timer's event came between its calls");
}

static void check_vm_assist(void) {
    test_equal("vm_assist.writable_pagetables", hv_vm_assist(VMASST_CMD_enable, VMASST_TYPE_writable_pagetables), 0);
    test_equal("vm_assist.4gb_segments", hv_vm_assist(VMASST_CMD_enable, VMASST_TYPE_4gb_segments), 0);
    test_equal("vm_assist.runstate_flag", hv_vm_assist(VMASST_CMD_enable, VMASST_TYPE_runstate_update_flag), 0);
    test_equal("vm_assist.unknown_type", hv_vm_assist(VMASST_CMD_enable, 63), -XEN_EINVAL);
    test_equal("vm_assist.unknown_command", hv_vm_assist(9, VMASST_TYPE_writable_pagetables), -XEN_ENOSYS);
}

void check_version(void) {
    check_questions();
    check_unknown();
    check_multicall();
    check_interrupted();
    check_vm_assist();
}
