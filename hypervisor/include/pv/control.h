/* SPDX-License-Identifier: MIT */
/*
 * control: the operations by which the control domain's tools make, watch, change and end other domains and look at the
 * host: domctl and sysctl. Whoever calls these functions has seen to it that the caller is the control domain. It is
 * trusted with other domains, and not with the hypervisor: whatever it passes is copied once and checked.
 *
 * A domain it makes goes through
 *
 *     createdomain --> (made, paused) --unpause--> running --its end--> SHUT DOWN --resumedomain--> running
 *                           \------------------destroydomain------------------/
 *                                                |
 *                                                v
 *                    dying --frames others map are all that is left--> held --last one let go--> gone
 *
 * VIRQ_DOM_EXC tells the control domain of each end, of destroydomain being done, and of the last step.
 *
 * Lock: the control lock makes domctl calls one at a time. It is tried, never waited for: a call that does not get it
 * is made again, as is one that waits for a vCPU to leave its CPU.
 */
#ifndef PV_CONTROL_H
#define PV_CONTROL_H

#include <pv/types.h>

struct domain;
struct vcpu;

/* arg: guest address of struct xen_domctl, xen_sysctl. -EFAULT, -EACCES (another interface version), -ESRCH, -ENOSYS,
 * -ERESTART, what the operation says. */
long control_domctl(struct vcpu *v, gva_t at);
long control_sysctl(struct vcpu *v, gva_t at);

/* memory_op's commands that are the control domain's alone. False: cmd is none of them; else *rc is its answer. */
bool control_memory_op(struct vcpu *v, u64 cmd, gva_t at, long *rc);
/* What a domain that the control domain made is told of its memory: *range, and how many of them. */
struct memory_range {
    u64 addr, size;
    u32 type;
} __packed;
u32 control_memory_map(const struct domain *d, const struct memory_range **range);

/* Takes from what a guest would see of CPUID what its domain's policy does not have. */
void control_narrow_cpuid(const struct domain *d, u32 leaf, u32 sub, u32 r[4]);

/* A domain that the control domain made was shut down, or crashed (any CPU, any lock). */
void control_domain_ended(void);
/* Tells the control domain, and frees domains that others held. Called by the run loop for CPU_REQ_WORK, no locks. */
void control_work(void);

#endif
