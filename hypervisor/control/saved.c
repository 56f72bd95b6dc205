// SPDX-License-Identifier: MIT
// The rest of what a saved guest's vCPUs consist of: entry points for 32-bit system calls, extended FPU state, MSRs.
#include "internal.h"

#include <pv/heap.h>
#include <pv/hypercall.h>
#include <pv/mm.h>
#include <pv/x86_vcpu.h>

/* --- entry points --- */

long control_get_ext_context(struct vcpu *caller, struct domain *d, struct xen_domctl *op) {
    struct xen_domctl_ext_vcpucontext *e = &op->u.ext_vcpucontext;
    const u32 id = e->vcpu;
    const struct vcpu *v = control_vcpu(d, id);

    (void)caller;
    if (!v)
        return -ESRCH;
    memset(e, 0, sizeof(*e));
    e->vcpu = id;
    e->size = sizeof(*e);
    e->syscall32_callback_eip = v->syscall32.rip;
    e->syscall32_callback_cs = v->syscall32.cs;
    e->syscall32_disables_events = v->syscall32.mask;
    e->sysenter_callback_eip = v->sysenter.rip;
    e->sysenter_callback_cs = v->sysenter.cs;
    e->sysenter_disables_events = v->sysenter.mask;
    return 0;
}

/* Machine checks are nothing that guests see: what was saved of them is left out. */
long control_set_ext_context(struct vcpu *caller, struct domain *d, struct xen_domctl *op) {
    const struct xen_domctl_ext_vcpucontext *e = &op->u.ext_vcpucontext;
    struct vcpu *v = control_vcpu(d, e->vcpu);

    (void)caller;
    if (!v)
        return -ESRCH;
    if (e->size < offsetof(struct xen_domctl_ext_vcpucontext, mcg_cap) ||
        !hc_guest_address_ok(e->syscall32_callback_eip) || !hc_guest_address_ok(e->sysenter_callback_eip))
        return -EINVAL;
    v->syscall32 = (struct guest_entry){
        .rip = e->syscall32_callback_eip, .cs = e->syscall32_callback_cs, .mask = e->syscall32_disables_events & 1};
    v->sysenter = (struct guest_entry){
        .rip = e->sysenter_callback_eip, .cs = e->sysenter_callback_cs, .mask = e->sysenter_disables_events & 1};
    return 0;
}

/* --- extended state: XCR0, the XCR0 it was ever used with, and the area as XSAVE writes it --- */

#define STATE_HEAD (2 * sizeof(u64))

long control_get_state(struct vcpu *caller, struct domain *d, struct xen_domctl *op) {
    struct xen_domctl_vcpuextstate *s = &op->u.vcpuextstate;
    const struct vcpu *v = control_vcpu(d, s->vcpu);
    u64 features = x86_vcpu_state_features(), head[2] = {features, features};
    u64 size = features ? STATE_HEAD + x86_vcpu_state_size() : 0;

    (void)caller;
    if (!v)
        return -ESRCH;
    if (!s->size && !s->xfeature_mask) {
        s->xfeature_mask = features;
        s->size = size;
        return 0;
    }
    if (s->size != size || s->xfeature_mask != features)
        return -EINVAL;
    if (copy_to_guest(gva((u64)s->buffer.p), head, STATE_HEAD) ||
        copy_to_guest(gva((u64)s->buffer.p + STATE_HEAD), v->xsave_area, x86_vcpu_state_size()))
        return -EFAULT;
    return 0;
}

static long set_state(struct vcpu *v, u64 from, u64 size) {
    u8 *area = heap_alloc(x86_vcpu_state_size());
    long rc = -EFAULT;

    if (!area)
        return -ENOMEM;
    if (!copy_from_guest(area, gva(from), size))
        rc = x86_vcpu_set_state(v, area, size) ? 0 : -EINVAL;
    heap_free(area);
    return rc;
}

/* What was saved may have fewer components than there are here. */
long control_set_state(struct vcpu *caller, struct domain *d, struct xen_domctl *op) {
    const struct xen_domctl_vcpuextstate *s = &op->u.vcpuextstate;
    struct vcpu *v = control_vcpu(d, s->vcpu);
    u64 head[2];

    (void)caller;
    if (!v)
        return -ESRCH;
    if (s->size < STATE_HEAD || s->size > STATE_HEAD + x86_vcpu_state_size())
        return -EINVAL;
    if (copy_from_guest(head, gva((u64)s->buffer.p), STATE_HEAD))
        return -EFAULT;
    if ((head[0] | head[1]) & ~x86_vcpu_state_features())
        return -EINVAL;
    return s->size == STATE_HEAD ? 0 : set_state(v, (u64)s->buffer.p + STATE_HEAD, s->size - STATE_HEAD);
}

/* --- MSRs: guests have none that are not part of their contexts --- */

long control_get_msrs(struct vcpu *caller, struct domain *d, struct xen_domctl *op) {
    (void)caller;
    if (!control_vcpu(d, op->u.vcpu_msrs.vcpu))
        return -EINVAL;
    op->u.vcpu_msrs.msr_count = 0;
    return 0;
}

#define MAX_MSRS_SET 64

/* What another hypervisor saved is taken if it says nothing. */
long control_set_msrs(struct vcpu *caller, struct domain *d, struct xen_domctl *op) {
    struct xen_domctl_vcpu_msrs *m = &op->u.vcpu_msrs;
    struct xen_domctl_vcpu_msr msr;

    (void)caller;
    if (!control_vcpu(d, m->vcpu) || m->msr_count > MAX_MSRS_SET)
        return -EINVAL;
    for (u32 i = 0; i < m->msr_count; i++) {
        if (copy_from_guest(&msr, gva((u64)(m->msrs.p + i)), sizeof(msr)))
            return -EFAULT;
        if (msr.reserved || msr.value) {
            m->msr_count = i;
            return -EINVAL;
        }
    }
    return 0;
}
