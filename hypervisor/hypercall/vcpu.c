// SPDX-License-Identifier: MIT
// vcpu_op: bringing vCPUs up and down, run states, timers, the areas a guest registers.
#include "internal.h"

#include <pv/run.h>
#include <pv/trap.h>

static long initialise(struct vcpu *v, gva_t at) {
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

static long up(struct vcpu *v) {
    if (!v->initialised)
        return -EINVAL;
    time_update_vcpu(v);
    vcpu_pause_clear(v, VCPU_DOWN);
    return 0;
}

/* domain.lock is held: of several vCPUs that give this one a place, one does, and the frames of the others are let go.
 */
static long set_info(struct vcpu *v, const struct vcpu_register_vcpu_info *r) {
    struct vcpu_info *new;
    struct page *pg;
    long rc;

    if (!mfn_eq(v->info_mfn, v->domain->shared_info_mfn))
        return -EINVAL;
    if (r->offset > PAGE_SIZE - sizeof(struct vcpu_info))
        return -ENXIO;
    if ((v != current_vcpu() && !(READ_ONCE(v->pause) & VCPU_DOWN)) || !mfn_valid(mfn(r->mfn)))
        return -EINVAL;
    pg = mfn_to_page(mfn(r->mfn));
    rc = page_get_with_type(pg, v->domain, PT_WRITABLE);
    if (rc)
        return rc;
    new = (struct vcpu_info *)((char *)page_to_virt(pg) + r->offset);
    *new = *v->info;
    v->info = new;
    v->info_mfn = mfn(r->mfn);
    return 0;
}

static long register_info(struct vcpu *v, gva_t at) {
    struct vcpu_register_vcpu_info r;
    long rc;

    if (copy_from_guest(&r, at, sizeof(r)))
        return -EFAULT;
    spin_lock(&v->domain->lock);
    rc = set_info(v, &r);
    spin_unlock(&v->domain->lock);
    if (rc)
        return rc;
    if (v == current_vcpu())
        this_cpu()->gate_dirty = true;
    v->gate_stale = true;
    evtchn_mark_all_pending(v);
    time_update_vcpu(v);
    return 0;
}

static long register_runstate(struct vcpu *v, gva_t at) {
    struct vcpu_register_runstate_memory_area a;

    if (copy_from_guest(&a, at, sizeof(a)))
        return -EFAULT;
    if (!hc_guest_address_ok((u64)a.addr.v))
        return -EFAULT;
    v->runstate_area = (u64)a.addr.v;
    if (v->runstate_area && v == current_vcpu() &&
        copy_to_guest(gva(v->runstate_area), &v->runstate, sizeof(v->runstate)))
        return -EFAULT;
    return 0;
}

static long register_time(struct vcpu *v, gva_t at) {
    struct vcpu_register_time_memory_area a;

    if (copy_from_guest(&a, at, sizeof(a)))
        return -EFAULT;
    if (!hc_guest_address_ok((u64)a.addr.v))
        return -EFAULT;
    v->time_area = gva((u64)a.addr.v);
    time_update_vcpu(v);
    return 0;
}

static long get_runstate(struct vcpu *v, gva_t at) {
    struct vcpu_runstate_info r = v->runstate;

    r.time[r.state] += time_now() - r.state_entry_time;
    return copy_to_guest(at, &r, sizeof(r)) ? -EFAULT : 0;
}

static long set_singleshot(struct vcpu *v, gva_t at) {
    struct vcpu_set_singleshot_timer t;

    if (v != current_vcpu())
        return -EINVAL;
    if (copy_from_guest(&t, at, sizeof(t)))
        return -EFAULT;
    return time_vcpu_set_singleshot(v, t.timeout_abs_ns, t.flags);
}

static long set_periodic(struct vcpu *v, gva_t at) {
    struct vcpu_set_periodic_timer t;

    if (copy_from_guest(&t, at, sizeof(t)))
        return -EFAULT;
    return time_vcpu_set_periodic(v, t.period_ns);
}

/* The last one that goes down takes the domain with it. */
static long down(struct vcpu *v) {
    struct domain *d = v->domain;

    for (u32 i = 0; i < d->nr_vcpus; i++)
        if (d->vcpu[i] != v && !(READ_ONCE(d->vcpu[i]->pause) & VCPU_DOWN)) {
            vcpu_pause_set(v, VCPU_DOWN);
            return 0;
        }
    domain_shutdown(d, SHUTDOWN_poweroff);
    return 0;
}

static long send_nmi(struct vcpu *v, gva_t none) {
    if (none.a)
        return -EINVAL;
    v->nmi_pending = true;
    vcpu_kick(v);
    return 0;
}

static long on_vcpu(struct vcpu *v, u64 cmd, gva_t at) {
    switch (cmd) {
    case VCPUOP_initialise:
        return initialise(v, at);
    case VCPUOP_up:
        return up(v);
    case VCPUOP_down:
        return down(v);
    case VCPUOP_is_up:
        return !(READ_ONCE(v->pause) & VCPU_DOWN);
    case VCPUOP_get_runstate_info:
        return get_runstate(v, at);
    case VCPUOP_register_runstate_memory_area:
        return register_runstate(v, at);
    case VCPUOP_register_vcpu_time_memory_area:
        return register_time(v, at);
    case VCPUOP_register_vcpu_info:
        return register_info(v, at);
    case VCPUOP_set_periodic_timer:
        return set_periodic(v, at);
    case VCPUOP_stop_periodic_timer:
        time_vcpu_stop_periodic(v);
        return 0;
    case VCPUOP_set_singleshot_timer:
        return set_singleshot(v, at);
    case VCPUOP_stop_singleshot_timer:
        if (v != current_vcpu())
            return -EINVAL;
        time_vcpu_stop_singleshot(v);
        return 0;
    case VCPUOP_send_nmi:
        return send_nmi(v, at);
    case VCPUOP_get_physid:
        return -EINVAL; /* for vCPUs that never leave their CPU */
    default:
        return -ENOSYS;
    }
}

/* arg: command, vCPU, structure */
long hc_vcpu_op(struct vcpu *v, u64 *arg) {
    u32 id = (u32)arg[1];

    if (id >= v->domain->nr_vcpus)
        return -ENOENT;
    return on_vcpu(v->domain->vcpu[id], arg[0], gva(arg[2]));
}
