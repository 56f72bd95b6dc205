// SPDX-License-Identifier: MIT
// domctl: the table of operations on a domain, and what all of them have in common: copying, version, finding the
// domain, one at a time, and waiting until a domain's vCPUs are out of their CPUs.
#include "internal.h"

#include <pv/mm.h>

struct entry {
    domctl_fn fn;
    bool output; /* the structure goes back */
    bool reason; /* it does after a failure, too */
    bool quiet;  /* the vCPUs are paused and out of their CPUs meanwhile; so not for one's own domain */
    bool other;  /* not for one's own domain: -EINVAL */
    bool dead;   /* also for one that is dying, and may have lost its memory; else -ESRCH */
};

/* For kinds of guests, or machines, that are not built for. */
#define UNSUPPORTED                                                                                                    \
    { .fn = control_unsupported }

static const struct entry table[] = {
    [XEN_DOMCTL_createdomain] = {.fn = control_create, .output = true},
    [XEN_DOMCTL_destroydomain] = {.fn = control_destroy, .other = true, .dead = true},
    [XEN_DOMCTL_pausedomain] = {.fn = control_pause, .other = true, .quiet = true, .dead = true},
    [XEN_DOMCTL_unpausedomain] = {.fn = control_unpause, .dead = true},
    [XEN_DOMCTL_setvcpuaffinity] = {.fn = control_set_affinity},
    [XEN_DOMCTL_getvcpuaffinity] = {.fn = control_get_affinity, .dead = true},
    [XEN_DOMCTL_setnodeaffinity] = {.fn = control_set_nodes},
    [XEN_DOMCTL_getnodeaffinity] = {.fn = control_get_nodes, .dead = true},
    [XEN_DOMCTL_shadow_op] = {.fn = control_shadow, .other = true, .dead = true},
    [XEN_DOMCTL_max_mem] = {.fn = control_max_mem, .dead = true},
    [XEN_DOMCTL_max_vcpus] = {.fn = control_max_vcpus, .other = true},
    [XEN_DOMCTL_setvcpucontext] = {.fn = control_set_context, .other = true, .quiet = true},
    [XEN_DOMCTL_getvcpucontext] = {.fn = control_get_context, .quiet = true},
    [XEN_DOMCTL_getvcpuinfo] = {.fn = control_get_vcpu_info, .output = true, .dead = true},
    [XEN_DOMCTL_scheduler_op] = {.fn = control_scheduler, .output = true, .dead = true},
    [XEN_DOMCTL_setdomainhandle] = {.fn = control_set_handle, .dead = true},
    [XEN_DOMCTL_setdebugging] = {.fn = control_set_debugging, .other = true},
    [XEN_DOMCTL_irq_permission] = {.fn = control_irq_permission},
    [XEN_DOMCTL_iomem_permission] = {.fn = control_iomem_permission},
    [XEN_DOMCTL_ioport_permission] = {.fn = control_ioport_permission},
    [XEN_DOMCTL_hypercall_init] = {.fn = control_hypercall_page},
    [XEN_DOMCTL_settimeoffset] = {.fn = control_set_time_offset},
    [XEN_DOMCTL_resumedomain] = {.fn = control_resume, .other = true, .quiet = true},
    [XEN_DOMCTL_sendtrigger] = {.fn = control_trigger},
    [XEN_DOMCTL_set_address_size] = {.fn = control_set_width},
    [XEN_DOMCTL_get_address_size] = {.fn = control_get_width, .output = true, .dead = true},
    [XEN_DOMCTL_set_target] = UNSUPPORTED,
    [XEN_DOMCTL_subscribe] = {.fn = control_subscribe},
    [XEN_DOMCTL_gettscinfo] = {.fn = control_get_tsc, .output = true, .other = true},
    [XEN_DOMCTL_settscinfo] = {.fn = control_set_tsc, .other = true},
    [XEN_DOMCTL_getpageframeinfo3] = {.fn = control_frame_types, .dead = true},
    [XEN_DOMCTL_set_virq_handler] = {.fn = control_virq_handler},
    [XEN_DOMCTL_set_ext_vcpucontext] = {.fn = control_set_ext_context, .other = true, .quiet = true},
    [XEN_DOMCTL_get_ext_vcpucontext] = {.fn = control_get_ext_context, .output = true, .quiet = true},
    [XEN_DOMCTL_setvcpuextstate] = {.fn = control_set_state, .other = true, .quiet = true},
    [XEN_DOMCTL_getvcpuextstate] = {.fn = control_get_state, .output = true, .quiet = true},
    [XEN_DOMCTL_get_vcpu_msrs] = {.fn = control_get_msrs, .output = true, .quiet = true},
    [XEN_DOMCTL_set_vcpu_msrs] = {.fn = control_set_msrs, .output = true, .reason = true, .other = true, .quiet = true},
    [XEN_DOMCTL_get_cpu_policy] = {.fn = control_get_policy, .output = true},
    [XEN_DOMCTL_set_cpu_policy] =
        {.fn = control_set_policy, .output = true, .reason = true, .other = true, .quiet = true},
    [XEN_DOMCTL_setvnumainfo] = UNSUPPORTED,
    [XEN_DOMCTL_vm_event_op] = UNSUPPORTED,
    [XEN_DOMCTL_mem_sharing_op] = UNSUPPORTED,
    [XEN_DOMCTL_monitor_op] = UNSUPPORTED,
    [XEN_DOMCTL_vmtrace_op] = UNSUPPORTED,
};

static struct spinlock control_lock = SPINLOCK_INIT(LOCK_CONTROL);

static long copy_back(gva_t at, const struct xen_domctl *op) {
    return copy_to_guest(at, op, sizeof(*op)) ? -EFAULT : 0;
}

/* Finds the next domain rather than the one named, and needs no order among calls. */
static long get_info(gva_t at, struct xen_domctl *op) {
    struct domain *d = domain_get_from(op->domain);

    if (op->domain >= DOMID_FIRST_RESERVED && d)
        domain_put(d);
    if (op->domain >= DOMID_FIRST_RESERVED)
        return -EINVAL;
    if (!d)
        return -ESRCH;
    control_fill_info(d, &op->u.getdomaininfo);
    op->domain = d->id;
    domain_put(d);
    return copy_back(at, op);
}

/* Pauses the domain until let_go(), over as many calls as it takes. */
static bool hold_still(struct domain *d) {
    if (!d->held_still) {
        d->held_still = true;
        domain_pause(d);
    }
    return control_is_quiet(d);
}

static void let_go(struct domain *d) {
    d->held_still = false;
    domain_unpause(d);
}

static long run(struct vcpu *v, struct domain *d, const struct entry *e, struct xen_domctl *op) {
    bool quiet = e->quiet && d; /* those that have no domain need none to be still */
    long rc;

    if ((e->other || e->quiet) && d == v->domain)
        return -EINVAL;
    if (d && d->dying && !e->dead)
        return -ESRCH;
    if (d && d->launch && d != v->domain && !e->dead)
        return -EPERM; /* the launch file's: it may be taken apart meanwhile */
    if (quiet && !hold_still(d))
        return -ERESTART;
    rc = e->fn(v, d, op);
    if (quiet && rc != -ERESTART)
        let_go(d);
    return rc;
}

static const struct entry *find(u32 cmd) {
    return cmd < ARRAY_SIZE(table) && table[cmd].fn ? &table[cmd] : NULL;
}

long control_domctl(struct vcpu *v, gva_t at) {
    struct xen_domctl op;
    const struct entry *e;
    struct domain *d = NULL;
    long rc;

    if (copy_from_guest(&op, at, sizeof(op)))
        return -EFAULT;
    if (op.interface_version != XEN_DOMCTL_INTERFACE_VERSION)
        return -EACCES;
    if (op.cmd == XEN_DOMCTL_getdomaininfo)
        return get_info(at, &op);
    e = find(op.cmd);
    if (op.cmd != XEN_DOMCTL_createdomain && !(d = domain_get(op.domain)))
        return -ESRCH;
    if (e && spin_trylock(&control_lock)) {
        rc = run(v, d, e, &op);
        spin_unlock(&control_lock);
    } else {
        rc = e ? -ERESTART : -ENOSYS;
    }
    if (d)
        domain_put(d);
    if (!rc && e->output)
        return copy_back(at, &op);
    if (rc && rc != -ERESTART && e && e->reason)
        (void)copy_back(at, &op);
    return rc;
}

void control_work(void) {
    control_tell();
    if (!spin_trylock(&control_lock)) {
        cpu_request(this_cpu(), CPU_REQ_WORK);
        return;
    }
    control_bury();
    spin_unlock(&control_lock);
}
