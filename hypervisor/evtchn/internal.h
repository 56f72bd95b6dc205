/* SPDX-License-Identifier: MIT */
/*
 * What the files of the evtchn room share. ports.c owns the tables and the transitions of a port, deliver.c the bits
 * guests see, op.c the hypercall.
 */
#ifndef EVTCHN_INTERNAL_H
#define EVTCHN_INTERNAL_H

#include <pv/evtchn.h>
#include <pv/domain.h>

/* Outermost lock of the room, see the header. Domains found by id while it is held stay until it is released. */
extern struct spinlock evtchn_pair_lock;

/* NULL: beyond what is allocated. Chunks are never freed while the domain lives, so no lock is needed to look. */
struct evtchn *evtchn_port(struct domain *d, u32 port);
/* As above, and neither free nor reserved; the table's lock is held. */
struct evtchn *evtchn_port_used(struct domain *d, u32 port);

bool evtchn_virq_is_global(u32 virq);
struct vcpu *evtchn_vcpu(struct domain *d, u32 id);

int evtchn_bind_pair_locked(struct domain *d, struct domain *remote, u32 remote_port, u32 *port);
int evtchn_bind_virq(struct domain *d, u32 virq, u32 vcpu, u32 *port);
int evtchn_bind_ipi(struct domain *d, u32 vcpu, u32 *port);
int evtchn_bind_pirq(struct domain *d, u32 pirq, u32 flags, u32 *port);
int evtchn_bind_vcpu(struct domain *d, u32 port, u32 vcpu);
int evtchn_unmask(struct domain *d, u32 port);
int evtchn_get_status(struct domain *d, struct evtchn_status *s);

/* Closes each port, HOST ones too or not; the pair lock is held. */
void evtchn_close_all_locked(struct domain *d, bool host_too);

/* Sets a port pending for the vCPU it is bound to, if the domain has that vCPU already. */
void evtchn_port_raise(struct domain *d, u32 port, const struct evtchn *chn);
void evtchn_clear_pending(struct domain *d, u32 port);
void evtchn_forget_handler(const struct domain *d);

#endif
