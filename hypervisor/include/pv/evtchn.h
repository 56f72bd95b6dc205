/* SPDX-License-Identifier: MIT */
/*
 * evtchn: event channels, 2-level ABI only (4096 ports a domain). A port is one bit a guest is told about; what sets
 * the bit depends on what the port is bound to:
 *
 *              alloc_unbound                bind_interdomain (by the peer)
 *     FREE ------------------> UNBOUND --------------------------------> INTERDOMAIN <--bind_interdomain-- FREE
 *      ^ ^                        |  ^                                        |
 *      | \--------close-----------/  \------------close by the peer-----------|--close--> FREE
 *      |
 *      \--bind_virq-> VIRQ, bind_ipi-> IPI, bind_pirq-> PIRQ, evtchn_bind_host()-> HOST; each --close--> FREE
 *
 * HOST is a port served by the hypervisor itself: the guest's send calls a handler. Guests see it as interdomain with
 * DOMID_XEN; EVTCHNOP_reset leaves it alone.
 *
 * Locks. table.lock guards the ports of one domain. The room's pair lock is taken before any table lock, by whatever
 * binds or closes interdomain ports; so two table locks are only ever held under it, and between them there is no
 * order. Hence a port that is INTERDOMAIN stays so, and its peer exists, as long as either table lock is held: sending
 * takes only the sender's. Setting bits needs no lock at all (atomic operations on pages that belong to the domain).
 * Order: pair lock -> table lock -> (vcpu_kick); the pair lock is held around domain_by_id(), so it comes before the
 * lock of the list of domains, if there is one. A domain goes in three steps: evtchn_destroy(), after which nothing
 * binds to it; out of domain_by_id()'s reach; evtchn_quiesce(), after which nobody who found it before looks at it.
 */
#ifndef PV_EVTCHN_H
#define PV_EVTCHN_H

#include <pv/abi.h>
#include <pv/lib.h>

struct vcpu;
struct domain;

#define EVTCHN_NR_PORTS 4096
#define EVTCHN_CHUNK_PORTS 128
#define EVTCHN_NR_CHUNKS (EVTCHN_NR_PORTS / EVTCHN_CHUNK_PORTS)
#define EVTCHN_MAX_VCPUS 64

enum evtchn_state {
    EVTCHN_FREE = 0,
    EVTCHN_RESERVED,
    EVTCHN_UNBOUND,
    EVTCHN_INTERDOMAIN,
    EVTCHN_PIRQ,
    EVTCHN_VIRQ,
    EVTCHN_IPI,
    EVTCHN_HOST
};

typedef void (*evtchn_handler_fn)(struct domain *d, u32 port, void *arg);

struct evtchn {
    u8 state; /* enum evtchn_state */
    u8 vcpu;  /* the vCPU that is told; read without the lock */
    union {
        struct {
            domid_t dom;
        } unbound;
        struct {
            struct domain *dom;
            u32 port;
        } peer;
        struct {
            u32 virq;
        } virq;
        struct {
            u32 pirq;
        } pirq;
        struct {
            evtchn_handler_fn fn;
            void *arg;
        } host;
    } u;
};

struct evtchn_table {
    struct spinlock lock;
    bool dead;                                 /* set by evtchn_destroy(): nothing binds any more */
    u32 nr_ports;                              /* as many as the domain may have, port 0 included */
    u32 search;                                /* no free port below this one */
    struct evtchn *chunk[EVTCHN_NR_CHUNKS];    /* ports, allocated as they are used; never freed before destroy */
    u16 virq_port[EVTCHN_MAX_VCPUS][NR_VIRQS]; /* 0: not bound; global VIRQs under vCPU 0 */
    u64 pollers;                               /* vCPUs in SCHEDOP_poll, atomic */
};

void evtchn_init(struct domain *d);
/* Closes all ports and frees the tables. May be called again. */
void evtchn_destroy(struct domain *d);
/* Between taking a domain out of domain_by_id()'s reach and freeing it: waits for those who found it before. */
void evtchn_quiesce(void);

/* --- the hypercall --- */
/* Bytes of the argument of EVTCHNOP cmd; 0: no such command, -ENOSYS. Copy in that many, call, copy out if told to. */
size_t evtchn_arg_size(u32 cmd);
bool evtchn_arg_is_output(u32 cmd);
/* arg: a copy of the argument, at least evtchn_arg_size(cmd) bytes. Results are in it when 0 is returned. */
long evtchn_op(struct vcpu *v, u32 cmd, void *arg);

/* --- for other rooms; errno values as the hypercall's --- */
int evtchn_alloc_unbound(struct domain *d, domid_t remote, u32 *port);
int evtchn_bind_interdomain(struct domain *d, struct domain *remote, u32 remote_port, u32 *port);
int evtchn_close(struct domain *d, u32 port);
/* As if d had asked for it. */
int evtchn_send(struct domain *d, u32 port);
/* All but HOST ports. */
void evtchn_reset(struct domain *d);
/* A port of d whose sends call fn, with no lock held, on the sender's CPU. The guest may close it. */
int evtchn_bind_host(struct domain *d, evtchn_handler_fn fn, void *arg, u32 *port);
/* Sets the port pending if it is (still) a HOST port. */
void evtchn_raise_host(struct domain *d, u32 port);

/* A VIRQ of this vCPU (per-vCPU ones), or of its domain (global ones). Nothing happens if it is not bound. */
void evtchn_send_virq(struct vcpu *v, u32 virq);
/* A global VIRQ for whoever handles it: the domain set below; nobody by default. */
void evtchn_send_global_virq(u32 virq);
/* d NULL: nobody. -EINVAL if virq is not global. */
int evtchn_set_global_handler(struct domain *d, u32 virq);
/* All global VIRQs are the control domain's. */
void evtchn_handle_global_virqs(struct domain *d);

/* Physical interrupts: hooks of the dom0 room; without them bind_pirq gives -EPERM. All but release, which says that
 * the domain goes, are called with the table lock held. A port outlives its pirq, so a pirq may have another by now. */
struct evtchn_pirq_hooks {
    int (*bind)(struct domain *d, u32 pirq, u32 flags, u32 port);
    void (*unbind)(struct domain *d, u32 pirq, u32 port);
    void (*moved)(struct domain *d, u32 pirq, u32 port, u32 vcpu);
    void (*release)(struct domain *d);
};
extern const struct evtchn_pirq_hooks *evtchn_pirq_hooks;
/* Sets the port pending. False: it still was, the guest has not looked since the last time. No lock is taken: whoever
 * calls sees to it that the hook `unbind` waits. */
bool evtchn_raise_pirq(struct domain *d, u32 port, u32 pirq);

/* --- delivery --- */
/* Marks a port pending and, unless masked, tells v. The vCPU is kicked only if its upcall_pending was clear. */
void evtchn_set_pending(struct vcpu *v, u32 port);
/* After v->info moved: makes the guest look at all words once. The new page must be in v->info already. */
void evtchn_mark_all_pending(struct vcpu *v);

/*
 * SCHEDOP_poll. Blocks v (VCPU_BLOCKED) until one of the ports becomes pending, masked or not. v->poll_port_mask holds
 * one bit for each port, by port modulo 64, so a wake-up may be spurious, which the ABI allows. Returns -EINVAL for a
 * bad port; 0 without blocking if one is pending already or an upcall is due. Set the timeout before, with
 * time_vcpu_set_poll(). vcpu_kick() should call evtchn_poll_end(); if it only clears VCPU_BLOCKED, that costs a
 * spurious wake-up later and nothing else.
 */
int evtchn_poll(struct vcpu *v, const evtchn_port_t *ports, u32 nr);
/* Ends a poll, if there is one, and unblocks v. Any CPU. */
void evtchn_poll_end(struct vcpu *v);

#endif
