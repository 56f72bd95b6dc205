/* SPDX-License-Identifier: MIT */
/*
 * hc_model: several domains with several vCPUs on two CPUs make random hypercalls, through hypercall_call() and with
 * their arguments in guest memory, against a slow and obvious model.
 *
 * The model keeps books of what guests were told: who owns which frame, what is pinned, each vCPU's bases and
 * descriptor tables, grant handles, the M2P, and a copy of all guest memory. It carries out each operation on the
 * books, foretelling whether it succeeds. After each step it derives from them, from scratch, each frame's references,
 * type and uses, each grant's uses and each CPU's roots, and compares everything with the machine's. So an operation
 * that fails and changes anything is found, and so is one that succeeds and should not.
 *
 * hc_model.c: books, derivation, run. hc_model_check.c: comparison. hc_model_tlb.c: what CPUs keep. hc_model_tables.c,
 * _memory.c, _grants.c: the operations.
 */
#ifndef TESTS_UNIT_HC_MODEL_H
#define TESTS_UNIT_HC_MODEL_H

#include "mm_host.h"

#define M_DOMS 3 /* ids 1 .. M_DOMS */
#define M_VCPUS 2
#define M_CPUS 2
#define M_PAGES 44 /* of a domain, at most */
#define M_FRAMES MM_FRAMES
#define M_HANDLES 64
#define M_REFS 8 /* grant references in use */
#define M_GRANT_FRAMES 2

/* Home: tables that each domain keeps. Two pages of arguments, and slots of the same L1 for random mappings. */
#define M_ARGS MM_SLOT_VA(0)
#define M_LIST MM_SLOT_VA(1)
#define M_FIRST_SLOT 2
#define M_LAST_SLOT 13

typedef u32 (*model_choose)(void *arg, u32 n);

struct model_stats {
    u64 kept, steps, done, refused, restarted, abandoned, deaths, mapped, most_pages;
};

struct m_frame {
    u32 owner;             /* domain id, 0: free */
    bool given;            /* the owner has it of its own right */
    bool shared;           /* a frame of the grant table */
    enum page_type pinned; /* PT_NONE: not */
    bool valid;            /* a table, or descriptors, in use since the last step: its entries hold what they say */
    enum page_type begun;  /* a validation was begun and given up ... */
    u32 begun_end;         /* ... before this slot */
    u64 m2p;
};

struct m_vcpu {
    u64 base, user_base; /* frames; ~0: none */
    u64 gdt[GDT_GUEST_PAGES], ldt[LDT_PAGES];
};

struct m_handle {
    bool live;
    u32 dom, ref, flags;
    u64 frame, life; /* life: of the granter, when it was mapped */
};

struct m_active {
    u32 reads, writes, user;
    u64 frame;
};

struct m_domain {
    struct domain *d;
    u32 id;
    bool dead; /* waits for others to let go of its frames */
    u64 life;
    u64 home[5], args[2]; /* tables by level; frames of the arguments */
    struct m_vcpu v[M_VCPUS];
    u64 grant_frame[M_GRANT_FRAMES];
    u32 nr_grant_frames;
    struct m_active active[M_REFS];
    struct m_handle handle[M_HANDLES];
};

struct model {
    model_choose choose;
    void *arg;
    struct model_stats *stats;
    struct m_domain dom[M_DOMS];
    struct m_frame frame[M_FRAMES];
    /* Derived: */
    u32 refs[M_FRAMES], uses[M_FRAMES];
    enum page_type type[M_FRAMES];
    u32 foreign[M_DOMS][M_FRAMES][2]; /* entries that map others' frames: read-only, writable */
    bool legal;
    bool restarted; /* a call of this step was preempted */
    /* A call of this step has several requests. One that drops the last reference of a frame leaves it to the end of
     * the call, or to the next request, so later ones may or may not find it: they name none that was given up. */
    bool several;
    u64 memory[M_FRAMES][512]; /* of frames that have an owner */
};

extern struct model m;

/* The one that acts in this step. */
struct actor {
    struct m_domain *o;
    struct domain *d;
    struct vcpu *v;
    struct m_vcpu *mv;
};

#define MUST(cond)                                                                                                     \
    do {                                                                                                               \
        if (!(cond))                                                                                                   \
            panic("step %lu, %s:%d: %s\n", m.stats->steps, __FILE__, __LINE__, #cond);                                 \
    } while (0)

/* --- choices --- */
static inline u32 choose(u32 n) {
    return m.choose(m.arg, n);
}
static inline bool one_in(u32 n) {
    return choose(n) == 0;
}
/* A frame: mostly one of the domain's own, but none of its arguments'. */
u64 any_frame(const struct m_domain *o);
/* One that its guest may write now, or any. */
u64 loose_frame(const struct m_domain *o);
/* Slots that lead to the arguments of calls stay as they are. */
bool is_protected(const struct m_domain *o, u64 frame, u32 slot);
u32 any_slot(const struct m_domain *o, u64 frame);

/* An address to map something at; now and then one where nothing can be. */
u64 any_address(const struct actor *a);

/* --- books --- */
static inline bool is_ram(u64 f) {
    return f < M_FRAMES && f != MM_HOLE;
}
static inline bool owns(const struct m_domain *o, u64 f) {
    return f < M_FRAMES && m.frame[f].owner == o->id;
}
static inline bool is_reserved(u32 slot) {
    return slot >= 256 && slot < 272;
}
u64 pages_of(const struct m_domain *o);
/* Nothing but its owner's own reference keeps it: it can be exchanged, or given away. */
bool is_lone(const struct m_domain *o, u64 f);
/* Writes memory as the guest itself would. */
void poke(u64 frame, u32 slot, u64 value);
/* Derives everything from the books; frees frames that nothing refers to. */
void settle(void);
/* Would one more use (PT_NONE: reference) of a frame of o agree with all there is? Any number of them may be asked for
 * at once: begin_question(), then add_use() each, then is_legal(). */
bool would_do(const struct m_domain *o, u64 frame, enum page_type type);
void begin_question(void);
void add_use(const struct m_domain *o, u64 frame, enum page_type type);
void add_entry(const struct m_domain *o, enum page_type table, u64 entry);
bool is_legal(void);
/* The entry of the table o's vCPU would find for va under base: frame and slot; false: no table there. */
bool model_walk(u64 base, u64 va, u64 *table, u32 *slot);
/* Frames the machine gave to the domain since the last step enter the books, cleared; how many. */
u32 adopt(struct m_domain *o, bool shared);
/* What validation makes of a descriptor; false: it is refused. */
bool descriptor_after(u64 *desc);
/* Writes an entry of a table or of plain memory, as mmu_update does; false: refused. */
bool model_update(const struct m_domain *o, const struct m_domain *owner, u64 ma, u64 value, bool preserve);

/* The frames of a descriptor table; one descriptor. */
bool model_table(const struct m_domain *o, u64 *table, u32 max, const u64 *frame, u32 n);
bool model_descriptor(const struct m_domain *o, u64 ma, u64 desc);

/* --- hypercalls --- */
/* Puts arguments where the actor's kernel has them. */
void put_args(const struct actor *a, u64 va, const void *src, size_t n);
void get_args(const struct actor *a, u64 va, void *dst, size_t n);
bool args_reachable(const struct actor *a);
/* Calls, restarts, now and then gives up: then -ERESTART, and arg says where. */
long call(const struct actor *a, u64 number, u64 *arg);
/* Counts the outcome, and checks it. */
void outcome(bool done, bool foretold);

void op_tables(const struct actor *a);
void op_multicall(const struct actor *a);
void op_memory(const struct actor *a);
void op_segments(const struct actor *a);
void op_grants(const struct actor *a);
void op_poke(const struct actor *a);
/* Ends the domain's uses of others' grants. */
void grants_end(struct m_domain *o);
/* The machine is as the books say: all of it, or a domain's grant tables. */
void check_all(void);

/* --- hc_model_tlb.c: translations that CPUs with tags keep --- */
void model_tlb_start(void);
void model_tlb_switch(struct cpu *c);
/* The CPU goes into its guest; all others stay there meanwhile, or go in by this. */
void model_tlb_return(struct cpu *c);
/* The acting guest asked for a flush of its CPU, or of all that run its vCPUs, and was told that it is done. */
void model_tlb_flush(const struct actor *a, bool all);
void model_tlb_check(void);
void check_grants(const struct m_domain *o);

void hc_model_run(model_choose choose, bool (*more)(void *arg), void *arg, struct model_stats *stats);

#endif
