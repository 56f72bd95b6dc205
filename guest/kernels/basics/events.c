// SPDX-License-Identifier: MIT
/*
 * Event channels: the kinds of binding, masks at every level, status and close, callbacks. Through the SDK it shows
 * EVTCHNOP_bind_ipi, EVTCHNOP_bind_virq, EVTCHNOP_alloc_unbound, EVTCHNOP_bind_interdomain, EVTCHNOP_unmask,
 * EVTCHNOP_send and EVTCHNOP_close.
 */
#include "basics.h"

static volatile unsigned seen, seen_port;

static void note(unsigned port) {
    seen++;
    seen_port = port;
}

static void check_ipi(void) {
    unsigned port = (unsigned)event_bind_ipi(0);

    seen = 0;
    event_set_handler(port, note);
    event_send(port);
    test_check("event.masked", !seen && event_is_pending(port), "seen %u", seen);
    test_equal("event.unmask", event_unmask(port), 0);
    test_check("event.unmask_delivers", seen == 1 && seen_port == port, "seen %u", seen);
    event_send(port);
    test_equal("event.ipi_self", seen, 2);
    events_disable();
    event_send(port);
    test_equal("event.upcall_masked", seen, 2);
    events_enable();
    test_equal("event.upcall_unmasked", seen, 3);
    test_equal("event.close", event_close(port), 0);
    test_equal("event.send_closed", event_send(port), -XEN_EINVAL);
    test_equal("event.ipi_bad_vcpu", event_bind_ipi(4000), -XEN_ENOENT);
    event_mask(port);
}

static struct evtchn_status status_of(unsigned port) {
    struct evtchn_status op = {.dom = DOMID_SELF, .port = port};

    if (hv_event_channel_op(EVTCHNOP_status, &op))
        op.status = 99;
    return op;
}

static void check_loopback(void) {
    unsigned unbound = (unsigned)event_alloc_unbound(DOMID_SELF, DOMID_SELF), local;

    test_equal("event.unbound", status_of(unbound).status, EVTCHNSTAT_unbound);
    local = (unsigned)event_bind_interdomain(DOMID_SELF, unbound);
    test_equal("event.interdomain", status_of(local).status, EVTCHNSTAT_interdomain);
    test_equal("event.interdomain_peer", status_of(local).u.interdomain.port, unbound);
    seen = 0;
    event_set_handler(unbound, note);
    event_set_handler(local, note);
    event_unmask(unbound);
    event_unmask(local);
    event_send(local);
    test_check("event.there", seen_port == unbound && seen >= 1, "port %u", seen_port);
    event_send(unbound);
    test_check("event.back", seen_port == local, "port %u", seen_port);
    test_equal("event.bind_taken", event_bind_interdomain(DOMID_SELF, unbound), -XEN_EINVAL);
    event_close(local);
    test_equal("event.peer_unbound", status_of(unbound).status, EVTCHNSTAT_unbound);
    event_close(unbound);
    test_equal("event.closed", status_of(unbound).status, EVTCHNSTAT_closed);
    event_mask(local);
    event_mask(unbound);
}

static void check_virq(void) {
    long port = event_bind_virq(VIRQ_DEBUG, 0);

    test_check("event.virq", port > 0, "%ld", port);
    test_equal("event.virq_status", status_of((unsigned)port).u.virq, VIRQ_DEBUG);
    test_equal("event.virq_twice", event_bind_virq(VIRQ_DEBUG, 0), -XEN_EEXIST);
    test_equal("event.virq_unknown", event_bind_virq(24, 0), -XEN_EINVAL);
    test_equal("event.virq_close", event_close((unsigned)port), 0);
    port = event_bind_virq(VIRQ_DEBUG, 0);
    test_check("event.virq_again", port > 0, "%ld", port);
    event_close((unsigned)port);
}

static void check_errors(void) {
    test_equal("event.unknown_op", hv_event_channel_op(77, NULL), -XEN_ENOSYS);
    test_equal("event.close_zero", event_close(0), -XEN_EINVAL);
    test_equal("event.close_wild", event_close(0x7fffffff), -XEN_EINVAL);
    test_equal("event.send_wild", event_send(0x7fffffff), -XEN_EINVAL);
    test_equal("event.no_domain", event_bind_interdomain(0x7fef, 1), -XEN_ESRCH);
}

static void check_callbacks(void) {
    struct callback_register reg = {.type = CALLBACKTYPE_event, .address = ARG(entry_event)};
    struct callback_unregister unreg = {.type = CALLBACKTYPE_event};

    test_equal("callback.event", hv_callback_op(CALLBACKOP_register, &reg), 0);
    reg = (struct callback_register){.type = CALLBACKTYPE_failsafe, .address = ARG(entry_failsafe)};
    test_equal("callback.failsafe", hv_callback_op(CALLBACKOP_register, &reg), 0);
    reg = (struct callback_register){.type = CALLBACKTYPE_syscall, .address = ARG(entry_syscall)};
    test_equal("callback.syscall", hv_callback_op(CALLBACKOP_register, &reg), 0);
    reg.type = 77;
    test_equal("callback.unknown_type", hv_callback_op(CALLBACKOP_register, &reg), -XEN_ENOSYS);
    test_equal("callback.unregister_event", hv_callback_op(CALLBACKOP_unregister, &unreg), -XEN_EINVAL);
    test_equal("callback.unknown_op", hv_callback_op(77, &reg), -XEN_ENOSYS);
    reg = (struct callback_register){.type = CALLBACKTYPE_event, .address = 1UL << 60};
    test_equal("callback.noncanonical", hv_callback_op(CALLBACKOP_register, &reg), -XEN_EINVAL);
}

void check_events(void) {
    check_ipi();
    check_loopback();
    check_virq();
    check_errors();
    check_callbacks();
}
