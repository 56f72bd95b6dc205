// SPDX-License-Identifier: MIT
/*
 * Background: the whole range of what a PV kernel asks of its hypervisor, used as the ABI means it.
 * Scenario: each area in turn, one vCPU, every result compared with what the ABI (and Xen 4.17) gives.
 *   `only=<area>` on the command line runs a single area.
 * Good: PASS lines only (SKIP where a domain lacks the privilege). Bad: any FAIL, or a PANIC.
 */
#include "basics.h"

const char kernel_name[] = "basics";

bool expect_trap(const char *name, const struct probe *p, unsigned vector, uint64_t error) {
    return test_check(name, probe_trapped(p, vector, error), "expected trap %u error 0x%lx, saw %s", vector, error,
                      probe_describe(p));
}

bool expect_no_trap(const char *name, const struct probe *p) {
    return test_check(name, !p->trapped, "%s", probe_describe(p));
}

static const struct {
    const char *name;
    void (*check)(void);
} areas[] = {
    {"version", check_version},
    {"traps", check_traps},
    {"emulation", check_emulation},
    {"time", check_time},
    {"events", check_events},
    {"memory", check_memory},
    {"page_tables", check_page_tables},
    {"linear", check_linear},
    {"descriptors", check_descriptors},
    {"grants", check_grants},
    {"calls", check_calls},
    {"vcpu", check_vcpu},
};

void kernel_main(void) {
    char only[24] = "";

    cmdline_value("only", only, sizeof(only));
    for (unsigned i = 0; i < ARRAY_SIZE(areas); i++)
        if (!only[0] || !strcmp(only, areas[i].name))
            areas[i].check();
}
