/* SPDX-License-Identifier: MIT */
/*
 * What the files of hypercall share: handlers, by number. arg: the six arguments, which a handler changes only before
 * it returns -ERESTART, to say where to go on.
 */
#ifndef HYPERCALL_INTERNAL_H
#define HYPERCALL_INTERNAL_H

#include <pv/hypercall.h>
#include <pv/mm.h>

typedef long (*hypercall_fn)(struct vcpu *v, u64 *arg);

long hc_set_trap_table(struct vcpu *v, u64 *arg);
long hc_mmu_update(struct vcpu *v, u64 *arg);
long hc_set_gdt(struct vcpu *v, u64 *arg);
long hc_stack_switch(struct vcpu *v, u64 *arg);
long hc_set_callbacks(struct vcpu *v, u64 *arg);
long hc_fpu_taskswitch(struct vcpu *v, u64 *arg);
long hc_set_debugreg(struct vcpu *v, u64 *arg);
long hc_get_debugreg(struct vcpu *v, u64 *arg);
long hc_update_descriptor(struct vcpu *v, u64 *arg);
long hc_memory_op(struct vcpu *v, u64 *arg);
long hc_multicall(struct vcpu *v, u64 *arg);
long hc_update_va_mapping(struct vcpu *v, u64 *arg);
long hc_set_timer_op(struct vcpu *v, u64 *arg);
long hc_xen_version(struct vcpu *v, u64 *arg);
long hc_console_io(struct vcpu *v, u64 *arg);
long hc_grant_table_op(struct vcpu *v, u64 *arg);
long hc_vm_assist(struct vcpu *v, u64 *arg);
long hc_update_va_mapping_otherdomain(struct vcpu *v, u64 *arg);
long hc_iret(struct vcpu *v, u64 *arg);
long hc_vcpu_op(struct vcpu *v, u64 *arg);
long hc_set_segment_base(struct vcpu *v, u64 *arg);
long hc_mmuext_op(struct vcpu *v, u64 *arg);
long hc_sched_op(struct vcpu *v, u64 *arg);
long hc_callback_op(struct vcpu *v, u64 *arg);
long hc_event_channel_op(struct vcpu *v, u64 *arg);
long hc_physdev_op(struct vcpu *v, u64 *arg);
/* Forms of old: the sub-operation and its structure in one. */
long hc_event_channel_op_compat(struct vcpu *v, u64 *arg);
long hc_physdev_op_compat(struct vcpu *v, u64 *arg);
long hc_sched_op_compat(struct vcpu *v, u64 *arg);
long hc_nmi_op(struct vcpu *v, u64 *arg);
long hc_watchdog(struct vcpu *v, gva_t at);
long hc_sysctl(struct vcpu *v, u64 *arg);
long hc_domctl(struct vcpu *v, u64 *arg);
long hc_platform_op(struct vcpu *v, u64 *arg);

/* XENMEM_exchange, memory_exchange.c. */
long hc_memory_exchange(struct vcpu *v, gva_t at);
/* What the sizes and alignments of frames that guests ask for may be, as orders. */
#define MAX_GUEST_ORDER 9
/* Do frames [pg, pg + 2^order) lie where the flags of a reservation want them? */
bool hc_memory_in_reach(const struct page *pg, u32 order, u32 mem_flags);

/* struct trap_info.flags */
#define TRAP_DPL 3
#define TRAP_MASK_EVENTS 4

/* The domain that an argument names: the caller's own, or any if that is the control domain. NULL: *error is -ESRCH or
 * -EPERM. It is to be put back, which also takes NULL. */
struct domain *hc_get_domain(struct vcpu *v, domid_t id, long *error);
static inline void hc_put_domain(const struct vcpu *v, struct domain *d) {
    if (d && d != v->domain)
        domain_put(d);
}
static inline bool is_canonical(u64 a) {
    return (u64)((s64)(a << 16) >> 16) == a;
}

#endif
