/* SPDX-License-Identifier: MIT */
/*
 * The launch file: which guests to start at boot, with what, and what to do when they end.
 *
 *     # a comment
 *     [debian]                      a guest; the section's name is the guest's
 *     kernel   = vmlinux-6.1        a boot module, by the last path component of its string's first word
 *     ramdisk  = linux.cpio.gz
 *     cmdline  = console=hvc0 quiet
 *     memory   = 512M
 *     vcpus    = 2
 *
 * docs/launch-file.md lists all keys. The room is pure: it reads text and fills a plan; building the guests is for
 * others. It keeps no pointer into the text. Whatever is wrong with a section is reported with file, line, key and
 * what was expected, and that guest alone is left out of the plan.
 */
#ifndef PV_LAUNCH_H
#define PV_LAUNCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LAUNCH_MAX_GUESTS 128
#define LAUNCH_MAX_VCPUS 32
#define LAUNCH_MAX_CPUS 256
#define LAUNCH_MAX_TEXT (256u << 10)
#define LAUNCH_NAME_SIZE 32
#define LAUNCH_MODULE_SIZE 64
#define LAUNCH_CMDLINE_SIZE 1024 /* the ABI's MAX_GUEST_CMDLINE */
#define LAUNCH_READY_SIZE 64
#define LAUNCH_GUEST_CHANNELS 4
#define LAUNCH_NO_LIMIT UINT32_MAX

#define LAUNCH_DEFAULT_MEMORY (256ull << 20)
#define LAUNCH_DEFAULT_WEIGHT 256
#define LAUNCH_DEFAULT_RESTART_LIMIT 10

enum launch_action { LAUNCH_HALT, LAUNCH_RESTART };

struct launch_guest {
    char name[LAUNCH_NAME_SIZE];
    char kernel[LAUNCH_MODULE_SIZE];
    char ramdisk[LAUNCH_MODULE_SIZE]; /* empty: none */
    char cmdline[LAUNCH_CMDLINE_SIZE];
    char ready[LAUNCH_READY_SIZE]; /* console text that tells the guest is up; "READY" unless given */
    uint64_t memory;               /* bytes, a multiple of 4096 */
    uint64_t pin[LAUNCH_MAX_CPUS / 64];
    uint32_t vcpus;
    uint32_t weight;              /* 1..65535 */
    uint32_t cap;                 /* percent of one CPU, 0: none */
    uint32_t restart_limit;       /* restarts in all, or LAUNCH_NO_LIMIT */
    enum launch_action on_end;    /* the guest powered off */
    enum launch_action on_reboot; /* the guest asked to be restarted */
    enum launch_action on_crash;
    bool pinned; /* pin[] counts; else all CPUs */
    bool linear_page_tables;
    bool privileged; /* may print with console_io and power off the host */
    bool control;    /* the control domain: drives the machine, and may start other domains */
    uint32_t nr_channels;
    char channel[LAUNCH_GUEST_CHANNELS][LAUNCH_NAME_SIZE];

    /* Where things were said, for later messages. A key that was not given has the section's line. */
    uint32_t line, kernel_line, ramdisk_line, memory_line, pin_line, channel_line;
    bool bad; /* internal: to be left out; false in a finished plan */
};

struct launch_plan {
    size_t nr_guests;
    struct launch_guest guests[LAUNCH_MAX_GUESTS];
};

/*
 * One thing that is wrong. All strings live until the report function returns. `guest` and `key` may be "", `found` is
 * what stood there, not terminated and not clean (launch_format_problem makes it so); NULL where nothing stood there.
 */
struct launch_problem {
    const char *file;
    uint32_t line;
    const char *guest;
    const char *key;
    const char *expected;
    const char *found;
    size_t found_len;
};

typedef void (*launch_report_fn)(void *arg, const struct launch_problem *problem);

/* Fill *plan (the caller's, about 210 KiB) from text. Returns the number of problems reported; 0: all is well. */
int launch_parse(const char *text, size_t len, const char *file, struct launch_plan *plan, launch_report_fn report,
                 void *arg);

/*
 * Checks against the machine. Each reports what is wrong, takes those guests out of the plan, and returns the number of
 * problems. `file` is for the messages.
 */
typedef bool (*launch_has_module_fn)(void *arg, const char *name);
int launch_check_modules(struct launch_plan *plan, const char *file, launch_has_module_fn has, void *has_arg,
                         launch_report_fn report, void *arg);
/* Guests get their memory in the file's order; one that no longer fits is left out, a smaller one after it may fit. */
int launch_check_memory(struct launch_plan *plan, const char *file, uint64_t available, launch_report_fn report,
                        void *arg);
/* Pins must name CPUs below nr_cpus. */
int launch_check_cpus(struct launch_plan *plan, const char *file, uint32_t nr_cpus, launch_report_fn report, void *arg);

/*
 * The name of a boot module: the last path component of its string's first word, which need not be terminated by
 * anything but a blank or NUL. Returns its start and sets *len.
 */
const char *launch_module_name(const char *string, size_t *len);
/* Is this module string that of the module `name`? */
bool launch_module_is(const char *string, const char *name);
/* Is this module a launch file: does its name end in ".launch"? */
bool launch_module_is_file(const char *string);

/* "FILE:LINE: KEY: expected ..., found ... (guest NAME left out)", clean and terminated; size at least 1. */
void launch_format_problem(const struct launch_problem *problem, char *buf, size_t size);

/* Does a line of console output (not terminated) say that the guest is ready? */
bool launch_line_is_ready(const struct launch_guest *guest, const char *line, size_t len);

#endif
