/* SPDX-License-Identifier: MIT */
/*
 * Event channels (2-level): binding, masking, handlers, and the upcall mask of this vCPU.
 * All functions that return a port give a negative errno when the hypervisor refuses.
 */
#ifndef SDK_EVENT_H
#define SDK_EVENT_H

#include <sdk/cpu.h>

typedef void event_handler_t(unsigned port);

void event_init(void);
void event_dispatch(void);
/* Events handled so far, of all ports. */
unsigned event_count(void);
void event_set_handler(unsigned port, event_handler_t *handler);

/* The upcall mask: events_enable delivers what is pending. */
bool events_disable(void);
void events_enable(void);
void events_restore(bool were_enabled);

long event_bind_ipi(unsigned vcpu);
long event_bind_virq(unsigned virq, unsigned vcpu);
long event_bind_pirq(unsigned pirq);
long event_alloc_unbound(domid_t dom, domid_t remote);
long event_bind_interdomain(domid_t remote, unsigned remote_port);
/* A port that somebody else bound for this domain: handled by vCPU 0 from now on. */
void event_adopt(unsigned port, event_handler_t *handler);
/* From now on the port's events go to this vCPU. */
long event_bind_vcpu(unsigned port, unsigned vcpu);
long event_close(unsigned port);
long event_send(unsigned port);
void event_mask(unsigned port);
/* By hypercall, so that an event already pending is not lost. */
long event_unmask(unsigned port);
bool event_is_pending(unsigned port);
void event_clear(unsigned port);

#endif
