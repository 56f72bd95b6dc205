// SPDX-License-Identifier: MIT
/*
 * Background: restart policies need a guest that asks for a reboot.
 * Scenario: print a line, give a second vCPU's record a place of its own, which the hypervisor holds, then
 *   SHUTDOWN_reboot.
 * Good: the domain starts again, as often as its policy says. Bad: it is gone, or its memory is.
 */
#include <sdk/sdk.h>

const char kernel_name[] = "rebooter";

void kernel_main(void) {
    struct vcpu_register_vcpu_info place = {.mfn = virt_to_mfn(page_alloc())};

    printf("rebooter: rebooting\n");
    hv_vcpu_op(VCPUOP_register_vcpu_info, 1, &place);
    shutdown(SHUTDOWN_reboot);
}
