// SPDX-License-Identifier: MIT
/*
 * Event channels: the two-level scan of pending ports, handlers by port, and the calls that bind them.
 */
#include <sdk/event.h>
#include <sdk/start.h>

#define PORTS (64 * 64)
#define BITS 64

static event_handler_t *handlers[PORTS];
static unsigned handled;
/* The pending words are common to all vCPUs: each looks only at the ports bound to it. */
static unsigned long owned[MAX_CPUS][PORTS / BITS];

void event_init(void) {
    for (unsigned i = 0; i < ARRAY_SIZE(shared_info->evtchn_mask); i++)
        WRITE_ONCE(shared_info->evtchn_mask[i], ~0UL);
}

unsigned event_count(void) {
    return __atomic_load_n(&handled, __ATOMIC_RELAXED);
}

void event_set_handler(unsigned port, event_handler_t *handler) {
    handlers[port] = handler;
}

static void set_owner(unsigned port, unsigned cpu) {
    for (unsigned i = 0; i < MAX_CPUS; i++)
        __atomic_and_fetch(&owned[i][port / BITS], ~(1UL << port % BITS), __ATOMIC_SEQ_CST);
    __atomic_or_fetch(&owned[cpu][port / BITS], 1UL << port % BITS, __ATOMIC_SEQ_CST);
}

static long bound(long rc, unsigned port, unsigned cpu) {
    if (rc)
        return rc;
    set_owner(port, cpu);
    return (long)port;
}

static unsigned long ready_in(unsigned word) {
    return READ_ONCE(shared_info->evtchn_pending[word]) & ~READ_ONCE(shared_info->evtchn_mask[word]) &
           READ_ONCE(owned[cpu_this()->id][word]);
}

static unsigned lowest_bit(unsigned long word) {
    return (unsigned)__builtin_ctzl(word);
}

static void dispatch_word(unsigned word) {
    unsigned long ready;

    while ((ready = ready_in(word))) {
        unsigned port = word * BITS + lowest_bit(ready);

        event_clear(port);
        __atomic_add_fetch(&handled, 1, __ATOMIC_RELAXED);
        if (handlers[port])
            handlers[port](port);
    }
}

void event_dispatch(void) {
    struct vcpu_info *info = cpu_this()->info;
    unsigned long words;

    while (READ_ONCE(info->evtchn_upcall_pending)) {
        WRITE_ONCE(info->evtchn_upcall_pending, 0);
        words = __atomic_exchange_n(&info->evtchn_pending_sel, 0, __ATOMIC_SEQ_CST);
        for (; words; words &= words - 1)
            dispatch_word(lowest_bit(words));
    }
}

bool events_disable(void) {
    struct vcpu_info *info = cpu_this()->info;
    bool were_enabled = !READ_ONCE(info->evtchn_upcall_mask);

    WRITE_ONCE(info->evtchn_upcall_mask, 1);
    barrier();
    return were_enabled;
}

void events_enable(void) {
    struct vcpu_info *info = cpu_this()->info;

    barrier();
    WRITE_ONCE(info->evtchn_upcall_mask, 0);
    barrier();
    /* What came in while masked is delivered on the way back from any hypercall. */
    if (READ_ONCE(info->evtchn_upcall_pending))
        hv_xen_version(XENVER_version, NULL);
}

void events_restore(bool were_enabled) {
    if (were_enabled)
        events_enable();
}

long event_bind_ipi(unsigned vcpu) {
    struct evtchn_bind_ipi op = {.vcpu = vcpu};
    long rc = hv_event_channel_op(EVTCHNOP_bind_ipi, &op);

    return bound(rc, op.port, vcpu);
}

long event_bind_virq(unsigned virq, unsigned vcpu) {
    struct evtchn_bind_virq op = {.virq = virq, .vcpu = vcpu};
    long rc = hv_event_channel_op(EVTCHNOP_bind_virq, &op);

    return bound(rc, op.port, vcpu);
}

long event_bind_pirq(unsigned pirq) {
    struct evtchn_bind_pirq op = {.pirq = pirq, .flags = BIND_PIRQ__WILL_SHARE};
    long rc = hv_event_channel_op(EVTCHNOP_bind_pirq, &op);

    return bound(rc, op.port, 0);
}

long event_alloc_unbound(domid_t dom, domid_t remote) {
    struct evtchn_alloc_unbound op = {.dom = dom, .remote_dom = remote};
    long rc = hv_event_channel_op(EVTCHNOP_alloc_unbound, &op);

    if (!rc && dom == DOMID_SELF)
        set_owner(op.port, 0);
    return rc ? rc : (long)op.port;
}

long event_bind_interdomain(domid_t remote, unsigned remote_port) {
    struct evtchn_bind_interdomain op = {.remote_dom = remote, .remote_port = remote_port};
    long rc = hv_event_channel_op(EVTCHNOP_bind_interdomain, &op);

    return bound(rc, op.local_port, 0);
}

void event_adopt(unsigned port, event_handler_t *handler) {
    set_owner(port, 0);
    event_set_handler(port, handler);
    event_unmask(port);
}

/* Masked meanwhile: an event in between would find a vCPU that does not take it for its own. */
long event_bind_vcpu(unsigned port, unsigned vcpu) {
    struct evtchn_bind_vcpu op = {.port = port, .vcpu = vcpu};
    bool open = port < PORTS && !(READ_ONCE(shared_info->evtchn_mask[port / BITS]) >> port % BITS & 1);
    long rc;

    if (open)
        event_mask(port);
    rc = hv_event_channel_op(EVTCHNOP_bind_vcpu, &op);
    if (!rc)
        set_owner(port, vcpu);
    if (open)
        event_unmask(port);
    return rc;
}

long event_close(unsigned port) {
    struct evtchn_close op = {.port = port};

    return hv_event_channel_op(EVTCHNOP_close, &op);
}

long event_send(unsigned port) {
    struct evtchn_send op = {.port = port};

    return hv_event_channel_op(EVTCHNOP_send, &op);
}

void event_mask(unsigned port) {
    __atomic_or_fetch(&shared_info->evtchn_mask[port / BITS], 1UL << port % BITS, __ATOMIC_SEQ_CST);
}

long event_unmask(unsigned port) {
    struct evtchn_unmask op = {.port = port};

    return hv_event_channel_op(EVTCHNOP_unmask, &op);
}

bool event_is_pending(unsigned port) {
    return READ_ONCE(shared_info->evtchn_pending[port / BITS]) >> port % BITS & 1;
}

void event_clear(unsigned port) {
    __atomic_and_fetch(&shared_info->evtchn_pending[port / BITS], ~(1UL << port % BITS), __ATOMIC_SEQ_CST);
}
