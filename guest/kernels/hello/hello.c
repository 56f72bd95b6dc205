// SPDX-License-Identifier: MIT
/*
 * Background: the smallest useful guest, to see that a domain starts, prints and ends.
 * Scenario: print version, memory, vCPUs, command line and time, then shut down. With `stay` on the command
 * line it blocks for ever instead, waking each second; with `tick=1` it prints a line each time.
 * Good: the greeting, then RESULT. Bad: silence, or a PANIC line.
 */
#include <sdk/sdk.h>

const char kernel_name[] = "hello";

static void print_version(void) {
    xen_extraversion_t extra = "";
    xen_capabilities_info_t caps = "";
    long version = hv_xen_version(XENVER_version, NULL);

    hv_xen_version(XENVER_extraversion, extra);
    hv_xen_version(XENVER_capabilities, &caps);
    printf("hello: hypervisor %ld.%ld%s (%s), magic %s\n", version >> 16, version & 0xffff, extra, caps,
           start_info->magic);
}

static void print_domain(void) {
    printf("hello: %lu KiB, %lu free, %u vCPUs, flags 0x%x, command line \"%s\"\n", start_info->nr_pages * 4,
           page_count_free() * 4, cpu_count_possible(), start_info->flags, (const char *)start_info->cmd_line);
    printf("hello: TSC %lu kHz, system time %lu us, wall clock %lu s\n", clock_tsc_khz(), clock_now() / 1000,
           clock_wall_seconds());
}

static void stay(void) {
    uint64_t next = clock_now();

    for (unsigned long tick = 1;; tick++) {
        clock_sleep_until(next += SECOND);
        if (cmdline_number("tick", 0))
            printf("tick %lu\n", tick);
    }
}

void kernel_main(void) {
    print_version();
    print_domain();
    if (cmdline_has("stay"))
        stay();
    test_pass("hello");
}
