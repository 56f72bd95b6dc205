/* SPDX-License-Identifier: MIT */
/*
 * host: what the unit tests have in place of the machine and of the rooms they leave out. Every function in host.c is
 * a weak symbol: a test that links the real one, or writes its own, gets that.
 *
 * Include this first, then <cmocka.h>. (pv/lib.h and <stdlib.h> do not go together.)
 */
#ifndef TESTS_UNIT_HOST_H
#define TESTS_UNIT_HOST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pv/domain.h>
#include <pv/heap.h>

extern u64 host_now;               /* what time_now() says */
extern _Thread_local u32 host_cpu; /* what this_cpu() is */
extern bool host_quiet;            /* printk says nothing */

extern bool host_preempt; /* what preempt_pending() says */

/* Makes CPUs 0 .. n-1 exist, with no requests. */
void host_set_cpus(u32 n);
/* The requests posted for a CPU since the last call. */
u32 host_take_requests(u32 cpu);

/* The heap: how many allocations succeed before all fail (-1: no limit), and how many are alive. */
extern long host_heap_budget;
/* The allocation that brings this to 0 fails, in the hypervisor's own heap; 0: none. */
extern u32 host_fail_at;
extern long host_heap_live;

/* Kicks since the last host_take_kicks(), as a mask of vCPU ids. */
u64 host_take_kicks(void);

/* Runs an expression that should panic: true if it did.  if (HOST_PANICS(f(x))) ... */
extern jmp_buf *host_panic_to;
#define HOST_PANICS(expr)                                                                                              \
    ({                                                                                                                 \
        jmp_buf host_jb_;                                                                                              \
        volatile bool host_did_ = true;                                                                                \
        host_panic_to = &host_jb_;                                                                                     \
        if (!setjmp(host_jb_)) {                                                                                       \
            (void)(expr);                                                                                              \
            host_did_ = false;                                                                                         \
        }                                                                                                              \
        host_panic_to = NULL;                                                                                          \
        host_did_;                                                                                                     \
    })

/* A domain with shared_info and vCPUs that have their vcpu_info in it, found by domain_by_id(). No room's init ran. */
struct domain *host_domain(domid_t id, u32 vcpus);
void host_domain_free(struct domain *d);

/* A reproducible random number; the seed is any value. */
u64 host_random(u64 *seed);

/* For models: where random choices come from, and how many steps are left; arg is a struct host_choices. */
struct host_choices {
    u64 seed, left;
};
u32 host_choose(void *arg, u32 n);
bool host_more(void *arg);
/* A number from the environment. */
u64 host_number(const char *name, u64 otherwise);

#endif
