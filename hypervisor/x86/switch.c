// SPDX-License-Identifier: MIT
// Switching a CPU between vCPUs: segments and their bases, FPU, debug registers. All with the hypervisor root loaded.
#include <pv/domain.h>
#include <pv/gate.h>
#include <pv/mm.h>
#include <pv/run.h>
#include <pv/x86.h>
#include <pv/x86_vcpu.h>

bool x86_vcpu_init(struct vcpu *v) {
    v->xsave_area = heap_alloc(ALIGN_UP((u64)x86_features.xsave_size, PAGE_SIZE));
    if (!v->xsave_area)
        return false;
    fpu_init_area(v->xsave_area);
    v->cr0 = CR0_PG | CR0_WP | CR0_NE | CR0_ET | CR0_MP | CR0_PE;
    v->cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT | (x86_features.xsave ? CR4_OSXSAVE : 0) |
             (x86_features.fsgsbase ? CR4_FSGSBASE : 0);
    v->debugreg[6] = 0xffff0ff0;
    v->debugreg[7] = DR7_NONE;
    return true;
}

void x86_vcpu_free(struct vcpu *v) {
    heap_free(v->xsave_area);
}

void x86_vcpu_set_fpu(struct vcpu *v, const void *fxsave) {
    fpu_init_area(v->xsave_area);
    if (fxsave)
        fpu_fill_area(v->xsave_area, fxsave);
}

u64 x86_vcpu_state_features(void) {
    return x86_features.xsave ? x86_features.xcr0 : 0;
}

u32 x86_vcpu_state_size(void) {
    return x86_features.xsave_size;
}

bool x86_vcpu_set_state(struct vcpu *v, const void *area, u64 size) {
    return fpu_state_ok(area, size) && (fpu_set_area(v->xsave_area, area, size), true);
}

#define LOAD_SEGMENT(reg, selector) __asm__ volatile("movl %0, %%" #reg ::"r"(selector))

bool x86_segment_rights(u16 selector, u32 *rights) {
    bool ok;

    *rights = 0;
    __asm__("larl %2, %0" : "+r"(*rights), "=@ccz"(ok) : "r"((u32)selector));
    return ok;
}

/* Would a data segment register take it? LAR fails for what the privilege rules hide; the rest is in the rights. The
 * descriptor tables do not change meanwhile: mm_lock is held. */
static bool x86_selector_loads(u32 selector) {
    const u32 present = 1 << 15, not_system = 1 << 12, code = 1 << 11, readable = 1 << 9;
    u32 rights = 0;

    if (!(selector & ~3u))
        return true;
    if ((selector & 3) == 0)
        return false;
    if (!x86_segment_rights((u16)selector, &rights))
        return false;
    return rights & present && rights & not_system && (!(rights & code) || rights & readable);
}

/* The selector, or null for one that would fault. */
static u32 loadable(u32 selector, bool *lost) {
    if (x86_selector_loads(selector))
        return selector;
    *lost = true;
    return 0;
}

static u32 read_selector(int which) {
    u32 s = 0;

    switch (which) {
    case 0:
        __asm__ volatile("movl %%ds, %0" : "=r"(s));
        break;
    case 1:
        __asm__ volatile("movl %%es, %0" : "=r"(s));
        break;
    case 2:
        __asm__ volatile("movl %%fs, %0" : "=r"(s));
        break;
    default:
        __asm__ volatile("movl %%gs, %0" : "=r"(s));
        break;
    }
    return s & 0xffff;
}

void x86_read_data_selectors(u16 *ds, u16 *es, u16 *fs, u16 *gs) {
    *ds = (u16)read_selector(0);
    *es = (u16)read_selector(1);
    *fs = (u16)read_selector(2);
    *gs = (u16)read_selector(3);
}

void x86_swapgs(void) {
    __asm__ volatile("swapgs" ::: "memory");
}

/* The active GS base is the mode's, the other one waits in MSR_KERNEL_GS_BASE. */
static void save_segments(struct vcpu *v) {
    u64 active = rdmsr(MSR_GS_BASE), other = rdmsr(MSR_KERNEL_GS_BASE);

    x86_read_data_selectors(&v->ds, &v->es, &v->fs, &v->gs);
    v->fs_base = rdmsr(MSR_FS_BASE);
    v->gs_base_kernel = v->kernel_mode ? active : other;
    v->gs_base_user = v->kernel_mode ? other : active;
}

/* mm_lock: another vCPU may have a descriptor changed between our look at it and the loading, which would fault here.
 */
static void load_selectors(struct vcpu *v) {
    spin_lock(&v->domain->mm_lock);
    LOAD_SEGMENT(ds, loadable(v->ds, &v->selectors_lost));
    LOAD_SEGMENT(es, loadable(v->es, &v->selectors_lost));
    LOAD_SEGMENT(fs, loadable(v->fs, &v->selectors_lost));
    LOAD_SEGMENT(gs, loadable(v->gs, &v->selectors_lost));
    spin_unlock(&v->domain->mm_lock);
}

static void load_segments(struct vcpu *v) {
    load_selectors(v);
    wrmsr(MSR_FS_BASE, v->fs_base);
    wrmsr(MSR_GS_BASE, v->kernel_mode ? v->gs_base_kernel : v->gs_base_user);
    wrmsr(MSR_KERNEL_GS_BASE, v->kernel_mode ? v->gs_base_user : v->gs_base_kernel);
}

u64 x86_get_segment_base(struct vcpu *v, unsigned which) {
    if (this_cpu()->current != v)
        return which == 0 ? v->fs_base : which == 1 ? v->gs_base_kernel : v->gs_base_user;
    if (which == 0)
        return rdmsr(MSR_FS_BASE);
    return rdmsr((which == 1) == v->kernel_mode ? MSR_GS_BASE : MSR_KERNEL_GS_BASE);
}

void x86_set_segment_base(struct vcpu *v, unsigned which, u64 base) {
    if (this_cpu()->current != v)
        *(which == 0 ? &v->fs_base : which == 1 ? &v->gs_base_kernel : &v->gs_base_user) = base;
    else if (which == 0)
        wrmsr(MSR_FS_BASE, base);
    else
        wrmsr((which == 1) == v->kernel_mode ? MSR_GS_BASE : MSR_KERNEL_GS_BASE, base);
}

void x86_load_user_gs(u16 selector) {
    struct spinlock *descriptors = &current_vcpu()->domain->mm_lock;
    bool lost;

    spin_lock(descriptors); /* as in load_selectors() */
    x86_swapgs();
    LOAD_SEGMENT(gs, loadable(selector | (selector & ~3u ? 3u : 0u), &lost));
    x86_swapgs();
    spin_unlock(descriptors);
}

void x86_set_ts(bool on) {
    u64 cr0 = read_cr0();

    write_cr0(on ? cr0 | CR0_TS : cr0 & ~CR0_TS);
}

/* Without DR7: breakpoints are armed only while the guest runs. */
void x86_load_debug_registers(struct vcpu *v) {
    write_dr0(v->debugreg[0]);
    write_dr1(v->debugreg[1]);
    write_dr2(v->debugreg[2]);
    write_dr3(v->debugreg[3]);
    write_dr6(v->debugreg[6]);
}

/* The hypervisor's own addresses are also addresses that guests may choose: while it runs no breakpoint is armed, or a
 * guest could slow it down and measure what it touches. */
void x86_arm_breakpoints(const struct vcpu *v) {
    DEBUG_ASSERT(!(read_dr7() & DR7_ENABLES));
    if (v->debugreg[7] & DR7_ENABLES)
        write_dr7(v->debugreg[7]);
}

void x86_disarm_breakpoints(const struct vcpu *v) {
    if (v->debugreg[7] & DR7_ENABLES)
        write_dr7(DR7_NONE);
}

void x86_reload_ldt(void) {
    __asm__ volatile("lldt %w0" ::"r"(this_cpu()->current->ldt_ents ? SEL_LDT : 0));
}

/* The hypervisor's, and what is kept of a guest's. */
void x86_flush_own_tlb(void) {
    write_cr3(read_cr3());
    tlb_drop(this_cpu());
}

void x86_save_vcpu(struct vcpu *v) {
    save_segments(v);
    x86_set_ts(false);
    fpu_save(v->xsave_area);
}

void x86_load_vcpu(struct cpu *c, struct vcpu *v) {
    (void)c;
    x86_flush_own_tlb();
    x86_reload_ldt();
    load_segments(v);
    fpu_restore(v->xsave_area);
    x86_set_ts(v->fpu_dirty_ts);
    if (v->debugreg[7] & DR7_ENABLES)
        x86_load_debug_registers(v);
    x86_barrier_between_domains();
}

void x86_barrier_between_domains(void) {
    if (x86_features.ibpb)
        wrmsr(MSR_PRED_CMD, 1);
}

/* STI takes effect after the next instruction, so no interrupt is lost between the look at the requests and HLT. */
void x86_idle(struct cpu *c) {
    __atomic_store_n(&c->idle, true, __ATOMIC_SEQ_CST);
    if (!READ_ONCE(c->requests))
        __asm__ volatile("sti; hlt; cli" ::: "memory");
    __atomic_store_n(&c->idle, false, __ATOMIC_SEQ_CST);
}
