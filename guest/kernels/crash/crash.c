// SPDX-License-Identifier: MIT
/*
 * Background: guests die; the hypervisor must notice, say so, and clean up.
 * Scenario: `how=shutdown` (default) ends with SHUTDOWN_crash; `how=fault` touches an unmapped address
 *   without a handler's help, which the SDK reports as a PANIC and then crashes; `how=nohandler` first takes
 *   the trap table away, so that the fault reaches nobody and the hypervisor must end the domain; `how=silence` sets a
 * watchdog of one second and then stands still.
 * Good: the hypervisor reports the end of this domain only. Bad: it goes on, or takes others along.
 */
#include <sdk/sdk.h>

const char kernel_name[] = "crash";

void kernel_main(void) {
    char how[16] = "shutdown";

    cmdline_value("how", how, sizeof(how));
    printf("crash: %s\n", how);
    console_flush();
    if (!strcmp(how, "silence")) {
        hv_sched_op(SCHEDOP_watchdog, &(struct sched_watchdog){.timeout = 1});
        for (;;)
            barrier();
    }
    if (!strcmp(how, "nohandler"))
        hv_set_trap_table(NULL);
    if (strcmp(how, "shutdown"))
        *(volatile long *)SCRATCH_VA = 1;
    shutdown(SHUTDOWN_crash);
}
