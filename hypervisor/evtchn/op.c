// SPDX-License-Identifier: MIT
/*
 * The event_channel_op hypercall: a table of sub-operations, each working on a copy of its argument. Finding the
 * domain meant and the right to it are checked here; the rest where the port changes.
 */
#include <pv/evtchn.h>
#include "internal.h"

struct op {
    long (*fn)(struct vcpu *v, void *arg);
    u16 size;
    bool output;
};

static domid_t resolve_self(const struct vcpu *v, domid_t id) {
    return id == DOMID_SELF ? v->domain->id : id;
}

/*
 * Calls fn for the domain that `id` names, if the caller may act for it. The pair lock keeps the domain from going
 * away meanwhile.
 */
static long for_target(struct vcpu *v, domid_t id, long (*fn)(struct domain *d, void *arg), void *arg) {
    long rc = -ESRCH;
    spin_lock(&evtchn_pair_lock);
    struct domain *d = resolve_self(v, id) == v->domain->id ? v->domain : domain_by_id(id);
    if (d)
        rc = d == v->domain || v->domain->is_control ? fn(d, arg) : -EPERM;
    spin_unlock(&evtchn_pair_lock);
    return rc;
}

static long alloc_unbound(struct domain *d, void *arg) {
    struct evtchn_alloc_unbound *a = arg;
    return evtchn_alloc_unbound(d, a->remote_dom, &a->port);
}

static long op_alloc_unbound(struct vcpu *v, void *arg) {
    struct evtchn_alloc_unbound *a = arg;
    a->remote_dom = resolve_self(v, a->remote_dom);
    return for_target(v, a->dom, alloc_unbound, a);
}

static long op_bind_interdomain(struct vcpu *v, void *arg) {
    struct evtchn_bind_interdomain *a = arg;
    long rc = -ESRCH;
    spin_lock(&evtchn_pair_lock);
    struct domain *remote = domain_by_id(resolve_self(v, a->remote_dom));
    if (remote)
        rc = evtchn_bind_pair_locked(v->domain, remote, a->remote_port, &a->local_port);
    spin_unlock(&evtchn_pair_lock);
    return rc;
}

static long op_bind_virq(struct vcpu *v, void *arg) {
    struct evtchn_bind_virq *a = arg;
    return evtchn_bind_virq(v->domain, a->virq, a->vcpu, &a->port);
}

static long op_bind_ipi(struct vcpu *v, void *arg) {
    struct evtchn_bind_ipi *a = arg;
    return evtchn_bind_ipi(v->domain, a->vcpu, &a->port);
}

static long op_bind_pirq(struct vcpu *v, void *arg) {
    struct evtchn_bind_pirq *a = arg;
    return evtchn_bind_pirq(v->domain, a->pirq, a->flags, &a->port);
}

static long op_close(struct vcpu *v, void *arg) {
    return evtchn_close(v->domain, ((struct evtchn_close *)arg)->port);
}

static long op_send(struct vcpu *v, void *arg) {
    return evtchn_send(v->domain, ((struct evtchn_send *)arg)->port);
}

static long op_unmask(struct vcpu *v, void *arg) {
    return evtchn_unmask(v->domain, ((struct evtchn_unmask *)arg)->port);
}

static long op_bind_vcpu(struct vcpu *v, void *arg) {
    const struct evtchn_bind_vcpu *a = arg;
    return evtchn_bind_vcpu(v->domain, a->port, a->vcpu);
}

static void status_fill(struct evtchn_status *s, const struct evtchn *chn) {
    static const u8 status_of[] = {
        [EVTCHN_FREE] = EVTCHNSTAT_closed,     [EVTCHN_RESERVED] = EVTCHNSTAT_closed,
        [EVTCHN_UNBOUND] = EVTCHNSTAT_unbound, [EVTCHN_INTERDOMAIN] = EVTCHNSTAT_interdomain,
        [EVTCHN_PIRQ] = EVTCHNSTAT_pirq,       [EVTCHN_VIRQ] = EVTCHNSTAT_virq,
        [EVTCHN_IPI] = EVTCHNSTAT_ipi,         [EVTCHN_HOST] = EVTCHNSTAT_interdomain,
    };
    s->status = status_of[chn->state];
    s->vcpu = chn->vcpu;
    switch ((enum evtchn_state)chn->state) {
    case EVTCHN_UNBOUND:
        s->u.unbound.dom = chn->u.unbound.dom;
        break;
    case EVTCHN_PIRQ:
        s->u.pirq = chn->u.pirq.pirq;
        break;
    case EVTCHN_VIRQ:
        s->u.virq = chn->u.virq.virq;
        break;
    case EVTCHN_HOST:
        s->u.interdomain.dom = DOMID_XEN;
        break;
    case EVTCHN_INTERDOMAIN:
        s->u.interdomain.dom = chn->u.peer.dom->id;
        s->u.interdomain.port = chn->u.peer.port;
        break;
    case EVTCHN_FREE:
    case EVTCHN_RESERVED:
    case EVTCHN_IPI:
        break;
    }
}

static long status(struct domain *d, void *arg) {
    struct evtchn_status *s = arg;
    memset(&s->u, 0, sizeof(s->u));
    spin_lock(&d->evtchn.lock);
    struct evtchn *chn = evtchn_port(d, s->port);
    if (chn)
        status_fill(s, chn);
    spin_unlock(&d->evtchn.lock);
    return chn ? 0 : -EINVAL;
}

static long op_status(struct vcpu *v, void *arg) {
    return for_target(v, ((struct evtchn_status *)arg)->dom, status, arg);
}

static long reset(struct domain *d, void *arg) {
    (void)arg;
    evtchn_close_all_locked(d, false);
    return 0;
}

static long op_reset(struct vcpu *v, void *arg) {
    return for_target(v, ((struct evtchn_reset *)arg)->dom, reset, NULL);
}

#define OP(name, out)                                                                                                  \
    { .fn = op_##name, .size = sizeof(struct evtchn_##name), .output = out }
static const struct op ops[] = {
    [EVTCHNOP_bind_interdomain] = OP(bind_interdomain, true),
    [EVTCHNOP_bind_virq] = OP(bind_virq, true),
    [EVTCHNOP_bind_pirq] = OP(bind_pirq, true),
    [EVTCHNOP_close] = OP(close, false),
    [EVTCHNOP_send] = OP(send, false),
    [EVTCHNOP_status] = OP(status, true),
    [EVTCHNOP_alloc_unbound] = OP(alloc_unbound, true),
    [EVTCHNOP_bind_ipi] = OP(bind_ipi, true),
    [EVTCHNOP_bind_vcpu] = OP(bind_vcpu, false),
    [EVTCHNOP_unmask] = OP(unmask, false),
    [EVTCHNOP_reset] = OP(reset, false),
    [EVTCHNOP_init_control] = {0}, /* FIFO ABI: -ENOSYS makes guests stay with the 2-level one */
    [EVTCHNOP_expand_array] = {0},
    [EVTCHNOP_set_priority] = {0},
};

size_t evtchn_arg_size(u32 cmd) {
    return cmd < ARRAY_SIZE(ops) ? ops[cmd].size : 0;
}
bool evtchn_arg_is_output(u32 cmd) {
    return cmd < ARRAY_SIZE(ops) && ops[cmd].output;
}

long evtchn_op(struct vcpu *v, u32 cmd, void *arg) {
    if (!evtchn_arg_size(cmd))
        return -ENOSYS;
    return ops[cmd].fn(v, arg);
}
