/* SPDX-License-Identifier: MIT */
/*
 * domain: guests (domains) and their virtual CPUs: life, death, state, and what other rooms keep in them.
 *
 * Life of a vCPU as a set of reasons not to run; it is runnable while the set is empty:
 *
 *     VCPU_DOWN ----VCPUOP_up---->  (none)  <---event--- VCPU_BLOCKED (sched_op block, poll)
 *         ^                          |  ^ \-------------> VCPU_BLOCKED
 *         \------VCPUOP_down---------/  \--resume/pause-- VCPU_PAUSED (host, counted in the domain)
 *
 * A domain is born by domain_create(), ends by domain_shutdown()/domain_crash(), and is taken apart by
 * domain_destroy(), which a restart precedes as well. An ended domain of a launch file is dying at once. One that the
 * control domain made waits for it: its vCPUs are VCPU_SHUT_DOWN until domain_resume() or domain_kill().
 *
 * Whoever finds a domain by its number and holds no lock that keeps it takes a reference (domain_get()). What a
 * reference keeps is the structure and its vCPUs, not that the domain lives.
 */
#ifndef PV_DOMAIN_H
#define PV_DOMAIN_H

#include <pv/abi.h>
#include <pv/cpu.h>
#include <pv/evtchn.h>
#include <pv/gnttab.h>
#include <pv/lib.h>
#include <pv/regs.h>
#include <pv/sched.h>
#include <pv/time.h>

#define MAX_VCPUS 64 /* of one domain */
#define MAX_DOMAINS 1024
#define GDT_GUEST_PAGES 14 /* FIRST_RESERVED_GDT_PAGE of the ABI */
#define LDT_PAGES 16
#define NR_VECTORS 256

struct domain;

enum vcpu_pause {
    VCPU_DOWN = 1 << 0,
    VCPU_BLOCKED = 1 << 1,
    VCPU_PAUSED = 1 << 2,
    VCPU_SHUT_DOWN = 1 << 3,
};

/* One entry of a guest's trap table, or one callback: where the guest kernel wants to be entered. */
struct guest_entry {
    u64 rip;   /* 0: none */
    u16 cs;    /* as given; the kernel's 64-bit code segment is what is used */
    u8 dpl;    /* trap table only: highest ring that may INT n it */
    bool mask; /* deliver with event upcalls masked */
};

/* What a page-fault, a software walk and the scheduler count for the host menu and `exits by kind`. */
enum vcpu_counter {
    COUNT_HYPERCALL,
    COUNT_SYSCALL,
    COUNT_PAGE_FAULT,
    COUNT_EXCEPTION,
    COUNT_EMULATION,
    COUNT_INTERRUPT,
    COUNT_PT_WRITE,
    COUNT_EVENT,
    COUNT_SWITCH,
    NR_COUNTERS
};

struct vcpu {
    struct domain *domain;
    u32 id;
    struct spinlock pause_lock; /* inside all locks but the scheduler's */
    u32 pause;                  /* enum vcpu_pause; lock: pause_lock; transitions by vcpu_pause_set/clear only */
    bool initialised;
    struct sched_entity sched; /* lock: the scheduler's */
    struct cpu *cpu;           /* where it runs, or ran last */

    /* Registers. The gate page is writable by the guest kernel: untrusted whenever the vCPU has run. */
    struct gate_vcpu *gate; /* direct map; holds regs and the mode flag */
    mfn_t gate_mfn;
    bool kernel_mode;    /* trusted copy of the mode, taken at each entry */
    bool fused;          /* one CPU root serves both rings */
    bool gate_stale;     /* what the gate was told about this vCPU changed: gate_set_fast_path() */
    bool fpu_dirty_ts;   /* CR0.TS as the guest set it */
    bool emul_preempted; /* the instruction under emulation is to be executed again, to go on */
    void *xsave_area;
    u64 fs_base, gs_base_kernel, gs_base_user; /* valid while not loaded */
    u16 ds, es, fs, gs;                        /* selectors, valid while not loaded */
    u64 debugreg[8];
    u64 cr0, cr2, cr4; /* what the guest sees */
    u32 iopl;
    u64 iobitmap;       /* guest address; a clear bit lets user mode use the port */
    u32 iobitmap_ports; /* how many it tells of */

    /* Memory: lock: domain->mm_lock for changes */
    mfn_t base;      /* kernel L4, a type and a plain reference held */
    mfn_t user_base; /* user L4, or MFN_INVALID */
    mfn_t gdt_frames[GDT_GUEST_PAGES];
    u32 gdt_ents;
    mfn_t ldt_frames[LDT_PAGES];
    u64 ldt_base;
    u32 ldt_ents;

    /* Entry points the guest asked for; those of traps are below */
    struct guest_entry event, failsafe, syscall, syscall32, sysenter;
    u64 kernel_sp; /* the gate's stack_switch changes its low half: gate_take_kernel_sp() */
    bool nmi_pending, nmi_masked;
    bool selectors_lost; /* one of ds, es, fs, gs did not load: the failsafe callback is due */

    struct vcpu_info *info; /* direct map, inside shared_info or a page the guest registered */
    mfn_t info_mfn;
    u64 poll_port_mask; /* nonzero: SCHEDOP_poll waits (any pending event wakes) */
    struct timer singleshot, periodic, poll;
    u64 periodic_ns;
    u64 runstate_area; /* guest virtual address, 0: none */
    struct vcpu_runstate_info runstate;
    gva_t time_area; /* secondary vcpu_time_info, 0: none */
    u64 count[NR_COUNTERS];
    bool tsc_stamped;

    /* Last, so that what each hypercall looks at lies together: the one of vector 2 is the NMI callback as well. */
    struct guest_entry trap[NR_VECTORS];
};

#define NR_WATCHDOGS 2

enum domain_end { END_HALT, END_RESTART };

struct domain {
    domid_t id;
    u32 users; /* references to the structure; atomic */
    char name[32];
    u32 nr_vcpus;
    struct vcpu *vcpu[MAX_VCPUS];
    bool privileged;    /* may print with console_io and power the host off */
    bool is_control;    /* dom0 */
    bool linear_tables; /* self-mapping page tables allowed */
    bool dying;         /* set once, never cleared: its vCPUs do not run again */
    bool shut_down;
    u8 shutdown_code;                    /* SHUTDOWN_* */
    bool shutdown_code_set;              /* by the guest, ahead of the end; lock: lock */
    struct timer watchdog[NR_WATCHDOGS]; /* lock: lock */
    u32 watchdogs;                       /* which of them are in use */
    u32 pause_count;                     /* host pauses, atomic */
    u32 tool_pauses;                     /* those by pausedomain; lock: the control lock, as for the next two */
    bool held_still;                     /* paused by a control operation that waits for its vCPUs */
    bool debugged;                       /* told by a tool, for others to know */
    u32 suspend_port;                    /* its event says that it has suspended; 0: nobody wants to know */
    u16 weight, cap;                     /* of each vCPU, of all in percent of a CPU; 0: no cap */
    u8 tsc_mode;
    u32 tsc_incarnation;
    u64 tsc_offset_ns;    /* the host's time when the guest's began */
    struct spinlock lock; /* life cycle, vCPU hot-plug, registered areas */

    /* Memory, lock: mm_lock */
    struct spinlock mm_lock;
    struct spinlock page_lock; /* guards page_list, tot_pages and the links; a leaf */
    u32 page_list;             /* first frame of the list through struct page, ~0: none; lock: page_lock */
    u32 taken_list;            /* the same, of frames that mm_destroy() has been at */
    u32 zombies;               /* first frame of the list of zombie tables, ~0: none; lock: mm_lock */
    u64 l4_epoch;             /* another one after each change of what a CPU root is composed from; read without lock */
    u64 l4_high_epoch;        /* the same of their kernel halves alone */
    u64 walk_epoch;           /* another one when walks may not be remembered any more; read without lock */
    u64 tot_pages, max_pages; /* tot_pages: those on the lists; lock: page_lock */
    u64 claimed_pages;        /* set aside for it, of those it does not have yet; lock: mm's for claims */
    u64 owned_pages;          /* frames whose owner this is, given up or not; atomic */
    u64 vm_assist;
    struct shared_info *shared_info; /* direct map; a frame owned by the domain */
    mfn_t shared_info_mfn;
    u64 cpu_mask; /* CPUs that may hold translations of this domain, atomic */
    u64 nr_pfns;

    struct evtchn_table evtchn;
    struct gnttab gnttab;
    u64 wallclock_offset_ns;
    struct guest_console *console;  /* served by the hypervisor, or NULL */
    mfn_t eoi_mfn;                  /* the control domain's map of interrupts that want an EOI: a WRITABLE use */
    mfn_t ring_mfn[2];              /* console and store rings: a WRITABLE use held while the hypervisor serves them */
    void *launch;                   /* the launch room's record of this guest */
    struct control_record *control; /* the control room's, of a domain that the control domain made; else NULL */
    u8 handle[16];
    u32 pci_address; /* the control domain's: what it wrote to port 0xcf8 */
};

#define DOMAIN_ANY NULL

/* Shared by the hypercall, the emulated MOV to a debug register and start contexts: 0, -EPERM, -ENODEV. v: the current
 * vCPU, or one that does not run. */
long vcpu_set_debugreg(struct vcpu *v, u32 reg, u64 value);
/* Start state of a vCPU that is down (VCPUOP_initialise). d->lock held. -EINVAL, -ERESTART... */
long vcpu_set_context(struct vcpu *v, const struct vcpu_guest_context *c);

struct domain *domain_by_id(domid_t id);
/* With a reference, or NULL. */
struct domain *domain_get(domid_t id);
/* The first with this number or a higher one, with a reference, or NULL. */
struct domain *domain_get_from(u32 id);
void domain_put(struct domain *d);
static inline struct vcpu *current_vcpu(void) {
    return this_cpu()->current;
}
static inline struct domain *current_domain(void) {
    return current_vcpu()->domain;
}

/* --- vCPU run state (any CPU, any lock but the scheduler's) --- */
void vcpu_pause_set(struct vcpu *v, enum vcpu_pause why);
void vcpu_pause_clear(struct vcpu *v, enum vcpu_pause why);
/* Something changed that the vCPU must look at on its way to the guest: wake it if blocked, interrupt it if it runs. */
void vcpu_kick(struct vcpu *v);
/* True if an event upcall is pending and not masked. */
bool vcpu_event_pending(const struct vcpu *v);
/* Prints where the vCPU was when it last came into the hypervisor, and whether events can reach it. No lock. */
void vcpu_print(const struct vcpu *v);
/* The same of each that has been started, of many the first few. */
void domain_print_vcpus(const struct domain *d);

/* --- life and death --- */
/* The guest broke its contract beyond repair: it stops for good, with one sentence in the host's log. */
void domain_crash(struct domain *d, const char *fmt, ...) __printf(2, 3);
void domain_shutdown(struct domain *d, u8 code);
/* A domain that was shut down goes on where it was. */
void domain_resume(struct domain *d);
/* It will not run again, and can be taken apart. */
void domain_kill(struct domain *d);
void domain_pause(struct domain *d);
void domain_unpause(struct domain *d);
/* One vCPU more, which is down. False: out of memory. Calls for one domain do not overlap. */
bool domain_add_vcpu(struct domain *d);
/* Allocates a domain with no memory and nr_vcpus vCPUs that are down. id: 0 is the control domain's, which it then is;
 * DOMID_ANY: one that is free. NULL: out of memory, or the number is taken. */
#define DOMID_ANY ((domid_t)DOMID_INVALID)
struct domain *domain_create(const char *name, domid_t id, u32 nr_vcpus, u64 max_pages);
/* Takes a dying domain apart; returns false while more is to be done (call again). */
bool domain_destroy(struct domain *d);
/* After that: is it only waited for that others let go of its frames? */
bool domain_is_held(const struct domain *d);
/* Calls fn for each domain, in order of id. */
void domain_for_each(void (*fn)(struct domain *d, void *arg), void *arg);
struct domain *domain_next(struct domain *d); /* iteration: domain_next(NULL) is the first */

#endif
