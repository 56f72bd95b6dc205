/* SPDX-License-Identifier: MIT */
/*
 * One fuzzer runs on each vCPU: its random numbers, the arguments of the call in the making, and what came of it. All
 * share the frames they play with. An *action* does anything, under a probe: a trap ends it. A *maker* only writes
 * down one hypercall that harms no vCPU's core, so that it can also be an entry of a multicall.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <sdk/sdk.h>

#define NR_FRAMES 128
#define ARENA_PAGES 6
/* 512 pages where anything of the shared frames may be mapped; its L1 is the kernel's own. */
#define WINDOW SCRATCH_VA
#define WINDOW_PAGES 512UL
/* Slots of the live roots that may refer to shared frames. */
#define WILD_SLOT 352U
#define WILD_VA 0xffffb00000000000UL

struct fuzzer {
    uint64_t random;
    unsigned id;
    const char *doing;
    volatile unsigned long actions, calls, accepted, traps;
    uint8_t *arena, *user_page;
    size_t used;
    unsigned lowered; /* the vCPU that it has taken down, or 0 */
    bool leaving;     /* for code that may not come back by itself: an event ends it */
};

typedef void action_t(struct fuzzer *f);
typedef void maker_t(struct fuzzer *f, multicall_entry_t *e);

struct action {
    const char *name;
    unsigned weight;
    action_t *run;
};

extern const struct action table_actions[], memory_actions[], state_actions[], event_actions[], grant_actions[],
    cpu_actions[];
extern unsigned long frames[NR_FRAMES];
extern unsigned nr_fuzzers;

/* --- values.c: random, and more or less plausible --- */
void values_init(void);
uint64_t random_bits(struct fuzzer *f);
unsigned below(struct fuzzer *f, unsigned n);
bool one_in(struct fuzzer *f, unsigned n);
uint64_t one_of(struct fuzzer *f, const uint64_t *values, unsigned n);
/* Memory for arguments, until the next action; zeroed. */
void *room(struct fuzzer *f, size_t bytes);
/* A shared frame; sometimes (any_mfn) one of somebody else, or none at all. Never one the kernel lives in. */
unsigned long shared_mfn(struct fuzzer *f), any_mfn(struct fuzzer *f);
uint64_t any_pte(struct fuzzer *f), any_descriptor(struct fuzzer *f), any_word(struct fuzzer *f);
/* The machine address of an entry of a table: in a shared frame, in the window's L1, in a live root. */
uint64_t any_entry(struct fuzzer *f);
/* For the hypervisor to read or write, or to keep: never the kernel's own memory. */
unsigned long any_va(struct fuzzer *f);
/* Where the kernel may be sent: nothing that can be executed but an invalid instruction. */
unsigned long any_code(struct fuzzer *f);
void *window_page(struct fuzzer *f);
domid_t any_domid(struct fuzzer *f);
uint16_t any_selector(struct fuzzer *f);
uint64_t any_time(struct fuzzer *f);
uint64_t *window_table(void);
/* One of the roots the kernel can live on. */
unsigned long live_root(struct fuzzer *f);

/* --- fuzz.c --- */
void call_set(multicall_entry_t *e, unsigned nr, unsigned args, ...);
/* Issues what the maker wrote; returns the result. */
long call_made(struct fuzzer *f, maker_t *make);
long count(struct fuzzer *f, long rc);
/* Blocks until a timer of its own ends it: a wake-up that is lost shows as a silent vCPU. */
void nap(struct fuzzer *f, uint64_t ns);
/* Ports the kernel needs itself. */
bool is_core_port(unsigned port);

/* The makers that a multicall may mix. */
maker_t make_mmu_update, make_mmuext, make_va_mapping, make_memory_query, make_descriptor, make_segment_base,
    make_debugreg, make_version, make_event, make_grant, make_any;

/* --- cpu.c --- */
void cpu_prepare_user(struct fuzzer *f);

/* --- code.S --- */
void code_ud(void), code_iret(const uint64_t frame[5], uint64_t flags),
    code_run(const void *code, const uint64_t regs[6]);
void code_load_segments(unsigned selector, unsigned which), code_load_gs(unsigned selector, unsigned long base);
void code_far_return(unsigned selector), code_flags(unsigned long flags);

#endif
