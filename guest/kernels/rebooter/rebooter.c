// SPDX-License-Identifier: MIT
/*
 * Background: restart policies need a guest that asks for a reboot.
 * Scenario: print a line, then SHUTDOWN_reboot at once.
 * Good: the domain starts again, as often as its policy says. Bad: it is gone, or its memory is.
 */
#include <sdk/sdk.h>

const char kernel_name[] = "rebooter";

void kernel_main(void) {
    printf("rebooter: rebooting\n");
    shutdown(SHUTDOWN_reboot);
}
