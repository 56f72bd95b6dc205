// SPDX-License-Identifier: MIT
/* Event channels against their books. */
#include "evtchn_model.h"
#include <pv/abi.h>

#define DOMS 3 /* ids 0 .. 2; 0 is the control domain */
#define VCPUS 3
#define PORTS 64 /* those that are ever chosen or in use */

struct port {
    enum evtchn_state state;
    u32 vcpu, dom, port, virq; /* dom: of the peer, or who may bind */
};

struct books {
    struct domain *d;
    bool any; /* a port was looked for: the first ports exist */
    struct port port[PORTS];
    u64 pending, mask;
    u64 sel[VCPUS];
    bool upcall[VCPUS], polls[VCPUS], blocked[VCPUS];
    u64 polled[VCPUS];
};

static struct {
    u32 (*pick)(void *arg, u32 n);
    void *arg;
    struct evtchn_model_stats *stats;
    struct books dom[DOMS];
} m;

#define MUST(cond)                                                                                                     \
    do {                                                                                                               \
        if (!(cond))                                                                                                   \
            panic("step %lu, %s:%d: %s\n", m.stats->steps, __FILE__, __LINE__, #cond);                                 \
    } while (0)

static u32 choose(u32 n) {
    return m.pick(m.arg, n);
}

/* --- bits --- */

static void end_poll(struct books *b, u32 v) {
    if (b->polls[v])
        b->blocked[v] = false;
    b->polls[v] = false;
}

static void tell(struct books *b, u32 v) {
    if (b->sel[v] & 1)
        return;
    b->sel[v] |= 1;
    if (!b->upcall[v])
        b->blocked[v] = false;
    b->upcall[v] = true;
}

static void raise(struct books *b, u32 port) {
    u32 v = b->port[port].vcpu;

    if (b->pending >> port & 1)
        return;
    b->pending |= BIT(port);
    m.stats->raised++;
    if (!(b->mask >> port & 1))
        tell(b, v);
    for (u32 i = 0; i < VCPUS; i++)
        if (b->polls[i] && b->polled[i] >> port & 1)
            end_poll(b, i);
}

/* --- ports --- */

static bool is_used(const struct books *b, u32 port) {
    return port > 0 && port < PORTS && b->port[port].state != EVTCHN_FREE;
}

static u32 free_port(struct books *b) {
    u32 p = 1;

    b->any = true;
    while (b->port[p].state != EVTCHN_FREE)
        p++;
    MUST(p < PORTS);
    return p;
}

static u32 take_port(struct books *b, struct port as) {
    u32 p = free_port(b);

    b->port[p] = as;
    b->pending &= ~BIT(p);
    return p;
}

static void close_port(struct books *b, u32 p) {
    struct port *port = &b->port[p];

    if (port->state == EVTCHN_INTERDOMAIN) {
        struct port *peer = &m.dom[port->dom].port[port->port];

        peer->state = EVTCHN_UNBOUND;
        peer->dom = b->d->id;
    }
    *port = (struct port){0};
    b->pending &= ~BIT(p);
}

static void close_all(struct books *b) {
    for (u32 p = 1; p < PORTS; p++)
        if (b->port[p].state != EVTCHN_FREE)
            close_port(b, p);
}

static bool is_global(u32 virq) {
    return virq != VIRQ_TIMER && virq != VIRQ_DEBUG && virq != VIRQ_XENOPROF && virq != VIRQ_XENPMU;
}

static u32 virq_port(const struct books *b, u32 virq, u32 vcpu) {
    for (u32 p = 1; p < PORTS; p++)
        if (b->port[p].state == EVTCHN_VIRQ && b->port[p].virq == virq && (is_global(virq) || b->port[p].vcpu == vcpu))
            return p;
    return 0;
}

/* --- choices --- */

/* A domain as an argument names it: one that is there, oneself, or nobody. */
static domid_t any_dom(void) {
    static const domid_t id[] = {0, 1, 2, 1, 2, DOMID_SELF, 77};

    return id[choose(ARRAY_SIZE(id))];
}

static struct books *named(struct books *self, domid_t id) {
    return id == DOMID_SELF ? self : id < DOMS ? &m.dom[id] : NULL;
}

/* Mostly a port in use. */
static u32 any_port(const struct books *b) {
    static const u32 wild[] = {0, PORTS - 1, 127, 128, 4095, 4096, ~0u};
    u32 p = choose(24);

    if (!choose(12))
        return wild[choose(ARRAY_SIZE(wild))];
    for (u32 i = 0; i < PORTS && b->port[p].state == EVTCHN_FREE && p; i++)
        p = (p + 1) % PORTS;
    return p;
}

/* Mostly one that waits for `self`. */
static u32 any_unbound(const struct books *self, const struct books *b) {
    u32 p = choose(PORTS);

    for (u32 i = 0; i < PORTS && (b->port[p].state != EVTCHN_UNBOUND || b->port[p].dom != self->d->id); i++)
        p = (p + 1) % PORTS;
    return choose(4) ? p : any_port(b);
}

static bool has_room(const struct books *b) {
    u32 n = 0;

    for (u32 p = 1; p < PORTS; p++)
        n += b->port[p].state != EVTCHN_FREE;
    return n < PORTS - 4;
}

/* What a target in an argument means for the caller. */
static long target(struct books *self, domid_t id, struct books **b) {
    *b = named(self, id);
    return !*b ? -ESRCH : *b != self && !self->d->is_control ? -EPERM : 0;
}

/* The machine's answer, counted. */
static long ask(struct books *self, u32 cmd, void *arg) {
    long rc = evtchn_op(self->d->vcpu[choose(VCPUS)], cmd, arg);

    *(rc ? &m.stats->refused : &m.stats->done) += 1;
    return rc;
}

/* --- operations --- */

static void op_alloc(struct books *self) {
    struct evtchn_alloc_unbound a = {.dom = any_dom(), .remote_dom = any_dom()};
    u32 remote = a.remote_dom == DOMID_SELF ? self->d->id : a.remote_dom;
    struct books *b;
    long rc = target(self, a.dom, &b);

    MUST(ask(self, EVTCHNOP_alloc_unbound, &a) == rc);
    if (!rc)
        MUST(a.port == take_port(b, (struct port){.state = EVTCHN_UNBOUND, .dom = remote}));
}

static void op_interdomain(struct books *self) {
    struct evtchn_bind_interdomain a = {.remote_dom = any_dom()};
    struct books *b = named(self, a.remote_dom);
    u32 local;
    long rc;

    a.remote_port = any_unbound(self, b ? b : self);
    rc = ask(self, EVTCHNOP_bind_interdomain, &a);
    if (!b) {
        MUST(rc == -ESRCH);
        return;
    }
    local = free_port(self);
    if (!is_used(b, a.remote_port) || b->port[a.remote_port].state != EVTCHN_UNBOUND ||
        b->port[a.remote_port].dom != self->d->id) {
        MUST(rc == -EINVAL);
        return;
    }
    MUST(!rc && a.local_port == local);
    take_port(self, (struct port){.state = EVTCHN_INTERDOMAIN, .dom = b->d->id, .port = a.remote_port});
    b->port[a.remote_port].state = EVTCHN_INTERDOMAIN;
    b->port[a.remote_port].dom = self->d->id;
    b->port[a.remote_port].port = local;
    raise(self, local);
}

static void op_virq(struct books *self) {
    struct evtchn_bind_virq a = {.virq = choose(NR_VIRQS + 1), .vcpu = choose(VCPUS + 1)};
    long rc = ask(self, EVTCHNOP_bind_virq, &a);

    if (a.virq >= NR_VIRQS || (is_global(a.virq) && a.vcpu))
        MUST(rc == -EINVAL);
    else if (a.vcpu >= VCPUS)
        MUST(rc == -ENOENT);
    else if (virq_port(self, a.virq, a.vcpu))
        MUST(rc == -EEXIST);
    else
        MUST(!rc && a.port == take_port(self, (struct port){.state = EVTCHN_VIRQ, .vcpu = a.vcpu, .virq = a.virq}));
}

static void op_ipi(struct books *self) {
    struct evtchn_bind_ipi a = {.vcpu = choose(VCPUS + 1)};
    long rc = ask(self, EVTCHNOP_bind_ipi, &a);

    if (a.vcpu >= VCPUS)
        MUST(rc == -ENOENT);
    else
        MUST(!rc && a.port == take_port(self, (struct port){.state = EVTCHN_IPI, .vcpu = a.vcpu}));
}

static void op_close(struct books *self) {
    struct evtchn_close a = {.port = any_port(self)};

    MUST(ask(self, EVTCHNOP_close, &a) == (is_used(self, a.port) ? 0 : -EINVAL));
    if (is_used(self, a.port))
        close_port(self, a.port);
}

static void op_send(struct books *self) {
    struct evtchn_send a = {.port = any_port(self)};
    enum evtchn_state state = is_used(self, a.port) ? self->port[a.port].state : EVTCHN_FREE;
    bool ok = state == EVTCHN_INTERDOMAIN || state == EVTCHN_IPI || state == EVTCHN_UNBOUND;

    MUST(ask(self, EVTCHNOP_send, &a) == (ok ? 0 : -EINVAL));
    if (state == EVTCHN_INTERDOMAIN)
        raise(&m.dom[self->port[a.port].dom], self->port[a.port].port);
    if (state == EVTCHN_IPI)
        raise(self, a.port);
}

static void op_unmask(struct books *self) {
    struct evtchn_unmask a = {.port = any_port(self)};
    bool used = is_used(self, a.port);

    MUST(ask(self, EVTCHNOP_unmask, &a) == (used ? 0 : -EINVAL));
    if (used && self->mask & BIT(a.port) && self->pending & BIT(a.port))
        tell(self, self->port[a.port].vcpu);
    if (used)
        self->mask &= ~BIT(a.port);
}

static void op_bind_vcpu(struct books *self) {
    struct evtchn_bind_vcpu a = {.port = any_port(self), .vcpu = choose(VCPUS + 1)};
    const struct port *p = is_used(self, a.port) ? &self->port[a.port] : NULL;
    bool fixed = !p || p->state == EVTCHN_IPI || (p->state == EVTCHN_VIRQ && !is_global(p->virq));
    long rc = ask(self, EVTCHNOP_bind_vcpu, &a);

    MUST(rc == (a.vcpu >= VCPUS ? -ENOENT : fixed ? -EINVAL : 0));
    if (!rc)
        self->port[a.port].vcpu = a.vcpu;
}

static void check_status(const struct evtchn_status *s, const struct port *p) {
    MUST(s->vcpu == p->vcpu);
    switch (p->state) {
    case EVTCHN_UNBOUND:
        MUST(s->status == EVTCHNSTAT_unbound && s->u.unbound.dom == p->dom);
        break;
    case EVTCHN_INTERDOMAIN:
        MUST(s->status == EVTCHNSTAT_interdomain && s->u.interdomain.dom == p->dom && s->u.interdomain.port == p->port);
        break;
    case EVTCHN_VIRQ:
        MUST(s->status == EVTCHNSTAT_virq && s->u.virq == p->virq);
        break;
    case EVTCHN_IPI:
        MUST(s->status == EVTCHNSTAT_ipi);
        break;
    default:
        MUST(s->status == EVTCHNSTAT_closed);
        break;
    }
}

static void op_status(struct books *self) {
    struct evtchn_status a = {.dom = any_dom(), .port = any_port(self)};
    struct books *b;
    long rc = target(self, a.dom, &b);

    if (!rc && (!b->any || a.port >= EVTCHN_CHUNK_PORTS))
        rc = -EINVAL;
    MUST(ask(self, EVTCHNOP_status, &a) == rc);
    if (!rc && a.port < PORTS)
        check_status(&a, &b->port[a.port]);
}

static void op_reset(struct books *self) {
    struct evtchn_reset a = {.dom = any_dom()};
    struct books *b;
    long rc;

    if (choose(8))
        return;
    rc = target(self, a.dom, &b);
    MUST(ask(self, EVTCHNOP_reset, &a) == rc);
    if (!rc)
        close_all(b);
}

static void op_refused(struct books *self) {
    static const u32 cmd[] = {EVTCHNOP_init_control, EVTCHNOP_expand_array, EVTCHNOP_set_priority, 99};
    struct evtchn_bind_pirq pirq = {.pirq = choose(4)};
    u64 arg[8] = {0};

    MUST(ask(self, EVTCHNOP_bind_pirq, &pirq) == -EPERM);
    MUST(ask(self, cmd[choose(ARRAY_SIZE(cmd))], arg) == -ENOSYS);
}

static void op_virq_send(struct books *self) {
    u32 virq = choose(NR_VIRQS), vcpu = choose(VCPUS), p = virq_port(self, virq, vcpu);

    evtchn_send_virq(self->d->vcpu[vcpu], virq);
    if (p)
        raise(self, p);
}

static void op_poll(struct books *self) {
    u32 n = choose(3), v = choose(VCPUS);
    evtchn_port_t ports[2] = {any_port(self), any_port(self)};
    bool bad = false, now = self->upcall[v] && !self->d->vcpu[v]->info->evtchn_upcall_mask;
    u64 mask = 0;

    for (u32 i = 0; i < n; i++) {
        bad |= !self->any || ports[i] >= EVTCHN_CHUNK_PORTS;
        mask |= BIT(ports[i] % 64);
        now |= !bad && ports[i] < PORTS && self->pending & BIT(ports[i]);
    }
    MUST(evtchn_poll(self->d->vcpu[v], ports, n) == (bad ? -EINVAL : 0));
    if (bad)
        return;
    self->polled[v] = n ? mask : ~0ul;
    self->polls[v] = self->blocked[v] = true;
    if (now)
        end_poll(self, v);
}

/* What the guest does by itself: masks, takes events, hides upcalls. */
static void op_guest(struct books *self) {
    struct shared_info *s = self->d->shared_info;
    u32 p = choose(24), v = choose(VCPUS);

    switch (choose(6)) {
    case 0:
        self->mask |= BIT(p);
        s->evtchn_mask[0] |= BIT(p);
        break;
    case 1:
    case 2:
        self->pending = 0;
        s->evtchn_pending[0] = 0;
        break;
    case 3:
    case 4:
        self->sel[v] = 0;
        self->upcall[v] = false;
        self->d->vcpu[v]->info->evtchn_pending_sel = 0;
        self->d->vcpu[v]->info->evtchn_upcall_pending = 0;
        break;
    default:
        self->d->vcpu[v]->info->evtchn_upcall_mask ^= 1;
        break;
    }
}

/* --- the machine against the books --- */

static void check_bits(const struct books *b) {
    const struct shared_info *s = b->d->shared_info;

    MUST(s->evtchn_pending[0] == b->pending && s->evtchn_mask[0] == b->mask);
    for (u32 i = 1; i < 64; i++)
        MUST(!s->evtchn_pending[i] && !s->evtchn_mask[i]);
    for (u32 v = 0; v < VCPUS; v++) {
        MUST(b->d->vcpu[v]->info->evtchn_pending_sel == b->sel[v]);
        MUST(!b->d->vcpu[v]->info->evtchn_upcall_pending == !b->upcall[v]);
        MUST(!(b->d->vcpu[v]->pause & VCPU_BLOCKED) == !b->blocked[v]);
        MUST((b->d->evtchn.pollers >> v & 1) == b->polls[v]);
    }
}

static void check_ports(struct books *b) {
    for (u32 p = 0; p < PORTS && b->any; p++) {
        struct evtchn_status s = {.dom = DOMID_SELF, .port = p};

        MUST(!evtchn_op(b->d->vcpu[0], EVTCHNOP_status, &s));
        check_status(&s, &b->port[p]);
    }
    for (u32 i = 1; i < EVTCHN_NR_CHUNKS; i++)
        MUST(!b->d->evtchn.chunk[i]);
}

/* --- the run --- */

static void create(u32 id) {
    struct books *b = &m.dom[id];

    *b = (struct books){.d = host_domain((domid_t)id, VCPUS)};
    b->d->is_control = id == 0;
    evtchn_init(b->d);
}

static void destroy(u32 id) {
    close_all(&m.dom[id]);
    evtchn_destroy(m.dom[id].d);
    host_domain_free(m.dom[id].d);
}

static void step(void) {
    static void (*const ops[])(struct books * self) = {
        op_alloc, op_alloc,  op_interdomain, op_interdomain, op_interdomain, op_virq,    op_ipi,
        op_close, op_send,   op_send,        op_send,        op_unmask,      op_unmask,  op_bind_vcpu,
        op_guest, op_status, op_guest,       op_reset,       op_virq_send,   op_refused, op_poll};
    u32 id = choose(DOMS);

    m.stats->steps++;
    if (!choose(250)) {
        destroy(id);
        create(id);
        m.stats->deaths++;
    } else if (has_room(&m.dom[0]) && has_room(&m.dom[1]) && has_room(&m.dom[2])) {
        ops[choose(ARRAY_SIZE(ops))](&m.dom[id]);
    } else {
        struct evtchn_reset a = {.dom = DOMID_SELF};

        MUST(!ask(&m.dom[id], EVTCHNOP_reset, &a));
        close_all(&m.dom[id]);
    }
}

void evtchn_model_run(u32 (*pick)(void *arg, u32 n), bool (*more)(void *arg), void *arg, struct evtchn_model_stats *s) {
    memset(&m, 0, sizeof(m));
    memset(s, 0, sizeof(*s));
    m.pick = pick;
    m.arg = arg;
    m.stats = s;
    host_set_cpus(1);
    for (u32 i = 0; i < DOMS; i++)
        create(i);
    while (more(arg)) {
        step();
        for (u32 i = 0; i < DOMS; i++) {
            check_bits(&m.dom[i]);
            check_ports(&m.dom[i]);
        }
    }
    for (u32 i = 0; i < DOMS; i++)
        destroy(i);
    MUST(host_heap_live == 0);
}
