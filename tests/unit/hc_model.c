// SPDX-License-Identifier: MIT
/* The model's books, what follows from them, calls, birth and death, and the run. See hc_model.h. */
#include "hc_model.h"
#include <pv/hypercall.h>

struct model m;

/* --- choices --- */

static u64 nth_frame_of(const struct m_domain *o, u32 n) {
    u64 found = MM_HOLE;

    for (u64 f = 0; f < M_FRAMES; f++)
        if (owns(o, f) && f != o->args[0] && f != o->args[1] && (m.frame[f].given || !m.several)) {
            found = f;
            if (n-- == 0)
                break;
        }
    return found;
}

u64 any_frame(const struct m_domain *o) {
    static const u64 bad[] = {MM_HOLE, 0, MM_OWN - 1, M_FRAMES, ~0ul >> 12};
    u32 k = choose(24);

    if (k == 0)
        return bad[choose(ARRAY_SIZE(bad))];
    if (k == 1)
        o = &m.dom[choose(M_DOMS)];
    return nth_frame_of(o, choose(M_PAGES));
}

static bool is_loose(const struct m_domain *o, u64 f) {
    return owns(o, f) && (!m.uses[f] || m.type[f] == PT_WRITABLE) && m.frame[f].begun == PT_NONE;
}

u64 loose_frame(const struct m_domain *o) {
    u64 f = any_frame(o);

    for (u32 i = 0; i < 8 && !is_loose(o, f); i++)
        f = any_frame(o);
    return f;
}

static bool is_base(const struct m_domain *o, u64 f) {
    for (u32 i = 0; i < M_VCPUS; i++)
        if (o->v[i].base == f)
            return true;
    return false;
}

bool is_protected(const struct m_domain *o, u64 f, u32 slot) {
    if (slot == 0 && is_base(o, f))
        return true;
    return (f == o->home[4] && slot == 0) || (f == o->home[3] && slot == 1) || (f == o->home[2] && slot == 0) ||
           (f == o->home[1] && slot < M_FIRST_SLOT);
}

u32 any_slot(const struct m_domain *o, u64 f) {
    static const u32 slots[] = {0, 1, 2, 17, 255, 256, 271, 272, 300, 511};
    u32 slot = f == o->home[1] ? M_FIRST_SLOT + choose(M_LAST_SLOT - M_FIRST_SLOT + 1) : slots[choose(10)];

    return is_protected(o, f, slot) ? 2 : slot;
}

/* --- what follows from the books --- */

static void need(const struct m_domain *o, u64 f, enum page_type type, bool own_only);

/* fresh: the entry's table is being validated, or the entry is new. */
static void need_entry(const struct m_domain *o, enum page_type table, u64 e, bool fresh) {
    u64 f = pte_mfn(e).n;

    if (!(e & PTE_P))
        return;
    if (table != PT_L1) {
        m.legal &= !fresh || !(e & (PTE_PSE | PTE_G | PTE_PCD | PTE_PWT));
        need(o, f, table - 1, true);
        return;
    }
    m.legal &= !fresh || !(e & (PTE_PAT | PTE_PCD | PTE_PWT));
    if (!fresh && f < M_FRAMES && m.frame[f].owner != o->id)
        m.foreign[o->id - 1][f][!!(e & PTE_W)]++;
    need(o, f, e & PTE_W ? PT_WRITABLE : PT_NONE, fresh);
}

static void need_entries(const struct m_domain *o, u64 f, enum page_type type, u32 end, bool fresh) {
    for (u32 i = 0; i < end && m.legal; i++)
        if (m.memory[f][i] && !(type == PT_L4 && is_reserved(i)))
            need_entry(o, type, m.memory[f][i], fresh);
}

static void need_descriptors(u64 f) {
    for (u32 i = 0; i < 512; i++) {
        u64 desc = m.memory[f][i];

        m.legal &= descriptor_after(&desc);
    }
}

static void need(const struct m_domain *o, u64 f, enum page_type type, bool own_only) {
    if (!is_ram(f) || !m.frame[f].owner || (own_only && !owns(o, f)))
        m.legal = false;
    if (!m.legal)
        return;
    m.refs[f]++;
    if (type == PT_NONE)
        return;
    if (m.uses[f]++) {
        m.legal &= m.type[f] == type;
        return;
    }
    m.type[f] = type;
    if (type >= PT_L1 && type <= PT_L4)
        need_entries(o, f, type, 512, !m.frame[f].valid);
    else if (type == PT_SEGDESC && !m.frame[f].valid)
        need_descriptors(f);
}

static void need_if_any(const struct m_domain *o, u64 f, enum page_type type) {
    if (f != ~0ul)
        need(o, f, type, true);
}

static void need_vcpu(const struct m_domain *o, const struct m_vcpu *v) {
    need_if_any(o, v->base, PT_L4);
    need_if_any(o, v->user_base, PT_L4);
    for (u32 i = 0; i < GDT_GUEST_PAGES; i++)
        need_if_any(o, v->gdt[i], PT_SEGDESC);
    for (u32 i = 0; i < LDT_PAGES; i++)
        need_if_any(o, v->ldt[i], PT_SEGDESC);
}

static void need_domain(const struct m_domain *o) {
    for (u64 f = 0; f < M_FRAMES; f++) {
        if (!owns(o, f))
            continue;
        if (m.frame[f].shared && m.frame[f].given)
            need(o, f, PT_WRITABLE, true);
        else if (m.frame[f].given)
            m.refs[f]++;
        if (m.frame[f].pinned)
            need(o, f, m.frame[f].pinned, true);
    }
    for (u32 i = 0; i < M_VCPUS; i++)
        need_vcpu(o, &o->v[i]);
    for (u32 i = 0; i < M_HANDLES; i++)
        if (o->handle[i].live && o->handle[i].flags & GNTMAP_device_map)
            need(o, o->handle[i].frame, o->handle[i].flags & GNTMAP_readonly ? PT_NONE : PT_WRITABLE, false);
}

/* A validation that was begun holds its table, and what the entries it has seen refer to. A full use ends it. */
static void need_begun(void) {
    for (u64 f = 0; f < M_FRAMES; f++) {
        struct m_frame *fr = &m.frame[f];

        if (!fr->owner || fr->begun == PT_NONE)
            continue;
        m.refs[f]++;
        if (m.uses[f]++)
            m.legal &= m.type[f] == fr->begun;
        else
            need_entries(&m.dom[fr->owner - 1], f, fr->begun, fr->begun_end, true);
        m.type[f] = fr->begun;
    }
}

void begin_question(void) {
    memset(m.refs, 0, sizeof(m.refs));
    memset(m.uses, 0, sizeof(m.uses));
    memset(m.type, 0, sizeof(m.type));
    memset(m.foreign, 0, sizeof(m.foreign));
    m.legal = true;
    for (u32 i = 0; i < M_DOMS; i++)
        if (m.dom[i].id)
            need_domain(&m.dom[i]);
}

void add_use(const struct m_domain *o, u64 f, enum page_type type) {
    need(o, f, type, true);
}

void add_entry(const struct m_domain *o, enum page_type table, u64 e) {
    need_entry(o, table, e, true);
}

/* Afterwards what follows from the books stands there again, without the question. */
bool is_legal(void) {
    bool legal;

    need_begun();
    legal = m.legal;
    begin_question();
    need_begun();
    return legal;
}

bool would_do(const struct m_domain *o, u64 f, enum page_type type) {
    begin_question();
    add_use(o, f, type);
    return is_legal();
}

static void free_frame(u64 f) {
    m.frame[f] = (struct m_frame){.m2p = M2P_INVALID};
}

/* Validation clears them. */
static void clear_reserved_slots(u64 f) {
    for (u32 i = 256; i < 272; i++)
        m.memory[f][i] = 0;
}

void settle(void) {
    begin_question();
    for (u64 f = 0; f < M_FRAMES; f++)
        if (m.uses[f])
            m.frame[f].begun = PT_NONE;
    need_begun();
    MUST(m.legal);
    for (u64 f = 0; f < M_FRAMES; f++) {
        m.frame[f].valid = m.uses[f] && m.type[f] >= PT_L1 && m.frame[f].begun == PT_NONE;
        if (m.frame[f].valid && m.type[f] == PT_L4)
            clear_reserved_slots(f);
        if (m.frame[f].owner && !m.refs[f])
            free_frame(f);
    }
}

bool model_walk(u64 base, u64 va, u64 *table, u32 *slot) {
    if (base == ~0ul || (u64)((s64)(va << 16) >> 16) != va || is_reserved(pt_slot(va, 4)))
        return false;
    *table = base;
    for (int level = 4; level > 1; level--) {
        u64 e = m.memory[*table][pt_slot(va, level)];

        if (!(e & PTE_P))
            return false;
        *table = pte_mfn(e).n;
    }
    *slot = pt_slot(va, 1);
    return true;
}

void poke(u64 f, u32 slot, u64 value) {
    mm_host_table(mfn(f))[slot] = m.memory[f][slot] = value;
}

u32 adopt(struct m_domain *o, bool shared) {
    u32 n = 0;

    for (u64 f = 0; f < M_FRAMES; f++)
        if (frame_table[f].owner == o->id + 1 && !m.frame[f].owner) {
            m.frame[f] = (struct m_frame){.owner = o->id, .given = true, .shared = shared, .m2p = M2P_INVALID};
            memset(m.memory[f], 0, PAGE_SIZE);
            n++;
        }
    return n;
}

/* --- hypercalls --- */

static u8 *args_at(const struct actor *a, u64 va, size_t n) {
    MUST(va >= M_ARGS && va + n <= M_LIST + PAGE_SIZE && va % PAGE_SIZE + n <= PAGE_SIZE);
    return (u8 *)mm_host_table(mfn(a->o->args[va >= M_LIST])) + va % PAGE_SIZE;
}

void put_args(const struct actor *a, u64 va, const void *src, size_t n) {
    memcpy(args_at(a, va, n), src, n);
}

void get_args(const struct actor *a, u64 va, void *dst, size_t n) {
    memcpy(dst, args_at(a, va, n), n);
}

bool args_reachable(const struct actor *a) {
    return m.memory[a->mv->base][0] == mm_pte(mfn(a->o->home[3]), PTE_P | PTE_W | PTE_U);
}

long call(const struct actor *a, u64 number, u64 *arg) {
    bool gives_up = one_in(3);
    long after = one_in(2) ? -1 : (long)choose(6), rc;

    for (u32 tries = 0;; tries++) {
        mm_preempt_after = after;
        rc = hypercall_call(a->v, number, arg);
        mm_preempt_after = -1;
        MUST(mm_drain(a->d));
        if (rc != -ERESTART)
            return rc;
        MUST(tries < 10000);
        m.restarted = true;
        m.stats->restarted++;
        if (gives_up) {
            m.stats->abandoned++;
            return rc;
        }
    }
}

void outcome(bool done, bool foretold) {
    MUST(done == foretold);
    *(done ? &m.stats->done : &m.stats->refused) += 1;
}

/* A vCPU whose base does not map its arguments can't call; then it goes home. */
static void blind_call(const struct actor *a) {
    u64 arg[6] = {M_ARGS, 1, 0, DOMID_SELF}, table;
    u32 slot;

    MUST(model_walk(a->mv->base, M_ARGS, &table, &slot) ||
         hypercall_call(a->v, __HYPERVISOR_mmu_update, arg) == -EFAULT);
    MUST(!mm_set_base(a->v, mfn(a->o->home[4])));
    a->mv->base = a->o->home[4];
    MUST(mm_drain(a->d));
}

/* --- birth and death --- */

static u64 new_frame(struct m_domain *o) {
    u64 f = mm_host_frame(o->d).n;

    MUST(adopt(o, false) == 1);
    return f;
}

static void make_home(struct m_domain *o) {
    const u64 rwu = PTE_P | PTE_W | PTE_U;

    for (u32 level = 1; level <= 4; level++)
        o->home[level] = new_frame(o);
    for (u32 i = 0; i < 2; i++) {
        o->args[i] = new_frame(o);
        poke(o->home[1], i, mm_pte(mfn(o->args[i]), rwu));
    }
    for (int level = 2; level <= 4; level++)
        poke(o->home[level], pt_slot(M_ARGS, level), mm_pte(mfn(o->home[level - 1]), rwu));
    MUST(!mm_pin(o->d, mfn(o->home[4]), PT_L4));
    m.frame[o->home[4]].pinned = PT_L4;
    for (u32 i = 0; i < 10; i++)
        new_frame(o);
}

static void create(u32 id) {
    static u64 lives;
    struct m_domain *o = &m.dom[id - 1];

    *o = (struct m_domain){.id = id, .life = ++lives};
    o->d = mm_host_domain((domid_t)id, M_VCPUS, M_PAGES);
    MUST(!gnttab_init(o->d, M_GRANT_FRAMES) && adopt(o, true) == 1);
    o->grant_frame[0] = o->d->gnttab.frame_mfn[0].n;
    o->nr_grant_frames = 1;
    make_home(o);
    for (u32 i = 0; i < M_VCPUS; i++) {
        memset(&o->v[i], 0xff, sizeof(o->v[i]));
        o->v[i].base = o->home[4];
        MUST(!mm_set_base(o->d->vcpu[i], mfn(o->home[4])));
    }
    settle();
}

static void kill(struct m_domain *o) {
    o->d->dying = true;
    for (u32 c = 0; c < M_CPUS; c++)
        if (cpus[c]->current && cpus[c]->current->domain == o->d)
            cpus[c]->current = NULL;
    gnttab_destroy(o->d);
    grants_end(o);
    for (u32 i = 0; i < M_VCPUS; i++) {
        mm_drop_bases(o->d->vcpu[i]);
        mm_set_gdt(o->d->vcpu[i], NULL, 0);
        mm_set_ldt(o->d->vcpu[i], gva(0), 0);
        memset(&o->v[i], 0xff, sizeof(o->v[i]));
    }
    for (u64 f = 0; f < M_FRAMES; f++)
        if (owns(o, f)) {
            m.frame[f].given = false;
            m.frame[f].pinned = m.frame[f].begun = PT_NONE;
        }
    o->dead = true;
    m.stats->deaths++;
}

/* True when nothing is left of it, which is so when no other domain maps a frame of it. */
static bool bury(struct m_domain *o) {
    bool done = false, left = false;

    for (u32 i = 0; i < 10000 && !done; i++) {
        mm_preempt_after = i % 3;
        done = mm_destroy(o->d);
        if (o->d->page_list == FRAME_NONE && o->d->zombies == FRAME_NONE && i > 100)
            break;
    }
    mm_preempt_after = -1;
    settle();
    for (u64 f = 0; f < M_FRAMES; f++)
        left |= owns(o, f);
    MUST(done == !left);
    if (done)
        mm_host_forget(o->d);
    return done;
}

static void deaths(void) {
    for (u32 i = 0; i < M_DOMS; i++) {
        if (!m.dom[i].dead && one_in(300))
            kill(&m.dom[i]);
        if (m.dom[i].dead && bury(&m.dom[i]))
            create(i + 1);
    }
}

/* --- the run --- */

/* A vCPU of the domain, on the CPU that has it, or on any. */
static struct actor load(struct m_domain *o) {
    struct vcpu *v = o->d->vcpu[choose(M_VCPUS)];
    u32 c = choose(M_CPUS);

    if (!v->cpu || v->cpu->current != v) {
        cpus[c]->current = v;
        v->cpu = cpus[c];
        mm_compose(cpus[c], v);
        model_tlb_switch(cpus[c]);
    }
    host_cpu = v->cpu->id;
    for (u32 i = 0; i < M_CPUS; i++)
        cpus[i]->in_guest = i != host_cpu && cpus[i]->current;
    return (struct actor){.o = o, .d = o->d, .v = v, .mv = &o->v[v->id]};
}

static void step(void) {
    static void (*const ops[])(const struct actor *a) = {op_tables, op_tables,   op_tables,    op_tables, op_tables,
                                                         op_tables, op_grants,   op_grants,    op_grants, op_grants,
                                                         op_memory, op_segments, op_multicall, op_poke};
    struct m_domain *o = &m.dom[choose(M_DOMS)];
    struct actor a;

    m.stats->steps++;
    m.restarted = m.several = false;
    deaths();
    if (o->dead)
        return;
    a = load(o);
    if (!args_reachable(&a))
        blind_call(&a);
    else
        ops[choose(ARRAY_SIZE(ops))](&a);
}

/* A run depends on its choices alone, not on what earlier ones left of the heap's order. */
static void sort_heap(void) {
    static u8 taken[M_FRAMES]; /* order + 1 */
    struct page *pg;

    memset(taken, 0, sizeof(taken));
    for (u32 order = MAX_ORDER + 1; order-- > 0;)
        while ((pg = heap_alloc_pages(order)))
            taken[page_to_mfn(pg).n] = (u8)(order + 1);
    for (u64 f = 0; f < M_FRAMES; f++)
        if (taken[f])
            heap_free_pages(&frame_table[f], taken[f] - 1u);
}

static void start(model_choose pick, void *arg, struct model_stats *stats) {
    mm_host_init(M_CPUS);
    sort_heap();
    memset(&m, 0, offsetof(struct model, memory));
    memset(stats, 0, sizeof(*stats));
    m.choose = pick;
    m.arg = arg;
    m.stats = stats;
    for (u64 f = 0; f < M_FRAMES; f++) {
        m2p_set(mfn(f), pfn(M2P_INVALID));
        free_frame(f);
    }
    for (u32 c = 0; c < M_CPUS; c++)
        mm_host_roots(cpus[c]);
    mm_on_return = model_tlb_return;
    model_tlb_start();
}

static void end(struct m_domain *o) {
    if (!o->id)
        return;
    if (!o->dead)
        kill(o);
    if (bury(o))
        *o = (struct m_domain){0};
}

void hc_model_run(model_choose pick, bool (*more)(void *arg), void *arg, struct model_stats *stats) {
    u64 free_before;

    start(pick, arg, stats);
    free_before = heap_free_count();
    for (u32 i = 0; i < M_DOMS; i++)
        create(i + 1);
    while (more(arg)) {
        step();
        check_all();
    }
    for (u32 i = 0; i < 2 * M_DOMS; i++)
        end(&m.dom[i % M_DOMS]);
    MUST(heap_free_count() == free_before);
    MUST(host_heap_live == 0);
}
