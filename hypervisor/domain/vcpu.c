// SPDX-License-Identifier: MIT
// vCPUs: reasons not to run, kicks, run-state accounting, birth and death.
#include "internal.h"

#include <pv/gate.h>
#include <pv/mm.h>
#include <pv/x86_vcpu.h>

/* The set of reasons and what the scheduler was told change together, or a wake-up between the two would be lost. */
void vcpu_pause_set(struct vcpu *v, enum vcpu_pause why) {
    u32 old;

    spin_lock(&v->pause_lock);
    old = v->pause;
    WRITE_ONCE(v->pause, old | why);
    if (!old)
        sched_sleep(&v->sched, time_now());
    spin_unlock(&v->pause_lock);
}

void vcpu_pause_clear(struct vcpu *v, enum vcpu_pause why) {
    u32 old;

    spin_lock(&v->pause_lock);
    old = v->pause;
    WRITE_ONCE(v->pause, old & ~(u32)why);
    if (old && !v->pause && !v->domain->dying)
        sched_wake(&v->sched, time_now());
    spin_unlock(&v->pause_lock);
}

bool vcpu_event_pending(const struct vcpu *v) {
    return READ_ONCE(v->info->evtchn_upcall_pending) && !READ_ONCE(v->info->evtchn_upcall_mask);
}

/* A vCPU that runs looks at its events whenever it leaves the hypervisor, so an interrupt is all it needs. */
void vcpu_kick(struct vcpu *v) {
    struct cpu *c = READ_ONCE(v->cpu);

    if (READ_ONCE(v->pause) & VCPU_BLOCKED)
        evtchn_poll_end(v);
    if (READ_ONCE(v->pause) & VCPU_BLOCKED)
        vcpu_pause_clear(v, VCPU_BLOCKED);
    if (c && READ_ONCE(c->current) == v && c != this_cpu())
        cpu_interrupt(c);
}

static void write_runstate_area(struct vcpu *v) {
    struct vcpu_runstate_info copy = v->runstate;
    u64 flag_at = v->runstate_area + offsetof(struct vcpu_runstate_info, state_entry_time);

    if (v->domain->vm_assist & BIT(VMASST_TYPE_runstate_update_flag)) {
        /* The flag goes up first and comes down last: a reader of the same vCPU sees either state whole. */
        copy.state_entry_time |= XEN_RUNSTATE_UPDATE;
        copy_to_vcpu(v, gva(flag_at), &copy.state_entry_time, sizeof(u64));
        copy_to_vcpu(v, gva(v->runstate_area), &copy, sizeof(copy));
        copy.state_entry_time &= ~XEN_RUNSTATE_UPDATE;
        copy_to_vcpu(v, gva(flag_at), &copy.state_entry_time, sizeof(u64));
        return;
    }
    copy_to_vcpu(v, gva(v->runstate_area), &copy, sizeof(copy));
}

void runstate_change(struct vcpu *v, int state, u64 now) {
    struct vcpu_runstate_info *r = &v->runstate;

    if (now > r->state_entry_time)
        r->time[r->state] += now - r->state_entry_time;
    r->state_entry_time = now;
    r->state = state;
    if (v->runstate_area && state == RUNSTATE_running)
        write_runstate_area(v);
}

static bool alloc_pages_of(struct vcpu *v) {
    struct page *gate = heap_alloc_pages(0);

    if (!gate)
        return false;
    v->gate = page_to_virt(gate);
    v->gate_mfn = page_to_mfn(gate);
    memset(v->gate, 0, PAGE_SIZE);
    return x86_vcpu_init(v);
}

struct vcpu *vcpu_create(struct domain *d, u32 id) {
    struct vcpu *v = heap_alloc(sizeof(*v));

    if (!v)
        return NULL;
    v->domain = d;
    v->id = id;
    v->pause = VCPU_DOWN;
    spin_init(&v->pause_lock, LOCK_PAUSE);
    v->base = v->user_base = MFN_INVALID;
    for (u32 i = 0; i < GDT_GUEST_PAGES; i++)
        v->gdt_frames[i] = MFN_INVALID;
    for (u32 i = 0; i < LDT_PAGES; i++)
        v->ldt_frames[i] = MFN_INVALID;
    if (!alloc_pages_of(v)) {
        vcpu_free(v);
        return NULL;
    }
    v->kernel_mode = true;
    v->info_mfn = d->shared_info_mfn;
    v->info = &d->shared_info->vcpu_info[id < XEN_LEGACY_MAX_VCPUS ? id : 0];
    v->info->evtchn_upcall_mask = 1;
    v->runstate.state = RUNSTATE_offline;
    v->runstate.state_entry_time = time_now();
    sched_entity_init(&v->sched, d->weight, 0, SCHED_AFFINITY_ANY);
    time_vcpu_init(v);
    return v;
}

void vcpu_free(struct vcpu *v) {
    if (v->gate)
        heap_free_pages(mfn_to_page(v->gate_mfn), 0);
    x86_vcpu_free(v);
    heap_free(v);
}

/* The vCPU will not run again; false: a CPU still holds its state. */
bool vcpu_stop(struct vcpu *v) {
    if (!sched_entity_remove(&v->sched, time_now()) || (v->cpu && READ_ONCE(v->cpu->current) == v))
        return false;
    time_vcpu_destroy(v);
    return true;
}

/* Drops what the vCPU holds of its domain's memory. */
void vcpu_drop_memory(struct vcpu *v) {
    struct domain *d = v->domain;

    mm_drop_bases(v);
    mm_set_gdt(v, NULL, 0);
    mm_set_ldt(v, gva(0), 0);
    if (mfn_eq(v->info_mfn, d->shared_info_mfn))
        return;
    page_put_with_type(mfn_to_page(v->info_mfn));
    v->info_mfn = d->shared_info_mfn;
    v->info = &d->shared_info->vcpu_info[0];
}

void vcpu_print(const struct vcpu *v) {
    const struct vcpu_info *info = v->info;
    const struct regs *r = &v->gate->regs;

    printk("  vCPU %u of guest %s, %s mode: rip %016lx rsp %016lx cr3 %016lx cr2 %lx rflags %lx\n", v->id,
           v->domain->name, v->kernel_mode ? "kernel" : "user", r->rip, r->rsp, mfn_to_maddr(v->base).a, v->cr2,
           r->rflags);
    if (info)
        printk("    last came by %x, error %x; event callback %lx, upcalls %s, %s; paused for %x\n", r->vector,
               r->error_code, v->event.rip, info->evtchn_upcall_mask ? "masked" : "open",
               info->evtchn_upcall_pending ? "one pending" : "none pending", v->pause);
}
