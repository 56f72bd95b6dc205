/* SPDX-License-Identifier: MIT */
/* A program that measures from inside dom0 and its guests: disks, networks, the hypervisor's free memory. */
#ifndef METER_H
#define METER_H

#include <stddef.h>
#include <stdint.h>

enum { PORT = 7000 };

/* Prints a sentence, and why, to the error output; ends the program. */
void fail(const char *what) __attribute__((noreturn));
uint64_t now_ns(void);

/* A set of durations: "NAME count min median mean p99 max" in microseconds. */
void print_durations(const char *name, uint64_t *ns, size_t count);
void print_rate(const char *name, uint64_t bytes, uint64_t ns);

/* Commands: they get what follows their name, and return the exit status. */
int disk_main(char **argv);
int serve_main(char **argv);
int run_main(char **argv);
int stream_main(char **argv);
int rtt_main(char **argv);
int free_main(char **argv);

/* Places by which a plugin of the emulator sees a measurement begin and end. */
void meter_mark_begin(void);
void meter_mark_end(void);

#endif
