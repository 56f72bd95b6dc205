// SPDX-License-Identifier: MIT
// Calls in the form they had once, which old kernels still use: the sub-operation inside the structure, or a number of
// its own. Each is turned into the call of today.
#include "internal.h"

#include <xen/event_channel.h>
#include <xen/nmi.h>
#include <xen/physdev.h>

/* arg: struct with a 32-bit command and a union that starts at `offset` */
static long split(struct vcpu *v, u64 at, size_t offset, long (*call)(struct vcpu *v, u64 *arg)) {
    u64 arg[6] = {0, at + offset};
    u32 cmd;

    if (copy_from_guest(&cmd, gva(at), sizeof(cmd)))
        return -EFAULT;
    arg[0] = cmd;
    return call(v, arg);
}

/* arg: struct evtchn_op */
long hc_event_channel_op_compat(struct vcpu *v, u64 *arg) {
    return split(v, arg[0], offsetof(struct evtchn_op, u), hc_event_channel_op);
}

/* arg: struct physdev_op */
long hc_physdev_op_compat(struct vcpu *v, u64 *arg) {
    return split(v, arg[0], offsetof(struct physdev_op, u), hc_physdev_op);
}

/* arg: command, reason (shutdown only) */
long hc_sched_op_compat(struct vcpu *v, u64 *arg) {
    switch (arg[0]) {
    case SCHEDOP_yield:
    case SCHEDOP_block:
        return hc_sched_op(v, arg);
    case SCHEDOP_shutdown:
        domain_shutdown(v->domain, (u8)arg[1]);
        return 0;
    default:
        return -ENOSYS;
    }
}

/* arg: command, struct xennmi_callback */
long hc_nmi_op(struct vcpu *v, u64 *arg) {
    struct xennmi_callback c = {0};

    switch (arg[0]) {
    case XENNMI_register_callback:
        if (copy_from_guest(&c, gva(arg[1]), sizeof(c)))
            return -EFAULT;
        if (v->id || !hc_guest_address_ok(c.handler_address))
            return -EINVAL;
        v->trap[VEC_NMI] = (struct guest_entry){.rip = c.handler_address};
        return 0;
    case XENNMI_unregister_callback:
        v->trap[VEC_NMI] = (struct guest_entry){0};
        return 0;
    default:
        return -ENOSYS;
    }
}
