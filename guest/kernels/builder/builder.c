// SPDX-License-Identifier: MIT
/*
 * Background: the ABI's other half belongs to the control domain. A kernel that does its work shows both
 *   halves together, and gives every other test kernel an unprivileged domain to run in.
 * Scenario: build a domain from the kernel in the ramdisk, with `memory=<MiB>` and `vcpus=<n>`; all that
 *   follows `--` is its command line. Print what comes through its console, each line behind "| ", until it
 *   ends. `expect=poweroff|reboot|crash` says how it should.
 * Good: the guest's own RESULT line, and it ends as expected. Bad: any refusal while building, or silence.
 */
#include "builder.h"

#include <xen/io/console.h>

const char kernel_name[] = "builder";

static struct guest guest;

static const char *guest_cmdline(void) {
    for (const char *at = (const char *)start_info->cmd_line; *at; at++)
        if (!strncmp(at, "-- ", 3))
            return at + 3;
    return "";
}

static void put_char(char c) {
    static char line[256];
    static size_t n;

    if (c != '\n')
        line[n++] = c;
    if (c == '\n' || n == sizeof(line) - 1) {
        line[n] = 0;
        printf("| %s\n", line);
        n = 0;
    }
}

static void drain_console(void) {
    volatile struct xencons_interface *ring = space_at(&guest, guest.console);
    uint32_t cons = ring->out_cons, prod = __atomic_load_n(&ring->out_prod, __ATOMIC_ACQUIRE);

    if (cons == prod || prod - cons > sizeof(ring->out))
        return;
    while (cons != prod)
        put_char(ring->out[MASK_XENCONS_IDX(cons++, ring->out)]);
    __atomic_store_n(&ring->out_cons, cons, __ATOMIC_RELEASE);
    event_send(guest.console_port);
}

static const char *reason_name(unsigned reason) {
    static const char *const names[] = {"poweroff", "reboot", "suspend", "crash", "watchdog"};

    return reason < ARRAY_SIZE(names) ? names[reason] : "unknown";
}

void kernel_main(void) {
    char expected[16] = "poweroff";
    unsigned reason = 0;

    if (!is_control_domain() || !start_info->mod_len) {
        test_skip("builder", "this needs a privileged domain, and a kernel as its ramdisk");
        return;
    }
    cmdline_value("expect", expected, sizeof(expected));
    guest.vcpus = (unsigned)cmdline_number("vcpus", 1);
    guest.nr_pages = cmdline_number("memory", 32) << (20 - PAGE_SHIFT);
    if (!build_create(&guest) || !build_fill(&guest, guest_cmdline()) ||
        !test_equal("build.unpause", control_unpause(&guest), 0))
        return;
    do {
        drain_console();
        clock_sleep(MILLISECOND);
    } while (!control_has_ended(&guest, &reason));
    drain_console();
    test_check("guest.ended", !strcmp(reason_name(reason), expected), "ended by %s", reason_name(reason));
    pt_unmap(ARG(space_at(&guest, guest.console)));
    test_equal("guest.destroy", control_destroy(&guest), 0);
}
