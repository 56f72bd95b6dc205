// SPDX-License-Identifier: MIT
/*
 * Background: the control domain drives the machine's devices: it reaches their ports, memory and configuration space
 *   itself, and has their interrupts as event channels (physdev_op, EVTCHNOP_bind_pirq).
 * Scenario: as the first domain, on a machine with QEMU's devices edu and e1000e: ports that are its own and that are
 *   not, every sub-operation with good and bad arguments, then real interrupts: a level-triggered line, edges, a
 *   message, messages of a table; masked, closed, moved to another vCPU.
 * Good: PASS lines. Bad: FAIL: an interrupt lost, one too many, or another errno. A hang is an interrupt that came
 *   again and again. Without the devices, and as an ordinary domain, what needs them is skipped.
 */
#include "devices.h"

const char kernel_name[] = "devices";

void kernel_main(void) {
    struct physdev_set_iopl io = {1};

    if (!(start_info->flags & SIF_INITDOMAIN)) {
        test_skip("devices", "not the control domain");
        return;
    }
    test_equal("iopl", hv_physdev_op(PHYSDEVOP_set_iopl, &io), 0);
    check_ports();
    check_calls();
    check_interrupts();
}
