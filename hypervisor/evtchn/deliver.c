// SPDX-License-Identifier: MIT
/*
 * Delivery: from "this port has an event" to the bits in the guest's pages and a kick of the right vCPU; polling; and
 * the hypervisor's own events, VIRQs. The pages belong to the guest: bits are changed with atomic operations, and
 * nothing found in them is trusted for more than whether this guest is to be told.
 */
#include <pv/evtchn.h>
#include "internal.h"

static struct spinlock handler_lock = SPINLOCK_INIT(LOCK_EVTCHN_HANDLER);
static struct domain *handlers[NR_VIRQS]; /* of global VIRQs */

static u64 *pending_bits(struct domain *d) {
    return (u64 *)d->shared_info->evtchn_pending;
}
static u64 *mask_bits(struct domain *d) {
    return (u64 *)d->shared_info->evtchn_mask;
}

/* A domain under construction or in destruction may have no shared_info. */
void evtchn_clear_pending(struct domain *d, u32 port) {
    if (d->shared_info)
        bit_clear(pending_bits(d), port);
}

/* The selector word before upcall_pending: the guest clears the latter first and then looks at the former. */
static void vcpu_mark_pending(struct vcpu *v, u64 words) {
    struct vcpu_info *info = READ_ONCE(v->info);
    if (!info) /* above the 32 that shared_info has room for, and none registered yet: evtchn_mark_all_pending() will */
        return;
    if ((__atomic_fetch_or(&info->evtchn_pending_sel, words, __ATOMIC_SEQ_CST) & words) == words)
        return;
    if (!__atomic_exchange_n(&info->evtchn_upcall_pending, 1, __ATOMIC_SEQ_CST))
        vcpu_kick(v);
}

/* A poller first says that it polls and then looks at the bits; here the bit is set first: one of the two sees. */
static void wake_pollers(struct domain *d, u32 port) {
    u64 pollers = __atomic_load_n(&d->evtchn.pollers, __ATOMIC_SEQ_CST);
    while (pollers) {
        u32 id = (u32)__builtin_ctzl(pollers);
        struct vcpu *v = evtchn_vcpu(d, id);
        pollers &= pollers - 1;
        if (v && (READ_ONCE(v->poll_port_mask) & BIT(port % 64)))
            evtchn_poll_end(v);
    }
}

void evtchn_set_pending(struct vcpu *v, u32 port) {
    struct domain *d = v->domain;
    if (!d->shared_info || bit_test_and_set(pending_bits(d), port))
        return;
    if (!bit_test(mask_bits(d), port))
        vcpu_mark_pending(v, BIT(port / 64));
    wake_pollers(d, port);
}

void evtchn_mark_all_pending(struct vcpu *v) {
    struct vcpu_info *info = v->info;
    __atomic_store_n(&info->evtchn_pending_sel, ~0ul, __ATOMIC_SEQ_CST);
    __atomic_store_n(&info->evtchn_upcall_pending, 1, __ATOMIC_SEQ_CST);
    vcpu_kick(v);
}

/* --- sending --- */

void evtchn_port_raise(struct domain *d, u32 port, const struct evtchn *chn) {
    struct vcpu *v = evtchn_vcpu(d, READ_ONCE(chn->vcpu));
    if (v)
        evtchn_set_pending(v, port);
}

static int send_locked(struct domain *d, u32 port, struct evtchn *chn) {
    switch ((enum evtchn_state)chn->state) {
    case EVTCHN_INTERDOMAIN: {
        struct domain *remote = chn->u.peer.dom; /* lives, and is bound to us, as long as our lock is held */
        evtchn_port_raise(remote, chn->u.peer.port, evtchn_port(remote, chn->u.peer.port));
        return 0;
    }
    case EVTCHN_IPI:
        evtchn_port_raise(d, port, chn);
        return 0;
    case EVTCHN_UNBOUND: /* nobody there yet: whoever binds gets an event anyway */
        return 0;
    default:
        return -EINVAL;
    }
}

int evtchn_send(struct domain *d, u32 port) {
    spin_lock(&d->evtchn.lock);
    struct evtchn *chn = evtchn_port_used(d, port);
    if (chn && chn->state == EVTCHN_HOST) {
        struct evtchn host = *chn;
        spin_unlock(&d->evtchn.lock);
        host.u.host.fn(d, port, host.u.host.arg);
        return 0;
    }
    int rc = chn ? send_locked(d, port, chn) : -EINVAL;
    spin_unlock(&d->evtchn.lock);
    return rc;
}

void evtchn_raise_host(struct domain *d, u32 port) {
    spin_lock(&d->evtchn.lock);
    struct evtchn *chn = evtchn_port_used(d, port);
    if (chn && chn->state == EVTCHN_HOST)
        evtchn_port_raise(d, port, chn);
    spin_unlock(&d->evtchn.lock);
}

bool evtchn_raise_pirq(struct domain *d, u32 port, u32 pirq) {
    struct evtchn *chn = evtchn_port(d, port);
    if (!chn || chn->state != EVTCHN_PIRQ || chn->u.pirq.pirq != pirq || !d->shared_info)
        return true;
    bool taken = !bit_test(pending_bits(d), port);
    evtchn_port_raise(d, port, chn);
    return taken;
}

int evtchn_unmask(struct domain *d, u32 port) {
    int rc = -EINVAL;
    spin_lock(&d->evtchn.lock);
    struct evtchn *chn = evtchn_port_used(d, port);
    if (chn && d->shared_info) {
        if (bit_test_and_clear(mask_bits(d), port) && bit_test(pending_bits(d), port))
            vcpu_mark_pending(d->vcpu[chn->vcpu], BIT(port / 64));
        rc = 0;
    }
    spin_unlock(&d->evtchn.lock);
    return rc;
}

/* --- VIRQs --- */

void evtchn_send_virq(struct vcpu *v, u32 virq) {
    struct domain *d = v->domain;
    ASSERT(virq < NR_VIRQS);
    spin_lock(&d->evtchn.lock);
    u32 port = d->evtchn.virq_port[evtchn_virq_is_global(virq) ? 0 : v->id][virq];
    if (port)
        evtchn_port_raise(d, port, evtchn_port(d, port));
    spin_unlock(&d->evtchn.lock);
}

void evtchn_send_global_virq(u32 virq) {
    ASSERT(virq < NR_VIRQS && evtchn_virq_is_global(virq));
    spin_lock(&handler_lock);
    if (handlers[virq] && evtchn_vcpu(handlers[virq], 0))
        evtchn_send_virq(handlers[virq]->vcpu[0], virq);
    spin_unlock(&handler_lock);
}

int evtchn_set_global_handler(struct domain *d, u32 virq) {
    if (virq >= NR_VIRQS || !evtchn_virq_is_global(virq))
        return -EINVAL;
    spin_lock(&handler_lock);
    handlers[virq] = d;
    spin_unlock(&handler_lock);
    return 0;
}

void evtchn_handle_global_virqs(struct domain *d) {
    for (u32 i = 0; i < NR_VIRQS; i++)
        (void)evtchn_set_global_handler(d, i);
}

void evtchn_forget_handler(const struct domain *d) {
    spin_lock(&handler_lock);
    for (u32 i = 0; i < NR_VIRQS; i++)
        if (handlers[i] == d)
            handlers[i] = NULL;
    spin_unlock(&handler_lock);
}

/* --- polling --- */

static bool any_port_pending(struct domain *d, const evtchn_port_t *ports, u32 nr) {
    for (u32 i = 0; i < nr; i++)
        if (bit_test(pending_bits(d), ports[i]))
            return true;
    return false;
}

int evtchn_poll(struct vcpu *v, const evtchn_port_t *ports, u32 nr) {
    struct domain *d = v->domain;
    u64 mask = 0;
    for (u32 i = 0; i < nr; i++) {
        if (!evtchn_port(d, ports[i]))
            return -EINVAL;
        mask |= BIT(ports[i] % 64);
    }
    WRITE_ONCE(v->poll_port_mask, nr ? mask : ~0ul);
    bit_set(&d->evtchn.pollers, v->id);
    vcpu_pause_set(v, VCPU_BLOCKED);
    if (vcpu_event_pending(v) || any_port_pending(d, ports, nr))
        evtchn_poll_end(v);
    return 0;
}

/*
 * Only the bit in `pollers` says whether there is a poll. The mask and the timer are left alone: by the time the bit
 * is cleared here the vCPU may run again, for another reason, and be about to poll for other ports.
 */
void evtchn_poll_end(struct vcpu *v) {
    if (bit_test_and_clear(&v->domain->evtchn.pollers, v->id))
        vcpu_pause_clear(v, VCPU_BLOCKED);
}
