// SPDX-License-Identifier: MIT
/*
 * Background: schedulers are judged by what busy guests get done.
 * Scenario: every vCPU (or the first `vcpus=N`) counts as fast as it can; each second of system time vCPU 0
 *   prints `work=N`, the units done by all in that second (`every=N`: in N seconds, with nothing asked of the
 * hypervisor meanwhile). With `seconds=N` it ends after that many times. Good: steady numbers in the proportion of the
 * weights. Bad: a guest that starves.
 */
#include <sdk/sdk.h>

const char kernel_name[] = "spin";

static volatile unsigned long work[MAX_CPUS][8]; /* one cache line each */

static void unit(unsigned id) {
    for (unsigned i = 0; i < 1000; i++)
        barrier();
    work[id][0]++;
}

static void spin(void *arg) {
    (void)arg;
    for (;;)
        unit(cpu_this()->id);
}

static unsigned long total(void) {
    unsigned long sum = 0;

    for (unsigned id = 0; id < MAX_CPUS; id++)
        sum += work[id][0];
    return sum;
}

void kernel_main(void) {
    unsigned vcpus = (unsigned)cmdline_number("vcpus", cpu_count_possible());
    unsigned long seconds = cmdline_number("seconds", 0), last = 0, now;
    uint64_t period = cmdline_number("every", 1) * SECOND, next = clock_now() + period;

    for (unsigned id = 1; id < vcpus; id++)
        cpu_start(id, spin, NULL);
    for (unsigned long n = 1; !seconds || n <= seconds; n++) {
        while (clock_now() < next)
            unit(0);
        now = total();
        printf("work=%lu\n", now - last);
        last = now;
        next += period;
    }
    test_pass("spin");
}
