/* SPDX-License-Identifier: MIT */
/*
 * debug: the report of a panic, names of functions, and the watchdog over stuck CPUs; and in debug builds the checks of
 * our own invariants. docs/debugging.md has examples.
 */
#ifndef PV_DEBUG_H
#define PV_DEBUG_H

#include <pv/cpu.h>
#include <pv/regs.h>

/* `make DEBUG=1`. An ordinary constant: what `if (DEBUG)` guards is compiled in every build and left out of releases.
 */
#ifndef PV_DEBUG
#define PV_DEBUG 0
#endif
enum { DEBUG = PV_DEBUG };

/* --- panics; panic() itself is declared in <pv/lib.h> --- */
/* The same with the registers of an exception, which the backtrace starts from. */
void panic_at(const struct regs *r, const char *fmt, ...) __printf(2, 3) __noreturn;
/* This CPU got an NMI: from another that panics, or that finds this one stuck. Returns if there is nothing to do. */
void debug_nmi(const struct regs *r);
/* Reads the options: panic=halt|reboot. */
void debug_init(void);

/* --- debug builds only (hypervisor/debug/checks); call under `if (DEBUG)` --- */
/* The guests are there: reads the options fault=, and starts what runs from time to time. */
void debug_start_checks(void);

/* --- names --- */
/* "name+0x12/0x40", or "?" if the address is not in the image's code. The gate's running addresses are known as well.
 */
void debug_format_address(char *buf, size_t size, u64 address);

#endif
