// SPDX-License-Identifier: MIT
// sched_op, set_timer_op, event_channel_op, console_io: the calls that mostly pass on to a room.
#include "internal.h"

#include <pv/console.h>
#include <pv/trap.h>

static long block(struct vcpu *v) {
    WRITE_ONCE(v->info->evtchn_upcall_mask, 0);
    vcpu_pause_set(v, VCPU_BLOCKED);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    /* An event that came before the vCPU was marked blocked did not wake it. */
    if (vcpu_event_pending(v))
        vcpu_pause_clear(v, VCPU_BLOCKED);
    return 0;
}

static long shutdown(struct vcpu *v, gva_t at) {
    struct sched_shutdown s;

    if (copy_from_guest(&s, at, sizeof(s)))
        return -EFAULT;
    domain_shutdown(v->domain, (u8)s.reason);
    return 0;
}

/* The first reason given counts, whatever ends the domain later. */
static long shutdown_code(struct vcpu *v, gva_t at) {
    struct domain *d = v->domain;
    struct sched_shutdown s;

    if (copy_from_guest(&s, at, sizeof(s)))
        return -EFAULT;
    spin_lock(&d->lock);
    if (!d->shutdown_code_set && !d->shut_down)
        d->shutdown_code = (u8)s.reason;
    d->shutdown_code_set = true;
    spin_unlock(&d->lock);
    return 0;
}

/* For the control domain alone, about those that it made: a domain may end itself, but not so. */
static long remote_shutdown(struct vcpu *v, gva_t at) {
    struct sched_remote_shutdown s;
    struct domain *d;
    long rc = -EPERM;

    if (copy_from_guest(&s, at, sizeof(s)))
        return -EFAULT;
    d = hc_get_domain(v, s.domain_id, &rc);
    if (d && d->control && v->domain->is_control) {
        domain_shutdown(d, (u8)s.reason);
        rc = 0;
    }
    hc_put_domain(v, d);
    return rc;
}

#define MAX_POLL_PORTS 128

static long poll(struct vcpu *v, gva_t at) {
    evtchn_port_t ports[MAX_POLL_PORTS];
    struct sched_poll p;
    long rc;

    if (copy_from_guest(&p, at, sizeof(p)))
        return -EFAULT;
    if (p.nr_ports > MAX_POLL_PORTS)
        return -EINVAL;
    if (copy_from_guest(ports, gva((u64)p.ports.p), p.nr_ports * sizeof(ports[0])))
        return -EFAULT;
    time_vcpu_set_poll(v, p.timeout);
    rc = evtchn_poll(v, ports, p.nr_ports);
    if (rc || !(v->pause & VCPU_BLOCKED))
        time_vcpu_stop_poll(v);
    return rc;
}

/* arg: command, structure */
long hc_sched_op(struct vcpu *v, u64 *arg) {
    switch (arg[0]) {
    case SCHEDOP_yield:
        sched_yield_entity(&v->sched, time_now());
        return 0;
    case SCHEDOP_block:
        return block(v);
    case SCHEDOP_shutdown:
        return shutdown(v, gva(arg[1]));
    case SCHEDOP_poll:
        return poll(v, gva(arg[1]));
    case SCHEDOP_remote_shutdown:
        return remote_shutdown(v, gva(arg[1]));
    case SCHEDOP_shutdown_code:
        return shutdown_code(v, gva(arg[1]));
    case SCHEDOP_watchdog:
        return hc_watchdog(v, gva(arg[1]));
    case SCHEDOP_pin_override:
        return -EPERM;
    default:
        return -ENOSYS;
    }
}

/* arg: time */
long hc_set_timer_op(struct vcpu *v, u64 *arg) {
    return time_vcpu_set_timer_op(v, arg[0]);
}

/* arg: command, structure */
long hc_event_channel_op(struct vcpu *v, u64 *arg) {
    u64 buf[16];
    u32 cmd = (u32)arg[0];
    size_t n = evtchn_arg_size(cmd);
    long rc;

    if (!n || n > sizeof(buf))
        return -ENOSYS;
    if (copy_from_guest(buf, gva(arg[1]), n))
        return -EFAULT;
    rc = evtchn_op(v, cmd, buf);
    if (!rc && evtchn_arg_is_output(cmd) && copy_to_guest(gva(arg[1]), buf, n))
        return -EFAULT;
    return rc;
}

#define CONSOLE_CHUNK 128

static long console_write_guest(struct vcpu *v, u64 *arg) {
    char buf[CONSOLE_CHUNK];

    while (arg[1]) {
        u64 n = MIN(arg[1], CONSOLE_CHUNK);

        if (copy_from_guest(buf, gva(arg[2]), n))
            return -EFAULT;
        console_guest_write(v->domain, buf, n);
        arg[1] -= n;
        arg[2] += n;
        if (arg[1] && preempt_pending())
            return -ERESTART;
    }
    return 0;
}

static long console_read_guest(struct vcpu *v, u64 *arg) {
    char buf[CONSOLE_CHUNK];
    size_t n = console_guest_read(v->domain, buf, MIN(arg[1], CONSOLE_CHUNK));

    return copy_to_guest(gva(arg[2]), buf, n) ? -EFAULT : (long)n;
}

/* arg: command, count, buffer */
long hc_console_io(struct vcpu *v, u64 *arg) {
    arg[1] = (u32)arg[1];
    if (!v->domain->privileged)
        return -EPERM;
    if (arg[1] >> 31)
        return -EINVAL;
    switch (arg[0]) {
    case CONSOLEIO_write:
        return console_write_guest(v, arg);
    case CONSOLEIO_read:
        return console_read_guest(v, arg);
    default:
        return -ENOSYS;
    }
}

/* arg: command, array, count */
long hc_grant_table_op(struct vcpu *v, u64 *arg) {
    return gnttab_op(v, (u32)arg[0], arg);
}
