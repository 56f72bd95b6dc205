// SPDX-License-Identifier: MIT
/* paravane-launch-check: says about a launch file what the hypervisor would say, with the hypervisor's own reader. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pv/launch.h>

static const char help[] =
    "NAME\n"
    "    paravane-launch-check - check a launch file before booting with it\n"
    "\n"
    "SYNOPSIS\n"
    "    paravane-launch-check [--names] FILE [MODULE...]\n"
    "    paravane-launch-check --help\n"
    "\n"
    "DESCRIPTION\n"
    "    Reads FILE as the hypervisor does and prints the messages it would log: each names the file, the line, the\n"
    "    key and what was expected. With MODULEs, the boot modules' strings or paths, it also says which kernels and\n"
    "    ramdisks are not among them. Then it prints one line for each guest that would start.\n"
    "    With --names it prints, instead of these, only the modules that the guests need, each once, one a line.\n"
    "\n"
    "EXIT STATUS\n"
    "    0 all is well, 1 something was wrong, 2 wrong usage or FILE cannot be read.\n";

struct modules {
    char **strings;
    int count;
};

static struct launch_plan plan;
static char text[LAUNCH_MAX_TEXT + 1];

static void print_problem(void *arg, const struct launch_problem *problem) {
    char line[512];

    (void)arg;
    launch_format_problem(problem, line, sizeof(line));
    fprintf(stderr, "%s\n", line);
}

static bool has_module(void *arg, const char *name) {
    const struct modules *modules = arg;

    for (int i = 0; i < modules->count; i++)
        if (launch_module_is(modules->strings[i], name))
            return true;
    return false;
}

static bool read_text(const char *path, size_t *len) {
    FILE *f = fopen(path, "rb");
    bool ok;

    if (f)
        *len = fread(text, 1, sizeof(text), f);
    ok = f && !ferror(f);
    if (!ok)
        fprintf(stderr, "paravane-launch-check: %s: %s\n", path, strerror(errno));
    if (f)
        fclose(f);
    return ok;
}

static void print_guests(void) {
    for (size_t i = 0; i < plan.nr_guests; i++) {
        const struct launch_guest *g = &plan.guests[i];

        printf("%s: kernel %s, ramdisk %s, %lluM, %u vCPU%s\n", g->name, g->kernel, g->ramdisk[0] ? g->ramdisk : "none",
               (unsigned long long)(g->memory >> 20), g->vcpus, g->vcpus == 1 ? "" : "s");
    }
}

/* Was the name given as a module of an earlier guest, or is it this one's kernel? */
static bool is_repeated(size_t guest, const char *name, bool is_ramdisk) {
    if (is_ramdisk && strcmp(plan.guests[guest].kernel, name) == 0)
        return true;
    for (size_t i = 0; i < guest; i++)
        if (strcmp(plan.guests[i].kernel, name) == 0 || strcmp(plan.guests[i].ramdisk, name) == 0)
            return true;
    return false;
}

static void print_names(void) {
    for (size_t i = 0; i < plan.nr_guests; i++) {
        const struct launch_guest *g = &plan.guests[i];

        if (!is_repeated(i, g->kernel, false))
            printf("%s\n", g->kernel);
        if (g->ramdisk[0] && !is_repeated(i, g->ramdisk, true))
            printf("%s\n", g->ramdisk);
    }
}

static int check(const char *path, struct modules modules, bool names) {
    int problems;
    size_t len = 0;

    if (!read_text(path, &len))
        return 2;
    problems = launch_parse(text, len, path, &plan, print_problem, NULL);
    if (modules.count)
        problems += launch_check_modules(&plan, path, has_module, &modules, print_problem, NULL);
    if (names)
        print_names();
    else
        print_guests();
    return problems ? 1 : 0;
}

int main(int argc, char **argv) {
    bool names = argc > 1 && strcmp(argv[1], "--names") == 0;

    if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        fputs(help, stdout);
        return 0;
    }
    argc -= names;
    argv += names;
    if (argc < 2 || argv[1][0] == '-') {
        fprintf(stderr, "usage: paravane-launch-check [--names] FILE [MODULE...] (or --help)\n");
        return 2;
    }
    return check(argv[1], (struct modules){argv + 2, argc - 2}, names);
}
