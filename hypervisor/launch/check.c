// SPDX-License-Identifier: MIT
/* A launch plan against the machine: are the modules there, does the memory suffice, do the pinned CPUs exist? */
#include "internal.h"

struct checker {
    const char *file;
    launch_report_fn report;
    void *arg;
    int problems;
};

static void leave_out(struct checker *ck, struct launch_guest *guest, const char *key, uint32_t line,
                      const char *expected, const char *found) {
    struct launch_problem problem = {
        .file = ck->file,
        .line = line,
        .guest = guest->name,
        .key = key,
        .expected = expected,
        .found = found,
        .found_len = launch_text_len(found),
    };

    guest->bad = true;
    ck->problems++;
    if (ck->report)
        ck->report(ck->arg, &problem);
}

int launch_check_modules(struct launch_plan *plan, const char *file, launch_has_module_fn has, void *has_arg,
                         launch_report_fn report, void *arg) {
    static const char expected[] = "the name of a boot module that was loaded";
    struct checker ck = {.file = file, .report = report, .arg = arg};

    for (size_t i = 0; i < plan->nr_guests; i++) {
        struct launch_guest *guest = &plan->guests[i];

        if (!has(has_arg, guest->kernel))
            leave_out(&ck, guest, "kernel", guest->kernel_line, expected, guest->kernel);
        if (guest->ramdisk[0] && !has(has_arg, guest->ramdisk))
            leave_out(&ck, guest, "ramdisk", guest->ramdisk_line, expected, guest->ramdisk);
    }
    launch_plan_compact(plan);
    return ck.problems;
}

int launch_check_memory(struct launch_plan *plan, const char *file, uint64_t available, launch_report_fn report,
                        void *arg) {
    struct checker ck = {.file = file, .report = report, .arg = arg};
    char expected[64], found[32];

    for (size_t i = 0; i < plan->nr_guests; i++) {
        struct launch_guest *guest = &plan->guests[i];

        if (guest->memory <= available) {
            available -= guest->memory;
            continue;
        }
        launch_format_count(expected, sizeof(expected), "at most the ", available >> 20, "M that are free");
        launch_format_count(found, sizeof(found), "", guest->memory >> 20, "M");
        leave_out(&ck, guest, "memory", guest->memory_line, expected, found);
    }
    launch_plan_compact(plan);
    return ck.problems;
}

/* The highest CPU a guest is pinned to. */
static uint32_t highest_pin(const struct launch_guest *guest) {
    uint32_t cpu = LAUNCH_MAX_CPUS - 1;

    while (cpu && !(guest->pin[cpu / 64] >> (cpu % 64) & 1))
        cpu--;
    return cpu;
}

int launch_check_cpus(struct launch_plan *plan, const char *file, uint32_t nr_cpus, launch_report_fn report,
                      void *arg) {
    struct checker ck = {.file = file, .report = report, .arg = arg};
    char expected[64], found[32];

    for (size_t i = 0; i < plan->nr_guests; i++) {
        struct launch_guest *guest = &plan->guests[i];

        if (!guest->pinned || highest_pin(guest) < nr_cpus)
            continue;
        launch_format_count(expected, sizeof(expected), "CPUs below ", nr_cpus, "");
        launch_format_count(found, sizeof(found), "", highest_pin(guest), "");
        leave_out(&ck, guest, "pin", guest->pin_line, expected, found);
    }
    launch_plan_compact(plan);
    return ck.problems;
}

const char *launch_module_name(const char *string, size_t *len) {
    const char *name = string, *p = string;

    for (; *p && !launch_is_blank(*p); p++)
        if (*p == '/')
            name = p + 1;
    *len = (size_t)(p - name);
    return name;
}

bool launch_module_is(const char *string, const char *name) {
    struct span s;

    s.p = launch_module_name(string, &s.len);
    return launch_span_is(s, name);
}

bool launch_module_is_file(const char *string) {
    static const char suffix[] = ".launch";
    const size_t want = sizeof(suffix) - 1;
    struct span s;

    s.p = launch_module_name(string, &s.len);
    return s.len > want && launch_span_is((struct span){s.p + s.len - want, want}, suffix);
}

bool launch_line_is_ready(const struct launch_guest *guest, const char *line, size_t len) {
    size_t want = launch_text_len(guest->ready);

    for (size_t at = 0; at + want <= len; at++) {
        size_t i = 0;

        while (i < want && line[at + i] == guest->ready[i])
            i++;
        if (i == want)
            return true;
    }
    return false;
}
