/* SPDX-License-Identifier: MIT */
/*
 * What a kernel finds when it starts and how it ends: start_info, shared_info, the command line, the two
 * symbols a kernel defines, and shutdown.
 */
#ifndef SDK_START_H
#define SDK_START_H

#include <sdk/types.h>

/* Defined by each kernel. When kernel_main returns, results are summed up and the machine ends. */
extern const char kernel_name[];
void kernel_main(void);

extern struct start_info *start_info;
extern struct shared_info *shared_info;
/* Where the image was linked to start: virtual address of pseudo-physical frame 0. */
extern uint8_t kernel_virt_base[], image_start[], image_end[];

/* The first says where to print; the second, who has the machine: its memory map, ports, other domains. */
static inline bool is_privileged(void) {
    return start_info->flags & (SIF_PRIVILEGED | SIF_INITDOMAIN);
}
static inline bool is_control_domain(void) {
    return start_info->flags & SIF_INITDOMAIN;
}

/* Command line: `word` alone, or `key=value`. */
bool cmdline_has(const char *word);
const char *cmdline_value(const char *key, char *value, size_t size);
unsigned long cmdline_number(const char *key, unsigned long otherwise);

/* Prints what is left in the console ring, then ends with a SHUTDOWN_ reason. */
void shutdown(unsigned reason) __attribute__((noreturn));
/* One line, then SHUTDOWN_crash. */
void panic(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

#endif
