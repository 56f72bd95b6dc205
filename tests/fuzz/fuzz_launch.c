// sources: hypervisor/launch/parse.c hypervisor/launch/keys.c hypervisor/launch/check.c hypervisor/launch/message.c
// SPDX-License-Identifier: MIT
/* Any bytes as a launch file: nothing is read or written out of bounds, and a finished plan keeps its promises. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <pv/launch.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct launch_plan plan;

static void require(bool ok) {
    if (!ok)
        abort();
}

static void check_message(void *arg, const struct launch_problem *problem) {
    char buf[80];

    (void)arg;
    launch_format_problem(problem, buf, sizeof(buf));
    require(memchr(buf, 0, sizeof(buf)) != NULL);
}

static bool has_module(void *arg, const char *name) {
    (void)arg;
    return name[0] & 1;
}

static void check_guest(const struct launch_guest *g) {
    require(!g->bad && g->name[0] && g->kernel[0] && g->ready[0]);
    require(memchr(g->name, 0, sizeof(g->name)) && memchr(g->kernel, 0, sizeof(g->kernel)) &&
            memchr(g->ramdisk, 0, sizeof(g->ramdisk)) && memchr(g->cmdline, 0, sizeof(g->cmdline)) &&
            memchr(g->ready, 0, sizeof(g->ready)));
    require(g->vcpus >= 1 && g->vcpus <= LAUNCH_MAX_VCPUS && g->weight >= 1 && g->weight <= 65535);
    require(g->memory >= 4096 && g->memory % 4096 == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    int problems = launch_parse((const char *)data, size, "f", &plan, check_message, NULL);

    require(problems >= 0 && plan.nr_guests <= LAUNCH_MAX_GUESTS);
    for (size_t i = 0; i < plan.nr_guests; i++)
        check_guest(&plan.guests[i]);
    launch_check_cpus(&plan, "f", 2, check_message, NULL);
    launch_check_memory(&plan, "f", 1ull << 30, check_message, NULL);
    launch_check_modules(&plan, "f", has_module, NULL, check_message, NULL);
    return 0;
}
