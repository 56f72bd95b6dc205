// SPDX-License-Identifier: MIT
// vcpu_op: bringing vCPUs up and down, run states, timers, the areas a guest registers.
#include "internal.h"

#include <pv/run.h>
#include <pv/trap.h>

long vcpu_set_context(struct vcpu *v, const struct vcpu_guest_context *c)
{
    struct regs *r = vcpu_regs(v);
    const struct cpu_user_regs *u = &c->user_regs;
    u64 frames[GDT_GUEST_PAGES];
    long rc;

    if (!hc_guest_address_ok(u->rip) || c->gdt_ents > GDT_GUEST_PAGES * 512)
        return -EINVAL;
    rc = mm_set_base(v, mfn(c->ctrlreg[3] >> PAGE_SHIFT));
    if (rc)
        return rc;
    for (u32 i = 0; i < GDT_GUEST_PAGES; i++)
        frames[i] = c->gdt_frames[i];
    rc = mm_set_gdt(v, frames, (u32)c->gdt_ents);
    if (rc)
        return rc;
    *r = (struct regs){.r15 = u->r15, .r14 = u->r14, .r13 = u->r13, .r12 = u->r12, .rbp = u->rbp, .rbx = u->rbx,
                       .r11 = u->r11, .r10 = u->r10, .r9 = u->r9, .r8 = u->r8, .rax = u->rax, .rcx = u->rcx,
                       .rdx = u->rdx, .rsi = u->rsi, .rdi = u->rdi, .rip = u->rip, .cs = u->cs,
                       .rflags = trap_clean_rflags(u->rflags), .rsp = u->rsp, .ss = u->ss};
    for (u32 i = 0; i < NR_VECTORS; i++)
        if (c->trap_ctxt[i].address && hc_guest_address_ok(c->trap_ctxt[i].address))
            v->trap[c->trap_ctxt[i].vector] = (struct guest_entry){
                .rip = c->trap_ctxt[i].address, .cs = c->trap_ctxt[i].cs, .dpl = c->trap_ctxt[i].flags & 3,
                .mask = (c->trap_ctxt[i].flags & 4) != 0};
    if (hc_guest_address_ok(c->event_callback_eip))
        v->event.rip = c->event_callback_eip;
    if (hc_guest_address_ok(c->failsafe_callback_eip))
        v->failsafe.rip = c->failsafe_callback_eip;
    if (hc_guest_address_ok(c->syscall_callback_eip))
        v->syscall.rip = c->syscall_callback_eip;
    v->kernel_sp = hc_guest_address_ok(c->kernel_sp) ? c->kernel_sp : 0;
    v->fs_base = is_canonical(c->fs_base) ? c->fs_base : 0;
    v->gs_base_kernel = is_canonical(c->gs_base_kernel) ? c->gs_base_kernel : 0;
    v->gs_base_user = is_canonical(c->gs_base_user) ? c->gs_base_user : 0;
    v->ds = u->ds;
    v->es = u->es;
    v->fs = u->fs;
    v->gs = u->gs;
    v->iopl = u->rflags >> 12 & 3;
    v->kernel_mode = true;
    v->initialised = true;
    return 0;
}

static long initialise(struct vcpu *v, gva_t at)
{
    struct vcpu_guest_context *c = heap_alloc(sizeof(*c));
    struct domain *d = v->domain;
    long rc = -EFAULT;

    if (!c)
        return -ENOMEM;
    if (!copy_from_guest(c, at, sizeof(*c))) {
        spin_lock(&d->lock);
        rc = v->initialised ? -EEXIST : vcpu_set_context(v, c);
        spin_unlock(&d->lock);
    }
    heap_free(c);
    return rc;
}

static long up(struct vcpu *v)
{
    if (!v->initialised)
        return -EINVAL;
    time_update_vcpu(v);
    vcpu_pause_clear(v, VCPU_DOWN);
    return 0;
}

static long register_info(struct vcpu *v, gva_t at)
{
    struct vcpu_register_vcpu_info r;
    struct vcpu_info *new;
    struct page *pg;
    long rc;

    if (copy_from_guest(&r, at, sizeof(r)))
        return -EFAULT;
    if (r.offset > PAGE_SIZE - sizeof(struct vcpu_info) || !mfn_valid(mfn(r.mfn)))
        return -EINVAL;
    if (!mfn_eq(v->info_mfn, v->domain->shared_info_mfn))
        return -EINVAL;
    pg = mfn_to_page(mfn(r.mfn));
    rc = page_get_with_type(pg, v->domain, PT_WRITABLE);
    if (rc)
        return rc;
    new = (struct vcpu_info *)((char *)page_to_virt(pg) + r.offset);
    *new = *v->info;
    v->info = new;
    v->info_mfn = mfn(r.mfn);
    if (v == current_vcpu())
        this_cpu()->gate_dirty = true;
    evtchn_mark_all_pending(v);
    time_update_vcpu(v);
    return 0;
}

static long register_runstate(struct vcpu *v, gva_t at)
{
    struct vcpu_register_runstate_memory_area a;

    if (copy_from_guest(&a, at, sizeof(a)))
        return -EFAULT;
    v->runstate_area = a.addr.v && hc_guest_address_ok((u64)a.addr.v) ? (u64)a.addr.v : 0;
    if (v->runstate_area && v == current_vcpu() &&
        copy_to_guest(gva(v->runstate_area), &v->runstate, sizeof(v->runstate)))
        return -EFAULT;
    return 0;
}

static long register_time(struct vcpu *v, gva_t at)
{
    struct vcpu_register_time_memory_area a;

    if (copy_from_guest(&a, at, sizeof(a)))
        return -EFAULT;
    v->time_area = gva(a.addr.v && hc_guest_address_ok((u64)a.addr.v) ? (u64)a.addr.v : 0);
    time_update_vcpu(v);
    return 0;
}

static long get_runstate(struct vcpu *v, gva_t at)
{
    struct vcpu_runstate_info r = v->runstate;

    r.time[r.state] += time_now() - r.state_entry_time;
    return copy_to_guest(at, &r, sizeof(r)) ? -EFAULT : 0;
}

static long set_singleshot(struct vcpu *v, gva_t at)
{
    struct vcpu_set_singleshot_timer t;

    if (v != current_vcpu())
        return -EINVAL;
    if (copy_from_guest(&t, at, sizeof(t)))
        return -EFAULT;
    return time_vcpu_set_singleshot(v, t.timeout_abs_ns, t.flags);
}

static long set_periodic(struct vcpu *v, gva_t at)
{
    struct vcpu_set_periodic_timer t;

    if (copy_from_guest(&t, at, sizeof(t)))
        return -EFAULT;
    return time_vcpu_set_periodic(v, t.period_ns);
}

static long get_physid(struct vcpu *v, gva_t at)
{
    struct vcpu_get_physid p = {.phys_id = v->id | (u64)v->id << 32};

    return copy_to_guest(at, &p, sizeof(p)) ? -EFAULT : 0;
}

static long on_vcpu(struct vcpu *v, u64 cmd, gva_t at)
{
    switch (cmd) {
    case VCPUOP_initialise: return initialise(v, at);
    case VCPUOP_up: return up(v);
    case VCPUOP_down:
        vcpu_pause_set(v, VCPU_DOWN);
        return 0;
    case VCPUOP_is_up: return !(READ_ONCE(v->pause) & VCPU_DOWN);
    case VCPUOP_get_runstate_info: return get_runstate(v, at);
    case VCPUOP_register_runstate_memory_area: return register_runstate(v, at);
    case VCPUOP_register_vcpu_time_memory_area: return register_time(v, at);
    case VCPUOP_register_vcpu_info: return register_info(v, at);
    case VCPUOP_set_periodic_timer: return set_periodic(v, at);
    case VCPUOP_stop_periodic_timer:
        time_vcpu_stop_periodic(v);
        return 0;
    case VCPUOP_set_singleshot_timer: return set_singleshot(v, at);
    case VCPUOP_stop_singleshot_timer:
        if (v != current_vcpu())
            return -EINVAL;
        time_vcpu_stop_singleshot(v);
        return 0;
    case VCPUOP_send_nmi:
        v->nmi_pending = true;
        vcpu_kick(v);
        return 0;
    case VCPUOP_get_physid: return get_physid(v, at);
    default: return -ENOSYS;
    }
}

/* arg: command, vCPU, structure */
long hc_vcpu_op(struct vcpu *v, u64 *arg)
{
    u32 id = (u32)arg[1];

    if (id >= v->domain->nr_vcpus)
        return -ENOENT;
    return on_vcpu(v->domain->vcpu[id], arg[0], gva(arg[2]));
}
