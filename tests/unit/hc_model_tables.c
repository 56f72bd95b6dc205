// SPDX-License-Identifier: MIT
/* The model's page-table operations: mmu_update, update_va_mapping, mmuext_op, and multicalls of them. */
#include "hc_model.h"
#include <pv/abi.h>
#include <pv/hypercall.h>

#define PREEMPTED (1ul << 31)
#define MAX_REQUESTS 4
#define DONE_AT (M_ARGS + 3072) /* where calls count what they did */

static u64 any_entry(const struct m_domain *o) {
    static const u64 flags[] = {
        PTE_P, PTE_P | PTE_W, PTE_P | PTE_W | PTE_U, PTE_P | PTE_U | PTE_A, PTE_P | PTE_NX,
        0,     PTE_W,         PTE_P | PTE_W | PTE_G, PTE_P | PTE_PSE,       PTE_P | PTE_PCD | PTE_PWT};
    u32 k = choose(16);

    return mm_pte(mfn(any_frame(o)), flags[k < ARRAY_SIZE(flags) ? k : k % 3]) & ~(BIT(63) * (k == 0));
}

/* --- the guest's own writes --- */

/* A tree of frames that are nothing yet, to be validated as a whole. Frames may be met twice: then it is refused. */
static u64 plant(const struct m_domain *o, enum page_type type) {
    u64 f = loose_frame(o);

    if (!owns(o, f) || m.uses[f])
        return f;
    for (u32 i = 0; i < 512; i++)
        poke(f, i, 0);
    for (u32 n = type == PT_L1 ? choose(2) : 1 + choose(2); n; n--) {
        u64 child = type == PT_L1 ? any_frame(o) : plant(o, type - 1);

        poke(f, any_slot(o, f), mm_pte(mfn(child), choose(2) ? PTE_P | PTE_W | PTE_U : PTE_P));
    }
    if (type == PT_L4 && !one_in(8))
        poke(f, 0, mm_pte(mfn(o->home[3]), PTE_P | PTE_W | PTE_U));
    return f;
}

void op_poke(const struct actor *a) {
    u64 f = loose_frame(a->o);

    if (owns(a->o, f) && (!m.uses[f] || m.type[f] == PT_WRITABLE) && m.frame[f].begun == PT_NONE)
        poke(f, any_slot(a->o, f), any_entry(a->o));
}

/* --- mmu_update --- */

static bool same_holdings(enum page_type type, u64 a, u64 b) {
    u64 relevant = PTE_P | PTE_ADDR | (type == PT_L1 ? PTE_W : 0);

    return a & b & PTE_P && !((a ^ b) & relevant) && !(b & (PTE_PSE | PTE_PCD | PTE_PWT | (type == PT_L1 ? 0 : PTE_G)));
}

static bool entry_would_do(const struct m_domain *owner, enum page_type type, u64 value) {
    begin_question();
    add_entry(owner, type, value);
    return is_legal();
}

bool model_update(const struct m_domain *o, const struct m_domain *owner, u64 ma, u64 value, bool preserve) {
    u64 f = ma >> PAGE_SHIFT, old;
    u32 slot = ma % PAGE_SIZE / 8;
    bool in_use, is_table;

    if (!owns(o, f))
        return false;
    old = m.memory[f][slot];
    in_use = m.uses[f] && m.type[f] != PT_WRITABLE;
    is_table = in_use && m.type[f] <= PT_L4;
    if (in_use && (!is_table || !m.frame[f].valid || (m.type[f] == PT_L4 && is_reserved(slot))))
        return false;
    if (is_table && !same_holdings(m.type[f], old, value) && !entry_would_do(owner, m.type[f], value))
        return false;
    if (is_table && m.type[f] == PT_L1 && value & PTE_P)
        value &= ~PTE_G;
    m.memory[f][slot] = is_table && preserve ? value | (old & (PTE_A | PTE_D)) : value;
    settle();
    return true;
}

static bool model_request(const struct m_domain *o, const struct mmu_update *r) {
    u64 f = r->ptr >> PAGE_SHIFT;

    switch (r->ptr & 7) {
    case MMU_MACHPHYS_UPDATE:
        if (!owns(o, f))
            return false;
        m.frame[f].m2p = r->val;
        return true;
    case MMU_NORMAL_PT_UPDATE:
    case MMU_PT_UPDATE_NO_TRANSLATE:
    case MMU_PT_UPDATE_PRESERVE_AD:
        return model_update(o, o, r->ptr & ~7ul, r->val, (r->ptr & 7) == MMU_PT_UPDATE_PRESERVE_AD);
    default:
        return false;
    }
}

static struct mmu_update any_request(const struct m_domain *o) {
    u64 f = any_frame(o);
    u32 kind = choose(12);

    return (struct mmu_update){.ptr = f << PAGE_SHIFT | any_slot(o, f) * 8u | (kind < 5 ? kind : 0),
                               .val = any_entry(o)};
}

/* How many requests were done, as the call says; where a new base hides the place, it can't. */
static u32 done_count(const struct actor *a, const u64 *arg, long rc, u32 n) {
    u32 done = n;

    if (rc || a->v->base.n == a->mv->base)
        get_args(a, DONE_AT, &done, sizeof(done));
    MUST(rc ? done < n : done == n);
    MUST(rc != -ERESTART || (arg[1] & PREEMPTED && (arg[1] & ~PREEMPTED) == n - done));
    return done;
}

static void op_update(const struct actor *a) {
    struct mmu_update r[MAX_REQUESTS];
    u32 n = 1 + choose(MAX_REQUESTS), done;
    u64 arg[6] = {M_ARGS, n, DONE_AT, DOMID_SELF};
    long rc;

    m.several = n > 1;
    for (u32 i = 0; i < n; i++)
        r[i] = any_request(a->o);
    put_args(a, M_ARGS, r, n * sizeof(r[0]));
    rc = call(a, __HYPERVISOR_mmu_update, arg);
    done = done_count(a, arg, rc, n);
    for (u32 i = 0; i < done; i++)
        outcome(true, model_request(a->o, &r[i]));
    if (rc && rc != -ERESTART)
        outcome(false, model_request(a->o, &r[done]));
}

/* Frames of others are refused, whatever the requests say. */
static void op_foreign_update(const struct actor *a) {
    u32 other = 1 + (a->o->id + choose(M_DOMS - 1)) % M_DOMS;
    struct mmu_update r = any_request(&m.dom[other - 1]);
    u64 arg[6] = {M_ARGS, 1, 0, one_in(2) ? other : (other + 1) << 16 | DOMID_SELF};

    put_args(a, M_ARGS, &r, sizeof(r));
    MUST(call(a, __HYPERVISOR_mmu_update, arg) == -EPERM);
    m.stats->refused++;
}

/* --- update_va_mapping --- */

u64 any_address(const struct actor *a) {
    static const u64 far[] = {0, 0x8000000000000000ul, 0xffff800000000000ul, 0xffff880000000000ul, ~0xffful};
    u64 near = MM_SLOT_VA(M_FIRST_SLOT + choose(M_LAST_SLOT - M_FIRST_SLOT + 1)), va, table;
    u32 slot;

    va = one_in(4) ? far[choose(ARRAY_SIZE(far))] : near + choose(2) * 8;
    return model_walk(a->mv->base, va, &table, &slot) && is_protected(a->o, table, slot) ? near : va;
}

static bool model_va(const struct actor *a, u64 va, u64 value) {
    u64 table;
    u32 slot;

    return model_walk(a->mv->base, va, &table, &slot) && m.type[table] == PT_L1 &&
           model_update(a->o, a->o, table << PAGE_SHIFT | slot * 8, value, false);
}

static void op_va(const struct actor *a) {
    static const u64 flags[] = {0, UVMF_TLB_FLUSH | UVMF_LOCAL, UVMF_INVLPG | UVMF_ALL, UVMF_TLB_FLUSH | UVMF_ALL};
    u64 va = any_address(a), value = any_entry(a->o), arg[6] = {va, value, flags[choose(4)]};
    long rc = call(a, __HYPERVISOR_update_va_mapping, arg);

    if (rc != -ERESTART)
        outcome(!rc, model_va(a, va, value));
    if (!rc && arg[2])
        model_tlb_flush(a, arg[2] & UVMF_ALL);
}

/* --- mmuext_op --- */

static bool model_pin(const struct m_domain *o, u64 f, enum page_type type) {
    if (!owns(o, f) || m.frame[f].pinned || !would_do(o, f, type))
        return false;
    m.frame[f].pinned = type;
    return true;
}

static bool model_unpin(const struct m_domain *o, u64 f) {
    if (!owns(o, f) || !m.frame[f].pinned)
        return false;
    m.frame[f].pinned = PT_NONE;
    return true;
}

static bool model_base(const struct m_domain *o, u64 *base, u64 f) {
    if (!would_do(o, f, PT_L4))
        return false;
    *base = f;
    return true;
}

static bool model_copy(const struct m_domain *o, u64 to, u64 from) {
    if ((from != ~0ul && !owns(o, from)) || !would_do(o, to, PT_WRITABLE))
        return false;
    if (from == ~0ul)
        memset(m.memory[to], 0, PAGE_SIZE);
    else
        memmove(m.memory[to], m.memory[from], PAGE_SIZE);
    return true;
}

static bool model_ext(const struct actor *a, const struct mmuext_op *op) {
    u64 f = op->arg1.mfn;

    switch (op->cmd) {
    case MMUEXT_PIN_L1_TABLE:
    case MMUEXT_PIN_L2_TABLE:
    case MMUEXT_PIN_L3_TABLE:
    case MMUEXT_PIN_L4_TABLE:
        return model_pin(a->o, f, PT_L1 + (op->cmd - MMUEXT_PIN_L1_TABLE));
    case MMUEXT_UNPIN_TABLE:
        return model_unpin(a->o, f);
    case MMUEXT_NEW_BASEPTR:
        return model_base(a->o, &a->mv->base, f) && (model_tlb_flush(a, false), true);
    case MMUEXT_NEW_USER_BASEPTR:
        if (f)
            return model_base(a->o, &a->mv->user_base, f);
        a->mv->user_base = ~0ul;
        return true;
    case MMUEXT_CLEAR_PAGE:
        return model_copy(a->o, f, ~0ul);
    case MMUEXT_COPY_PAGE:
        return model_copy(a->o, f, op->arg2.src_mfn);
    default:
        model_tlb_flush(a, op->cmd != MMUEXT_TLB_FLUSH_LOCAL);
        return true;
    }
}

static bool model_ext_settled(const struct actor *a, const struct mmuext_op *op) {
    bool ok = model_ext(a, op);

    settle();
    return ok;
}

static struct mmuext_op any_ext(const struct m_domain *o) {
    static const u32 cmds[] = {MMUEXT_PIN_L1_TABLE,     MMUEXT_PIN_L2_TABLE,     MMUEXT_PIN_L3_TABLE,
                               MMUEXT_PIN_L4_TABLE,     MMUEXT_PIN_L4_TABLE,     MMUEXT_UNPIN_TABLE,
                               MMUEXT_UNPIN_TABLE,      MMUEXT_UNPIN_TABLE,      MMUEXT_NEW_BASEPTR,
                               MMUEXT_NEW_USER_BASEPTR, MMUEXT_NEW_USER_BASEPTR, MMUEXT_TLB_FLUSH_LOCAL,
                               MMUEXT_TLB_FLUSH_ALL,    MMUEXT_CLEAR_PAGE,       MMUEXT_COPY_PAGE};
    struct mmuext_op op = {.cmd = cmds[choose(ARRAY_SIZE(cmds))], .arg1.mfn = any_frame(o)};

    if (op.cmd == MMUEXT_UNPIN_TABLE && op.arg1.mfn == o->home[4])
        op.arg1.mfn = 0;
    if (op.cmd == MMUEXT_NEW_USER_BASEPTR && one_in(4))
        op.arg1.mfn = one_in(2) ? 0 : o->home[4];
    if (op.cmd == MMUEXT_COPY_PAGE)
        op.arg2.src_mfn = any_frame(o);
    return op;
}

/* Now and then a whole tree, made a moment ago. */
static struct mmuext_op any_planted(const struct m_domain *o) {
    static const u32 cmds[] = {MMUEXT_PIN_L2_TABLE, MMUEXT_PIN_L3_TABLE, MMUEXT_PIN_L4_TABLE, MMUEXT_NEW_BASEPTR,
                               MMUEXT_NEW_USER_BASEPTR};
    u32 k = choose(ARRAY_SIZE(cmds));

    return (struct mmuext_op){.cmd = cmds[k], .arg1.mfn = plant(o, k < 2 ? PT_L2 + k : PT_L4)};
}

static void run_exts(const struct actor *a, const struct mmuext_op *op, u32 n) {
    u64 arg[6] = {M_ARGS, n, DONE_AT, DOMID_SELF};
    u32 done;
    long rc;

    put_args(a, M_ARGS, op, n * sizeof(*op));
    rc = call(a, __HYPERVISOR_mmuext_op, arg);
    done = done_count(a, arg, rc, n);
    for (u32 i = 0; i < done; i++)
        outcome(true, model_ext_settled(a, &op[i]));
    if (rc && rc != -ERESTART)
        outcome(false, model_ext_settled(a, &op[done]));
}

/* A new base may hide the arguments of what follows it, so it comes last. */
static void op_ext(const struct actor *a) {
    struct mmuext_op op[MAX_REQUESTS];
    u32 n = 0, most = 1 + choose(MAX_REQUESTS);

    m.several = most > 1;
    do
        op[n] = one_in(3) ? any_planted(a->o) : any_ext(a->o);
    while (op[n++].cmd != MMUEXT_NEW_BASEPTR && n < most);
    run_exts(a, op, n);
}

void op_tables(const struct actor *a) {
    u32 k = choose(10);

    if (k < 4)
        op_update(a);
    else if (k < 6)
        op_va(a);
    else if (k < 9)
        op_ext(a);
    else
        op_foreign_update(a);
}

/* --- multicall --- */

#define ENTRIES 5
#define ENTRY_ARGS(i) (M_LIST + 64 * (i))

union request {
    struct mmu_update update;
    struct mmuext_op ext;
    u64 frame;
};

/* A validation as L4 clears them even if it is refused, and later entries of the call would find them so. */
static bool has_reserved_entries(u64 f) {
    return m.memory[f][256] | m.memory[f][271];
}

static struct multicall_entry any_entry_of_multicall(const struct actor *a, u32 i, union request *r) {
    switch (choose(6)) {
    case 0:
        r->update = any_request(a->o);
        put_args(a, ENTRY_ARGS(i), r, sizeof(r->update));
        return (struct multicall_entry){.op = __HYPERVISOR_mmu_update, .args = {ENTRY_ARGS(i), 1, 0, DOMID_SELF}};
    case 1:
        r->ext = any_ext(a->o);
        if (r->ext.cmd == MMUEXT_NEW_BASEPTR)
            r->ext.cmd = MMUEXT_NEW_USER_BASEPTR;
        if (is_ram(r->ext.arg1.mfn) && has_reserved_entries(r->ext.arg1.mfn))
            r->ext.cmd = MMUEXT_UNPIN_TABLE;
        put_args(a, ENTRY_ARGS(i), r, sizeof(r->ext));
        return (struct multicall_entry){.op = __HYPERVISOR_mmuext_op, .args = {ENTRY_ARGS(i), 1, 0, DOMID_SELF}};
    case 2:
        return (struct multicall_entry){.op = __HYPERVISOR_update_va_mapping,
                                        .args = {any_address(a), any_entry(a->o), 0}};
    case 3:
        r->frame = any_frame(a->o);
        put_args(a, ENTRY_ARGS(i), r, sizeof(r->frame));
        return (struct multicall_entry){.op = __HYPERVISOR_set_gdt, .args = {ENTRY_ARGS(i), 512}};
    case 4:
        return (struct multicall_entry){.op = __HYPERVISOR_update_descriptor,
                                        .args = {any_frame(a->o) << PAGE_SHIFT | 16, 0}};
    default:
        return (struct multicall_entry){.op = __HYPERVISOR_multicall, .args = {M_ARGS, 1}};
    }
}

static bool model_entry(const struct actor *a, const struct multicall_entry *e, const union request *r) {
    switch (e->op) {
    case __HYPERVISOR_mmu_update:
        return model_request(a->o, &r->update);
    case __HYPERVISOR_mmuext_op:
        return model_ext_settled(a, &r->ext);
    case __HYPERVISOR_update_va_mapping:
        return model_va(a, e->args[0], e->args[1]);
    case __HYPERVISOR_set_gdt:
        return model_table(a->o, a->mv->gdt, GDT_GUEST_PAGES, &r->frame, 1);
    case __HYPERVISOR_update_descriptor:
        return model_descriptor(a->o, e->args[0], e->args[1]);
    default:
        return false; /* multicalls do not nest */
    }
}

static bool has_begun(const struct m_domain *o) {
    for (u64 f = 0; f < M_FRAMES; f++)
        if (owns(o, f) && m.frame[f].begun != PT_NONE)
            return true;
    return false;
}

/* Where validations were given up, a refused entry may end one: the books would not know, and the next entry would. */
void op_multicall(const struct actor *a) {
    struct multicall_entry e[ENTRIES], after;
    union request r[ENTRIES];
    u64 arg[6] = {M_ARGS, ENTRIES};

    if (has_begun(a->o))
        return;
    m.several = true;
    for (u32 i = 0; i < ENTRIES; i++)
        e[i] = any_entry_of_multicall(a, i, &r[i]);
    put_args(a, M_ARGS, e, sizeof(e));
    while (call(a, __HYPERVISOR_multicall, arg) == -ERESTART)
        continue;
    for (u32 i = 0; i < ENTRIES; i++) {
        get_args(a, M_ARGS + i * sizeof(e[0]), &after, sizeof(after));
        MUST((long)after.result <= 0);
        outcome(!after.result, model_entry(a, &e[i], &r[i]));
    }
}
