/* SPDX-License-Identifier: MIT */
/*
 * struct cpu: what each physical CPU of the host has of its own. One CPU number is one index into cpus[].
 *
 * A member without a note is written by its own CPU only, with interrupts off.
 */
#ifndef PV_CPU_H
#define PV_CPU_H

#include <pv/lib.h>

#define MAX_CPUS 64

struct vcpu;
struct gate_const;

/* The work a CPU has to do before it next enters a guest; set by anyone with cpu_request(). */
enum cpu_request_bit {
    CPU_REQ_RESCHED = 1 << 0,   /* ask the scheduler again */
    CPU_REQ_RECOMPOSE = 1 << 1, /* the current vCPU's L4 changed: compose the CPU roots anew */
    CPU_REQ_TIMER = 1 << 2,     /* run expired timers, program the next deadline */
    CPU_REQ_WORK = 1 << 3,      /* run the deferred console and host work */
};

/* A guest root, and what it was composed for: these bases, when the domain's l4_epoch was `epoch`. 0: nothing that may
 * be used again. */
struct guest_root {
    u64 *table; /* direct map */
    u64 epoch;
    u64 high_epoch; /* of its kernel half alone */
    mfn_t base, user_base;
    u32 groups; /* groups of 16 slots that may be filled */
};
#define ROOT_SETS 8
#define ROOT_WAYS 2

/* What the upper levels under a base say about a region of 2 MiB, when the domain's walk_epoch was `epoch`; 0: nothing.
 * See mm/walk.c. */
struct walk {
    u64 region;
    mfn_t base;
    u64 epoch;
    const u64 *table; /* the L1 table, direct map */
    u64 keep, set;    /* what they leave of its entries, and add to them */
};
#define NR_WALKS 16
#define REGION_SHIFT 21

struct cpu {
    u32 id;
    u32 apic_id;
    u32 acpi_id;
    bool online;

    struct vcpu *current; /* the vCPU whose state is loaded, NULL while idle */
    u32 requests;         /* enum cpu_request_bit, atomic: written by every CPU */

    /* TLB bookkeeping, see docs/memory.md. in_guest is set before a guest root is loaded and cleared after the
     * hypervisor root is: a CPU that is not in a guest uses no translation of any guest. */
    u32 in_guest;
    u64 entries;   /* times the hypervisor was entered on this CPU: changes when a kicked CPU came out of its guest */
    u64 rounds;    /* work done outside guests: with `entries`, what shows that the CPU goes on */
    u64 tlb_clock; /* value of the global TLB clock at the last entry */
    /* What the CPU kept of its guest's translations when it came out: see mm/tlb.c. */
    u64 guest_tag;  /* their PCID, 0: this CPU keeps none */
    u64 kept_root;  /* the root they were made with, 0: none are kept */
    u32 kept_clock; /* the TLB clock when that root was last loaded without any */

    u64 *hyp_root;                                /* this CPU's hypervisor L4, direct map */
    struct guest_root root[ROOT_SETS][ROOT_WAYS]; /* for kernels, and their user mode if fused: see mm/compose.c */
    struct guest_root *kernel_root;               /* the current vCPU's of those */
    struct guest_root user_root;                  /* for split vCPUs */
    u64 *gate_l1;                                 /* the leaf table of the gate slot, in both kinds of root */
    struct gate_const *gate_const;
    void *gate_gdt; /* the page of reserved descriptors */
    void *gate_tss;
    u64 stack_top; /* the hypervisor stack of this CPU */
    u64 nmi_stack_top;

    bool idle;        /* halted, or about to be */
    u64 slice_end;    /* when the scheduler wants to be asked again, ns */
    u64 deadline;     /* what the one-shot timer is programmed to, ns */
    u64 deadline_tsc; /* the same as a TSC */
    bool gate_dirty;  /* the gate slot does not show the current vCPU's pages yet */

    u64 guest_ns_start; /* time of the last entry into a guest, for accounting */

    struct walk walks[NR_WALKS]; /* the last ones, whose-ever */
};

extern struct cpu *cpus[MAX_CPUS];
extern u32 nr_cpus; /* CPUs that are online, numbered 0 .. nr_cpus - 1 */

/* This CPU. (On the host build: a variable the test sets.) */
struct cpu *this_cpu(void);

/* Posts work for a CPU and, if it runs a guest or sleeps, interrupts it. Any lock may be held. */
void cpu_request(struct cpu *c, u32 bits);
/* Interrupts each CPU of the mask that is in a guest and waits till it has come out: on its way back it drops its
 * guest's translations if the TLB clock went on, or a root was composed anew, before this call. The calling CPU is
 * skipped: it does so as well. */
void cpu_flush_guests(u64 cpu_mask);

/* For long work of the host that no guest can cause: it is under way, and no reason to believe the CPU stuck. */
static inline void cpu_goes_on(void) {
    struct cpu *c = this_cpu();

    WRITE_ONCE(c->rounds, c->rounds + 1);
}
/* A round of waiting for another CPU. Now and then it looks whether the others still go on (hypervisor/debug/stuck.c);
 * awaited: the one that shall leave its guest, or NULL. */
void cpu_look_at_others(struct cpu *awaited);
static inline void cpu_wait(u32 *rounds, struct cpu *awaited) {
    __builtin_ia32_pause();
    if (unlikely(!(++*rounds & 0xffff)))
        cpu_look_at_others(awaited);
}

#endif
