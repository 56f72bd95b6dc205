// SPDX-License-Identifier: MIT
/*
 * Background: restart policies need a guest that asks for a reboot.
 * Scenario: give the records of this vCPU and of a second one, if there is one, places of their own, which the
 * hypervisor holds; print how many; then SHUTDOWN_reboot. Good: the domain starts again, as often as its policy says.
 * Bad: it is gone, or its memory is; upcalls without end.
 */
#include <sdk/sdk.h>

const char kernel_name[] = "rebooter";

void kernel_main(void) {
    unsigned moved = 0;

    for (unsigned id = 0; id < 2 && id < cpu_count_possible(); id++)
        moved += !cpu_move_info(id);
    printf("rebooter: rebooting, %u records moved\n", moved);
    shutdown(SHUTDOWN_reboot);
}
