// SPDX-License-Identifier: MIT
// sources: evtchn/ports.c evtchn/deliver.c evtchn/op.c
/*
 * Event channels: each transition of a port, the exact errors, delivery into the guest's bits, polling, the end of a
 * domain; then random operations on three domains checked against invariants; then threads.
 */
#include "host.h"
#include <pthread.h>
#include <cmocka.h>

static struct domain *d1, *d2, *dc; /* dc: the control domain */

static int setup(void **state) {
    (void)state;
    host_set_cpus(4);
    host_cpu = 0;
    host_heap_budget = -1;
    host_take_kicks();
    evtchn_pirq_hooks = NULL;
    dc = host_domain(0, 2);
    dc->is_control = true;
    d1 = host_domain(1, 4);
    d2 = host_domain(2, 40);
    evtchn_init(dc);
    evtchn_init(d1);
    evtchn_init(d2);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    struct domain *all[] = {d1, dc, d2};
    for (u32 i = 0; i < 3; i++) {
        evtchn_destroy(all[i]);
        evtchn_destroy(all[i]);
        host_domain_free(all[i]);
    }
    return host_heap_live != 0;
}

/* --- short forms of the hypercall --- */

static long do_op(struct domain *d, u32 cmd, void *arg) {
    return evtchn_op(d->vcpu[0], cmd, arg);
}

static long unbound(struct domain *d, domid_t remote, u32 *port) {
    struct evtchn_alloc_unbound a = {.dom = DOMID_SELF, .remote_dom = remote};
    long rc = do_op(d, EVTCHNOP_alloc_unbound, &a);
    *port = a.port;
    return rc;
}

static long interdomain(struct domain *d, domid_t remote, u32 rport, u32 *port) {
    struct evtchn_bind_interdomain a = {.remote_dom = remote, .remote_port = rport};
    long rc = do_op(d, EVTCHNOP_bind_interdomain, &a);
    *port = a.local_port;
    return rc;
}

static long virq(struct domain *d, u32 n, u32 vcpu, u32 *port) {
    struct evtchn_bind_virq a = {.virq = n, .vcpu = vcpu};
    long rc = do_op(d, EVTCHNOP_bind_virq, &a);
    *port = a.port;
    return rc;
}

static long ipi(struct domain *d, u32 vcpu, u32 *port) {
    struct evtchn_bind_ipi a = {.vcpu = vcpu};
    long rc = do_op(d, EVTCHNOP_bind_ipi, &a);
    *port = a.port;
    return rc;
}

static long on_port(struct domain *d, u32 cmd, u32 port) {
    struct evtchn_close a = {.port = port};
    return do_op(d, cmd, &a);
}
static long do_send(struct domain *d, u32 port) {
    return on_port(d, EVTCHNOP_send, port);
}
static long do_close(struct domain *d, u32 port) {
    return on_port(d, EVTCHNOP_close, port);
}
static long do_unmask(struct domain *d, u32 port) {
    return on_port(d, EVTCHNOP_unmask, port);
}

static long bind_vcpu(struct domain *d, u32 port, u32 vcpu) {
    struct evtchn_bind_vcpu a = {.port = port, .vcpu = vcpu};
    return do_op(d, EVTCHNOP_bind_vcpu, &a);
}

static struct evtchn_status status(struct domain *d, u32 port) {
    struct evtchn_status s = {.dom = DOMID_SELF, .port = port, .status = 99};
    long rc = do_op(d, EVTCHNOP_status, &s);
    if (rc)
        s.status = (u32)rc;
    return s;
}

static bool pending(struct domain *d, u32 port) {
    return bit_test((u64 *)d->shared_info->evtchn_pending, port);
}

/* What a guest's upcall does: takes the pending flag and all bits. */
static u32 guest_takes(struct domain *d, u32 vcpu) {
    struct vcpu_info *info = d->vcpu[vcpu]->info;
    u32 n = 0;
    info->evtchn_upcall_pending = 0;
    u64 words = __atomic_exchange_n(&info->evtchn_pending_sel, 0, __ATOMIC_SEQ_CST);
    for (; words; words &= words - 1)
        n += (u32)__builtin_popcountl(
            __atomic_exchange_n(&d->shared_info->evtchn_pending[__builtin_ctzl(words)], 0, __ATOMIC_SEQ_CST));
    return n;
}

/* --- tests --- */

static void pairs(void **state) {
    (void)state;
    u32 p1, p2, other;
    assert_int_equal(unbound(d1, 2, &p1), 0);
    assert_int_equal(p1, 1);
    assert_int_equal(status(d1, p1).status, EVTCHNSTAT_unbound);
    assert_int_equal(status(d1, p1).u.unbound.dom, 2);
    assert_int_equal(do_send(d1, p1), 0); /* nobody there: no error */
    assert_int_equal(interdomain(dc, 1, p1, &other), -EINVAL);
    assert_int_equal(interdomain(d2, 77, p1, &other), -ESRCH);
    assert_int_equal(interdomain(d2, 1, p1 + 1, &other), -EINVAL);
    assert_int_equal(interdomain(d2, 1, 100000, &other), -EINVAL);
    assert_int_equal(interdomain(d2, 1, 0, &other), -EINVAL);
    host_take_kicks();
    assert_int_equal(interdomain(d2, 1, p1, &p2), 0);
    assert_true(pending(d2, p2));
    assert_int_equal(host_take_kicks(), 1);
    assert_int_equal(interdomain(d2, 1, p1, &other), -EINVAL);
    assert_int_equal(status(d1, p1).status, EVTCHNSTAT_interdomain);
    assert_int_equal(status(d1, p1).u.interdomain.dom, 2);
    assert_int_equal(status(d1, p1).u.interdomain.port, p2);
    guest_takes(d2, 0);
    assert_int_equal(do_send(d1, p1), 0);
    assert_true(pending(d2, p2));
    assert_false(pending(d1, p1));
    assert_int_equal(do_send(d2, p2), 0);
    assert_true(pending(d1, p1));
    assert_int_equal(do_close(d1, p1), 0);
    assert_false(pending(d1, p1));
    assert_int_equal(status(d1, p1).status, EVTCHNSTAT_closed);
    assert_int_equal(status(d2, p2).status, EVTCHNSTAT_unbound);
    assert_int_equal(status(d2, p2).u.unbound.dom, 1);
    assert_int_equal(do_close(d1, p1), -EINVAL);
    assert_int_equal(do_send(d1, p1), -EINVAL);
    assert_int_equal(interdomain(d1, 2, p2, &p1), 0); /* and back */
    assert_int_equal(do_send(d2, p2), 0);
}

static void loopback(void **state) {
    (void)state;
    u32 a, b;
    assert_int_equal(unbound(d1, DOMID_SELF, &a), 0);
    assert_int_equal(interdomain(d1, DOMID_SELF, a, &b), 0);
    guest_takes(d1, 0);
    assert_int_equal(do_send(d1, a), 0);
    assert_true(pending(d1, b));
    assert_int_equal(do_close(d1, b), 0);
    assert_int_equal(status(d1, a).status, EVTCHNSTAT_unbound);
    assert_int_equal(status(d1, a).u.unbound.dom, 1);
}

static void foreign(void **state) {
    (void)state;
    struct evtchn_alloc_unbound a = {.dom = 1, .remote_dom = DOMID_SELF};
    assert_int_equal(do_op(d2, EVTCHNOP_alloc_unbound, &a), -EPERM);
    a = (struct evtchn_alloc_unbound){.dom = 9, .remote_dom = DOMID_SELF};
    assert_int_equal(do_op(d2, EVTCHNOP_alloc_unbound, &a), -ESRCH);
    a = (struct evtchn_alloc_unbound){.dom = 1, .remote_dom = DOMID_SELF};
    assert_int_equal(do_op(dc, EVTCHNOP_alloc_unbound, &a), 0);
    assert_int_equal(status(d1, a.port).u.unbound.dom, 0);
    struct evtchn_status s = {.dom = 1, .port = a.port};
    assert_int_equal(do_op(d2, EVTCHNOP_status, &s), -EPERM);
    assert_int_equal(do_op(dc, EVTCHNOP_status, &s), 0);
    struct evtchn_reset r = {.dom = 1};
    assert_int_equal(do_op(d2, EVTCHNOP_reset, &r), -EPERM);
    assert_int_equal(do_op(dc, EVTCHNOP_reset, &r), 0);
    assert_int_equal(status(d1, a.port).status, EVTCHNSTAT_closed);
}

static void virqs(void **state) {
    (void)state;
    u32 p, q;
    assert_int_equal(virq(d1, NR_VIRQS, 0, &p), -EINVAL);
    assert_int_equal(virq(d1, UINT32_MAX, 0, &p), -EINVAL);
    assert_int_equal(virq(d1, VIRQ_TIMER, 4, &p), -ENOENT);
    assert_int_equal(virq(d1, VIRQ_CONSOLE, 1, &p), -EINVAL);
    assert_int_equal(virq(d1, VIRQ_TIMER, 2, &p), 0);
    assert_int_equal(virq(d1, VIRQ_TIMER, 2, &q), -EEXIST);
    assert_int_equal(virq(d1, VIRQ_TIMER, 3, &q), 0);
    assert_int_equal(status(d1, p).u.virq, VIRQ_TIMER);
    assert_int_equal(status(d1, p).vcpu, 2);
    assert_int_equal(do_send(d1, p), -EINVAL);
    assert_int_equal(bind_vcpu(d1, p, 0), -EINVAL);
    evtchn_send_virq(d1->vcpu[0], VIRQ_TIMER);
    assert_int_equal(host_take_kicks(), 0);
    evtchn_send_virq(d1->vcpu[2], VIRQ_TIMER);
    assert_int_equal(host_take_kicks(), 1 << 2);
    assert_true(pending(d1, p) && !pending(d1, q));
    assert_int_equal(do_close(d1, p), 0);
    evtchn_send_virq(d1->vcpu[2], VIRQ_TIMER);
    assert_false(pending(d1, p));
    assert_int_equal(virq(d1, VIRQ_TIMER, 2, &p), 0);

    assert_int_equal(virq(dc, VIRQ_DOM_EXC, 0, &p), 0);
    evtchn_send_global_virq(VIRQ_DOM_EXC);
    assert_false(pending(dc, p));
    assert_int_equal(evtchn_set_global_handler(dc, VIRQ_TIMER), -EINVAL);
    assert_int_equal(evtchn_set_global_handler(dc, NR_VIRQS), -EINVAL);
    assert_int_equal(evtchn_set_global_handler(dc, VIRQ_DOM_EXC), 0);
    assert_int_equal(bind_vcpu(dc, p, 1), 0);
    host_take_kicks();
    evtchn_send_global_virq(VIRQ_DOM_EXC);
    assert_int_equal(host_take_kicks(), 1 << 1);
    assert_true(pending(dc, p));
}

static void ipis_and_vcpus(void **state) {
    (void)state;
    u32 p, q;
    assert_int_equal(ipi(d1, 4, &p), -ENOENT);
    assert_int_equal(ipi(d1, 3, &p), 0);
    assert_int_equal(do_send(d1, p), 0);
    assert_int_equal(host_take_kicks(), 1 << 3);
    assert_int_equal(bind_vcpu(d1, p, 1), -EINVAL);
    assert_int_equal(unbound(d1, 2, &q), 0);
    assert_int_equal(bind_vcpu(d1, q, 4), -ENOENT);
    assert_int_equal(bind_vcpu(d1, 500, 1), -EINVAL);
    assert_int_equal(bind_vcpu(d1, q, 1), 0);
    assert_int_equal(status(d1, q).vcpu, 1);
    assert_int_equal(ipi(d2, 39, &p), 0); /* a vCPU without vcpu_info */
    assert_int_equal(do_send(d2, p), 0);
    assert_true(pending(d2, p));
    struct vcpu_info info = {0};
    d2->vcpu[39]->info = &info;
    evtchn_mark_all_pending(d2->vcpu[39]);
    assert_int_equal(info.evtchn_upcall_pending, 1);
    assert_int_equal(guest_takes(d2, 39), 1);
}

static void masks(void **state) {
    (void)state;
    u32 p;
    u64 *mask = (u64 *)d1->shared_info->evtchn_mask;
    assert_int_equal(ipi(d1, 1, &p), 0);
    struct vcpu_info *info = d1->vcpu[1]->info;
    bit_set(mask, p);
    assert_int_equal(do_send(d1, p), 0);
    assert_true(pending(d1, p));
    assert_int_equal(host_take_kicks(), 0);
    assert_int_equal(info->evtchn_upcall_pending, 0);
    assert_int_equal(do_unmask(d1, p), 0);
    assert_false(bit_test(mask, p));
    assert_int_equal(info->evtchn_upcall_pending, 1);
    assert_int_equal(info->evtchn_pending_sel, 1);
    assert_int_equal(host_take_kicks(), 2);
    assert_int_equal(do_unmask(d1, p), 0);
    assert_int_equal(do_send(d1, p), 0); /* pending already: nothing more happens */
    assert_int_equal(host_take_kicks(), 0);
    assert_int_equal(do_unmask(d1, 4000), -EINVAL);
    assert_int_equal(guest_takes(d1, 1), 1);
    info->evtchn_upcall_pending = 1; /* told before, not looked yet: no second kick */
    assert_int_equal(do_send(d1, p), 0);
    assert_int_equal(host_take_kicks(), 0);
}

static void *handler_arg;
static u32 handler_calls;
static void handler(struct domain *d, u32 port, void *arg) {
    handler_arg = arg;
    handler_calls++;
    assert_false(spin_held(&d->evtchn.lock));
    evtchn_raise_host(d, port);
}

static void host_ports(void **state) {
    (void)state;
    u32 p;
    struct evtchn_reset r = {.dom = DOMID_SELF};
    handler_calls = 0;
    assert_int_equal(evtchn_bind_host(d1, handler, &p, &p), 0);
    assert_int_equal(do_send(d1, p), 0);
    assert_int_equal(handler_calls, 1);
    assert_ptr_equal(handler_arg, &p);
    assert_true(pending(d1, p));
    assert_int_equal(status(d1, p).status, EVTCHNSTAT_interdomain);
    assert_int_equal(status(d1, p).u.interdomain.dom, DOMID_XEN);
    assert_int_equal(bind_vcpu(d1, p, 2), 0);
    assert_int_equal(do_op(d1, EVTCHNOP_reset, &r), 0);
    assert_int_equal(do_send(d1, p), 0);
    assert_int_equal(handler_calls, 2);
    assert_int_equal(do_close(d1, p), 0);
    u32 q;
    assert_int_equal(unbound(d1, 2, &q), 0);
    assert_int_equal(p, q);
    evtchn_raise_host(d1, p); /* not that port any more */
    assert_false(pending(d1, p));
    assert_int_equal(handler_calls, 2);
}

static u32 pirq_bound;
static int pirq_bind(struct domain *d, u32 pirq, u32 flags, u32 port) {
    (void)flags, (void)port;
    if (!d->is_control)
        return -EPERM;
    pirq_bound = pirq;
    return 0;
}
static void pirq_unbind(struct domain *d, u32 pirq, u32 port) {
    (void)d, (void)port;
    assert_int_equal(pirq, pirq_bound);
    pirq_bound = 0;
}

static u32 pirq_vcpu;
static void pirq_moved(struct domain *d, u32 pirq, u32 port, u32 vcpu) {
    (void)d, (void)port;
    assert_int_equal(pirq, pirq_bound);
    pirq_vcpu = vcpu;
}
static struct domain *pirqs_released;
static void pirq_release(struct domain *d) {
    assert_int_equal(pirq_bound, 0);
    pirqs_released = d;
}

static void pirqs(void **state) {
    (void)state;
    static const struct evtchn_pirq_hooks hooks = {pirq_bind, pirq_unbind, pirq_moved, pirq_release};
    struct evtchn_bind_pirq a = {.pirq = 5};
    assert_int_equal(do_op(dc, EVTCHNOP_bind_pirq, &a), -EPERM);
    evtchn_pirq_hooks = &hooks;
    assert_int_equal(do_op(d1, EVTCHNOP_bind_pirq, &a), -EPERM);
    assert_int_equal(do_op(dc, EVTCHNOP_bind_pirq, &a), 0);
    assert_int_equal(status(dc, a.port).u.pirq, 5);
    assert_true(evtchn_raise_pirq(dc, a.port, 6));
    assert_false(pending(dc, a.port));
    assert_true(evtchn_raise_pirq(dc, a.port, 5));
    assert_true(pending(dc, a.port));
    assert_false(evtchn_raise_pirq(dc, a.port, 5)); /* it still was */
    assert_int_equal(bind_vcpu(dc, a.port, 1), 0);
    assert_int_equal(pirq_vcpu, 1);
    assert_int_equal(do_close(dc, a.port), 0);
    assert_int_equal(pirq_bound, 0);
    u32 refused = a.port;
    assert_int_equal(do_op(d1, EVTCHNOP_bind_pirq, &a), -EPERM); /* the port is free again */
    assert_int_equal(unbound(d1, 2, &refused), 0);
    assert_int_equal(refused, 1);
    assert_int_equal(do_op(dc, EVTCHNOP_bind_pirq, &a), 0);
    evtchn_destroy(dc);
    assert_ptr_equal(pirqs_released, dc);
}

static void poll(void **state) {
    (void)state;
    u32 p, q;
    struct vcpu *v = d1->vcpu[1];
    assert_int_equal(ipi(d1, 0, &p), 0);
    assert_int_equal(ipi(d1, 0, &q), 0);
    bit_set((u64 *)d1->shared_info->evtchn_mask, p);
    const evtchn_port_t bad = 4096, one = p, both[] = {p, q};
    assert_int_equal(evtchn_poll(v, &bad, 1), -EINVAL);
    assert_int_equal(v->pause, 0);
    assert_int_equal(evtchn_poll(v, &one, 1), 0);
    assert_int_equal(v->pause, VCPU_BLOCKED);
    assert_int_equal(do_send(d1, q), 0); /* another port */
    assert_int_equal(v->pause, VCPU_BLOCKED);
    assert_int_equal(do_send(d1, p), 0); /* masked, and for another vCPU: wakes all the same */
    assert_int_equal(v->pause, 0);
    assert_int_equal(d1->evtchn.pollers, 0);
    assert_int_equal(evtchn_poll(v, &one, 1), 0); /* pending already */
    assert_int_equal(v->pause, 0);
    bit_clear((u64 *)d1->shared_info->evtchn_pending, p);
    bit_clear((u64 *)d1->shared_info->evtchn_pending, q);
    v->info->evtchn_upcall_pending = 1; /* an upcall is due */
    assert_int_equal(evtchn_poll(v, both, 2), 0);
    assert_int_equal(v->pause, 0);
    v->info->evtchn_upcall_mask = 1;
    assert_int_equal(evtchn_poll(v, both, 2), 0);
    assert_int_equal(v->pause, VCPU_BLOCKED);
    evtchn_poll_end(v);
    assert_int_equal(v->pause, 0);
    vcpu_pause_set(v, VCPU_BLOCKED); /* no poll: a late end does nothing */
    evtchn_poll_end(v);
    assert_int_equal(v->pause, VCPU_BLOCKED);
}

static void refusals(void **state) {
    (void)state;
    u64 arg[8] = {0};
    assert_int_equal(do_op(d1, EVTCHNOP_init_control, arg), -ENOSYS);
    assert_int_equal(do_op(d1, EVTCHNOP_expand_array, arg), -ENOSYS);
    assert_int_equal(do_op(d1, EVTCHNOP_set_priority, arg), -ENOSYS);
    assert_int_equal(do_op(d1, 14, arg), -ENOSYS);
    assert_int_equal(do_op(d1, UINT32_MAX, arg), -ENOSYS);
    assert_int_equal(evtchn_arg_size(EVTCHNOP_status), sizeof(struct evtchn_status));
    assert_true(evtchn_arg_is_output(EVTCHNOP_status));
    assert_false(evtchn_arg_is_output(EVTCHNOP_send));
}

/* What only looks right: a number beyond the vCPUs, a port of another kind whose word there is our id, none at all. */
static void refusals_of_lookalikes(void **state) {
    struct evtchn_status s = {.dom = DOMID_SELF, .port = EVTCHN_NR_PORTS - 1};
    u32 port, mine;
    (void)state;
    assert_int_equal(ipi(d1, MAX_VCPUS, &port), -ENOENT);
    assert_int_equal(ipi(d1, ~0u, &port), -ENOENT);
    assert_int_equal(virq(d2, d1->id, 0, &port), 0);
    assert_int_equal(interdomain(d1, d2->id, port, &mine), -EINVAL);
    assert_int_equal(do_op(d1, EVTCHNOP_status, &s), -EINVAL);
    s.port = ~0u;
    assert_int_equal(do_op(d1, EVTCHNOP_status, &s), -EINVAL);
}

static void exhaustion(void **state) {
    (void)state;
    u32 p, n = 0;
    while (unbound(d1, 2, &p) == 0)
        n++;
    assert_int_equal(n, EVTCHN_NR_PORTS - 1);
    assert_int_equal(unbound(d1, 2, &p), -ENOSPC);
    assert_int_equal(do_close(d1, 1234), 0);
    assert_int_equal(unbound(d1, 2, &p), 0);
    assert_int_equal(p, 1234);
    host_heap_budget = 0;
    assert_int_equal(unbound(d2, 2, &p), -ENOMEM);
    host_heap_budget = -1;
    assert_int_equal(unbound(d2, 2, &p), 0);
}

static void destroyed(void **state) {
    (void)state;
    u32 a, b, c;
    assert_int_equal(unbound(d1, 2, &a), 0);
    assert_int_equal(interdomain(d2, 1, a, &b), 0);
    assert_int_equal(evtchn_set_global_handler(d1, VIRQ_CON_RING), 0);
    evtchn_destroy(d1);
    assert_int_equal(status(d2, b).status, EVTCHNSTAT_unbound);
    assert_int_equal(unbound(d1, 2, &c), -ESRCH);
    assert_int_equal(interdomain(d2, 1, a, &c), -EINVAL);
    assert_int_equal(do_send(d2, b), 0);
    evtchn_send_global_virq(VIRQ_CON_RING);
}

/* --- random operations --- */

static void check_domain(struct domain *d) {
    for (u32 p = 0; p < EVTCHN_NR_PORTS && d->evtchn.chunk[p / EVTCHN_CHUNK_PORTS]; p++) {
        struct evtchn *chn = &d->evtchn.chunk[p / EVTCHN_CHUNK_PORTS][p % EVTCHN_CHUNK_PORTS];
        if (chn->state == EVTCHN_FREE)
            assert_true(p >= d->evtchn.search);
        assert_true(chn->vcpu < d->nr_vcpus);
        if (chn->state == EVTCHN_VIRQ) {
            const u32 n = chn->u.virq.virq;
            bool per_vcpu = n == VIRQ_TIMER || n == VIRQ_DEBUG || n == VIRQ_XENOPROF || n == VIRQ_XENPMU;
            assert_int_equal(d->evtchn.virq_port[per_vcpu ? chn->vcpu : 0][n], p);
        }
        if (chn->state != EVTCHN_INTERDOMAIN)
            continue;
        u32 q = chn->u.peer.port;
        struct domain *r = chn->u.peer.dom;
        struct evtchn *peer = &r->evtchn.chunk[q / EVTCHN_CHUNK_PORTS][q % EVTCHN_CHUNK_PORTS];
        assert_int_equal(peer->state, EVTCHN_INTERDOMAIN);
        assert_ptr_equal(peer->u.peer.dom, d);
        assert_int_equal(peer->u.peer.port, p);
    }
}

static void random_op(u64 *seed) {
    struct domain *all[] = {dc, d1, d2}, *d = all[host_random(seed) % 3], *r = all[host_random(seed) % 3];
    u32 p = host_random(seed) % 60, q;
    switch (host_random(seed) % 10) {
    case 0:
        unbound(d, r->id, &q);
        break;
    case 1:
    case 2:
        interdomain(d, r->id, p, &q);
        break;
    case 3:
        virq(d, host_random(seed) % NR_VIRQS, host_random(seed) % 3, &q);
        break;
    case 4:
        ipi(d, host_random(seed) % 5, &q);
        break;
    case 5:
        do_close(d, p);
        break;
    case 6:
        bind_vcpu(d, p, host_random(seed) % 5);
        break;
    case 7:
        do_unmask(d, p);
        break;
    case 8:
        evtchn_send_virq(d->vcpu[p % d->nr_vcpus], host_random(seed) % NR_VIRQS);
        break;
    case 9:
        do_send(d, p);
        break;
    }
    if (host_random(seed) % 500 == 0)
        evtchn_reset(d);
}

static void random_ops(void **state) {
    (void)state;
    u64 seed = 42;
    for (u32 step = 0; step < 30000; step++) {
        random_op(&seed);
        if (step % 10)
            continue;
        check_domain(dc);
        check_domain(d1);
        check_domain(d2);
    }
}

static void *hammer(void *arg) {
    u64 seed = (u64)arg * 1000;
    host_cpu = (u32)(u64)arg;
    for (u32 step = 0; step < 20000; step++)
        random_op(&seed);
    return NULL;
}

static void threads(void **state) {
    (void)state;
    pthread_t th[4];
    for (u64 i = 0; i < 4; i++)
        pthread_create(&th[i], NULL, hammer, (void *)i);
    for (u32 i = 0; i < 4; i++)
        pthread_join(th[i], NULL);
    check_domain(dc);
    check_domain(d1);
    check_domain(d2);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void) {
    const struct CMUnitTest tests[] = {
        T(pairs),      T(loopback),   T(foreign), T(virqs),    T(ipis_and_vcpus),         T(masks),
        T(host_ports), T(pirqs),      T(poll),    T(refusals), T(refusals_of_lookalikes), T(exhaustion),
        T(destroyed),  T(random_ops), T(threads)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
