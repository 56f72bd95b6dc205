// SPDX-License-Identifier: MIT
/*
 * The table of ports and the transitions of a port: binding and closing. Every function here checks everything under
 * the locks it needs, then changes the table in steps that cannot fail.
 */
#include <pv/evtchn.h>
#include <pv/heap.h>
#include "internal.h"

struct spinlock evtchn_pair_lock = SPINLOCK_INIT(LOCK_EVTCHN_PAIR);
const struct evtchn_pirq_hooks *evtchn_pirq_hooks;

_Static_assert(EVTCHN_MAX_VCPUS == MAX_VCPUS, "virq_port and pollers have room for each vCPU");
_Static_assert(EVTCHN_NR_PORTS == EVTCHN_2L_NR_CHANNELS, "2-level ABI");

/* --- looking up --- */

struct evtchn *evtchn_port(struct domain *d, u32 port) {
    if (port >= EVTCHN_NR_PORTS)
        return NULL;
    struct evtchn *chunk = __atomic_load_n(&d->evtchn.chunk[port / EVTCHN_CHUNK_PORTS], __ATOMIC_ACQUIRE);
    return chunk ? &chunk[port % EVTCHN_CHUNK_PORTS] : NULL;
}

struct evtchn *evtchn_port_used(struct domain *d, u32 port) {
    struct evtchn *chn = evtchn_port(d, port);
    return chn && chn->state != EVTCHN_FREE && chn->state != EVTCHN_RESERVED ? chn : NULL;
}

struct vcpu *evtchn_vcpu(struct domain *d, u32 id) {
    return id < d->nr_vcpus ? d->vcpu[id] : NULL;
}

bool evtchn_virq_is_global(u32 virq) {
    return virq != VIRQ_TIMER && virq != VIRQ_DEBUG && virq != VIRQ_XENOPROF && virq != VIRQ_XENPMU;
}

static u16 *virq_slot(struct domain *d, u32 virq, u32 vcpu) {
    return &d->evtchn.virq_port[evtchn_virq_is_global(virq) ? 0 : vcpu][virq];
}

/* --- allocating --- */

static bool chunk_allocate(struct evtchn_table *t, u32 index) {
    if (t->chunk[index])
        return true;
    struct evtchn *chunk = heap_alloc(EVTCHN_CHUNK_PORTS * sizeof(*chunk));
    if (!chunk)
        return false;
    if (index == 0)
        chunk[0].state = EVTCHN_RESERVED; /* port 0 means "none" to guests */
    __atomic_store_n(&t->chunk[index], chunk, __ATOMIC_RELEASE);
    return true;
}

/* Finds a free port and its slot; the state is still FREE. -ENOSPC, -ENOMEM, or -ESRCH for a dying domain. */
static int port_find_free(struct domain *d, u32 *port) {
    struct evtchn_table *t = &d->evtchn;
    ASSERT(spin_held(&t->lock));
    if (t->dead)
        return -ESRCH;
    for (u32 p = t->search; p < t->nr_ports; p++) {
        if (!chunk_allocate(t, p / EVTCHN_CHUNK_PORTS))
            return -ENOMEM;
        if (evtchn_port(d, p)->state != EVTCHN_FREE)
            continue;
        t->search = p;
        *port = p;
        return 0;
    }
    t->search = t->nr_ports;
    return -ENOSPC;
}

/* FREE -> state. A port starts out without an event from its past life, telling vCPU `vcpu`. */
static void port_use(struct domain *d, u32 port, struct evtchn as) {
    evtchn_clear_pending(d, port);
    *evtchn_port(d, port) = as;
    d->evtchn.search = port + 1;
}

/* any -> FREE */
static void port_free(struct domain *d, u32 port) {
    *evtchn_port(d, port) = (struct evtchn){.state = EVTCHN_FREE};
    evtchn_clear_pending(d, port);
    d->evtchn.search = MIN(d->evtchn.search, port);
}

/* One free port turned into what `as` says. */
static int port_bind(struct domain *d, struct evtchn as, u32 *port) {
    spin_lock(&d->evtchn.lock);
    int rc = port_find_free(d, port);
    if (!rc)
        port_use(d, *port, as);
    spin_unlock(&d->evtchn.lock);
    return rc;
}

/* --- binding --- */

int evtchn_alloc_unbound(struct domain *d, domid_t remote, u32 *port) {
    return port_bind(d, (struct evtchn){.state = EVTCHN_UNBOUND, .u.unbound.dom = remote}, port);
}

int evtchn_bind_host(struct domain *d, evtchn_handler_fn fn, void *arg, u32 *port) {
    return port_bind(d, (struct evtchn){.state = EVTCHN_HOST, .u.host = {fn, arg}}, port);
}

int evtchn_bind_ipi(struct domain *d, u32 vcpu, u32 *port) {
    if (!evtchn_vcpu(d, vcpu))
        return -ENOENT;
    return port_bind(d, (struct evtchn){.state = EVTCHN_IPI, .vcpu = (u8)vcpu}, port);
}

int evtchn_bind_virq(struct domain *d, u32 virq, u32 vcpu, u32 *port) {
    if (virq >= NR_VIRQS || (evtchn_virq_is_global(virq) && vcpu != 0))
        return -EINVAL;
    if (!evtchn_vcpu(d, vcpu))
        return -ENOENT;
    u16 *slot = virq_slot(d, virq, vcpu);
    spin_lock(&d->evtchn.lock);
    int rc = *slot ? -EEXIST : port_find_free(d, port);
    if (!rc) {
        port_use(d, *port, (struct evtchn){.state = EVTCHN_VIRQ, .vcpu = (u8)vcpu, .u.virq.virq = virq});
        *slot = (u16)*port;
    }
    spin_unlock(&d->evtchn.lock);
    return rc;
}

/* The hook checks the pirq and the right to it. The port is there before interrupts can come. */
int evtchn_bind_pirq(struct domain *d, u32 pirq, u32 flags, u32 *port) {
    if (!evtchn_pirq_hooks)
        return -EPERM;
    spin_lock(&d->evtchn.lock);
    int rc = port_find_free(d, port);
    if (!rc) {
        port_use(d, *port, (struct evtchn){.state = EVTCHN_PIRQ, .u.pirq.pirq = pirq});
        rc = evtchn_pirq_hooks->bind(d, pirq, flags, *port);
        if (rc)
            port_free(d, *port);
    }
    spin_unlock(&d->evtchn.lock);
    return rc;
}

static void tables_lock(struct domain *a, struct domain *b) {
    ASSERT(spin_held(&evtchn_pair_lock));
    spin_lock(&a->evtchn.lock);
    if (a != b)
        spin_lock(&b->evtchn.lock);
}

static void tables_unlock(struct domain *a, struct domain *b) {
    if (a != b)
        spin_unlock(&b->evtchn.lock);
    spin_unlock(&a->evtchn.lock);
}

/* UNBOUND (remote's) and FREE (ours) -> INTERDOMAIN, both. An event sent before now would be lost, so one is raised. */
static int pair_bind(struct domain *d, struct domain *remote, u32 remote_port, u32 *port) {
    int rc = port_find_free(d, port);
    if (rc)
        return rc;
    struct evtchn *peer = evtchn_port_used(remote, remote_port);
    if (!peer || peer->state != EVTCHN_UNBOUND || peer->u.unbound.dom != d->id)
        return -EINVAL;
    port_use(d, *port, (struct evtchn){.state = EVTCHN_INTERDOMAIN, .u.peer = {remote, remote_port}});
    peer->u.peer.dom = d;
    peer->u.peer.port = *port;
    peer->state = EVTCHN_INTERDOMAIN;
    evtchn_port_raise(d, *port, evtchn_port(d, *port));
    return 0;
}

int evtchn_bind_pair_locked(struct domain *d, struct domain *remote, u32 remote_port, u32 *port) {
    tables_lock(d, remote);
    int rc = pair_bind(d, remote, remote_port, port);
    tables_unlock(d, remote);
    return rc;
}

int evtchn_bind_interdomain(struct domain *d, struct domain *remote, u32 remote_port, u32 *port) {
    spin_lock(&evtchn_pair_lock);
    int rc = evtchn_bind_pair_locked(d, remote, remote_port, port);
    spin_unlock(&evtchn_pair_lock);
    return rc;
}

/* A port whose vCPU was fixed when it was bound refuses. */
int evtchn_bind_vcpu(struct domain *d, u32 port, u32 vcpu) {
    if (!evtchn_vcpu(d, vcpu))
        return -ENOENT;
    spin_lock(&d->evtchn.lock);
    struct evtchn *chn = evtchn_port_used(d, port);
    bool fixed =
        !chn || chn->state == EVTCHN_IPI || (chn->state == EVTCHN_VIRQ && !evtchn_virq_is_global(chn->u.virq.virq));
    if (!fixed)
        WRITE_ONCE(chn->vcpu, (u8)vcpu);
    if (!fixed && chn->state == EVTCHN_PIRQ)
        evtchn_pirq_hooks->moved(d, chn->u.pirq.pirq, port, vcpu);
    spin_unlock(&d->evtchn.lock);
    return fixed ? -EINVAL : 0;
}

/* --- closing --- */

/* INTERDOMAIN -> UNBOUND, for the peer of a port that closes; waits for the closer to come back. */
static void peer_unbind(struct domain *d, const struct evtchn *chn) {
    struct domain *remote = chn->u.peer.dom;
    struct evtchn *peer = evtchn_port(remote, chn->u.peer.port);
    if (remote != d)
        spin_lock(&remote->evtchn.lock);
    BUG_ON(peer->state != EVTCHN_INTERDOMAIN || peer->u.peer.dom != d);
    peer->state = EVTCHN_UNBOUND;
    peer->u.unbound.dom = d->id;
    if (remote != d)
        spin_unlock(&remote->evtchn.lock);
}

static void port_close(struct domain *d, u32 port, struct evtchn *chn) {
    switch ((enum evtchn_state)chn->state) {
    case EVTCHN_INTERDOMAIN:
        peer_unbind(d, chn);
        break;
    case EVTCHN_PIRQ:
        evtchn_pirq_hooks->unbind(d, chn->u.pirq.pirq, port);
        break;
    case EVTCHN_VIRQ:
        *virq_slot(d, chn->u.virq.virq, chn->vcpu) = 0;
        break;
    case EVTCHN_FREE:
    case EVTCHN_RESERVED:
    case EVTCHN_UNBOUND:
    case EVTCHN_IPI:
    case EVTCHN_HOST:
        break;
    }
    port_free(d, port);
}

static int close_locked(struct domain *d, u32 port, bool host_too) {
    ASSERT(spin_held(&evtchn_pair_lock));
    spin_lock(&d->evtchn.lock);
    struct evtchn *chn = evtchn_port_used(d, port);
    bool closes = chn && (host_too || chn->state != EVTCHN_HOST);
    if (closes)
        port_close(d, port, chn);
    spin_unlock(&d->evtchn.lock);
    return closes ? 0 : -EINVAL;
}

int evtchn_close(struct domain *d, u32 port) {
    spin_lock(&evtchn_pair_lock);
    int rc = close_locked(d, port, true);
    spin_unlock(&evtchn_pair_lock);
    return rc;
}

/* 4096 ports at most, a fraction of a microsecond each: not worth preempting. */
void evtchn_close_all_locked(struct domain *d, bool host_too) {
    for (u32 port = 1; port < EVTCHN_NR_PORTS; port++)
        if (evtchn_port(d, port))
            close_locked(d, port, host_too);
}

void evtchn_reset(struct domain *d) {
    spin_lock(&evtchn_pair_lock);
    evtchn_close_all_locked(d, false);
    spin_unlock(&evtchn_pair_lock);
}

void evtchn_init(struct domain *d) {
    struct evtchn_table *t = &d->evtchn;
    memset(t, 0, sizeof(*t));
    spin_init(&t->lock, LOCK_EVTCHN);
    t->search = 1;
    t->nr_ports = EVTCHN_NR_PORTS;
}

/* Dead before the first port is closed, so that nothing is bound behind the loop's back. */
void evtchn_destroy(struct domain *d) {
    struct evtchn_table *t = &d->evtchn;
    evtchn_forget_handler(d);
    spin_lock(&evtchn_pair_lock);
    spin_lock(&t->lock);
    t->dead = true;
    spin_unlock(&t->lock);
    evtchn_close_all_locked(d, true);
    if (evtchn_pirq_hooks)
        evtchn_pirq_hooks->release(d);
    spin_lock(&t->lock);
    for (u32 i = 0; i < EVTCHN_NR_CHUNKS; i++) {
        heap_free(t->chunk[i]);
        t->chunk[i] = NULL;
    }
    spin_unlock(&t->lock);
    spin_unlock(&evtchn_pair_lock);
}

void evtchn_quiesce(void) {
    spin_lock(&evtchn_pair_lock);
    spin_unlock(&evtchn_pair_lock);
}
