// SPDX-License-Identifier: MIT
/*
 * Background: the tools of the control domain make, watch, change and end other domains by domctl, sysctl and
 * privileged forms of other calls. Scenario: each operation that the stock tools use, by the control domain itself,
 * with good and with bad arguments, on domains that are made for it. `only=<area>` runs a single area. Good: PASS lines
 * only. Bad: any FAIL: an answer other than Xen 4.17's, or something that a domain leaves behind.
 */
#include "control.h"

const char kernel_name[] = "control";

static const struct {
    const char *name;
    void (*check)(void);
} areas[] = {
    {"versions", check_versions}, {"create", check_create}, {"life", check_life},         {"host", check_host},
    {"memory", check_memory},     {"vcpus", check_vcpus},   {"m2p", check_m2p},           {"refused", check_refused},
    {"run", check_run},           {"cycles", check_cycles}, {"failures", check_failures},
};

void kernel_main(void) {
    char only[24] = "";

    if (!is_control_domain()) {
        test_skip("control", "this needs the control domain");
        return;
    }
    cmdline_value("only", only, sizeof(only));
    for (unsigned i = 0; i < ARRAY_SIZE(areas); i++)
        if (!only[0] || !strcmp(only, areas[i].name))
            areas[i].check();
}
