/* SPDX-License-Identifier: MIT */
/*
 * debug: the report of a panic, names of functions, and the watchdog over stuck CPUs; and in debug builds the checks of
 * our own invariants. docs/debugging.md has examples.
 */
#ifndef PV_DEBUG_H
#define PV_DEBUG_H

#include <pv/cpu.h>
#include <pv/regs.h>

struct page;
struct vcpu;

/* --- panics; panic() itself is declared in <pv/lib.h> --- */
/* The same with the registers of an exception, which the backtrace starts from. */
void panic_at(const struct regs *r, const char *fmt, ...) __printf(2, 3) __noreturn;
/* This CPU got an NMI: from another that panics, or that finds this one stuck. Returns if there is nothing to do. */
void debug_nmi(const struct regs *r);
/* Reads the options: panic=halt|reboot. */
void debug_init(void);
/* From now on CPUs look at each other, and one that is stuck makes the hypervisor panic. */
void debug_watch_cpus(void);

/* --- debug builds only (hypervisor/debug/checks); call under `if (DEBUG)` --- */
/* failcpu=APICID: that CPU is not to start. */
bool debug_cpu_fails(u32 apic_id);
/* Before there are guests: reads options. */
void debug_init_checks(void);
/* The guests are there: what runs from time to time, and fault=. */
void debug_start_checks(void);

/* On the way to a guest or to sleep: no lock is held, the stack has not been used to its end. */
void debug_run_loop(void);
/* A hypercall was refused, ERESTART excepted. The log gets the first ones and then some of each second. */
void debug_refused(const struct vcpu *v, u64 number, const u64 *arg, long rc);
/* Counts all references and uses anew and panics if one is wrong. No lock is held, and nothing is half done. */
void debug_audit(void);
/* Shall this allocation fail? */
bool debug_allocation_fails(void);
/* The n-th allocation of this CPU from now on fails, once; 0: none. How many are left until then. */
void debug_fail_allocation(u64 n);
u64 debug_allocations_left(void);
/* What this CPU allocates now is for a guest's hypercall. */
void debug_in_hypercall(bool in);
/* Makes something that takes many allocations: NULL, or why not, with nothing left of it. */
struct debug_maker {
    const char *(*make)(void *arg);
    void (*unmake)(void *arg);
    void *arg;
};
const char *debug_make(const struct debug_maker *m);
/* Before a lock is waited for, once it was got, and before it is released. */
void locks_may_take(const void *lock, enum lock_class of_class);
void locks_taken(const void *lock, enum lock_class of_class, const void *where);
void locks_released(const void *lock);
/* Memory that nobody owns any more, and before it is given away again: written meanwhile? Frames remember in their type
 * word whether they were poisoned; those that the heap was given at boot were not. */
void debug_poison(void *p, size_t n);
void debug_check_poison(const void *p, size_t n);
void debug_poison_frames(struct page *pg, u64 n);
void debug_check_frames(const struct page *pg, u64 n);
/* The stack of a CPU is new. */
void debug_stack_made(u64 bottom);

/* --- names --- */
/* "name+0x12/0x40", or "?" if the address is not in the image's code. The gate's running addresses are known as well.
 */
void debug_format_address(char *buf, size_t size, u64 address);

#endif
