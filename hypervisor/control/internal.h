/* SPDX-License-Identifier: MIT */
/*
 * What the files of control share. domctl.c and sysctl.c: the tables of operations; life.c: a domain's birth and end;
 * info.c: what domains are; schedule.c: where vCPUs run; settings.c: small settings; vcpu.c, saved.c: contexts of
 * vCPUs; policy.c: what CPUID says; bitmap.c: sets of CPUs; memory.c: frames and memory maps; host.c: what the machine
 * is.
 *
 * An operation gets a copy of its structure, which goes back to the caller if the table says so. The domain is held by
 * a reference, and the control lock is, too.
 */
#ifndef CONTROL_INTERNAL_H
#define CONTROL_INTERNAL_H

#include <pv/control.h>
#include <pv/domain.h>
#include <xen/domctl.h>
#include <xen/sysctl.h>

#define CONTROL_MAP_ENTRIES 128
#define CONTROL_LEAVES 144 /* as many as the tools know, and some */

/* What the room keeps about a domain it made. */
struct control_record {
    u32 max_vcpus;
    bool destroyed; /* destroydomain was asked for; control lock */
    struct xen_arch_domainconfig arch;
    u32 nr_leaves; /* of a CPU policy, 0: none was set; control lock, and no vCPU ran before */
    xen_cpuid_leaf_t leaf[CONTROL_LEAVES];
    u32 nr_map; /* atomic */
    struct memory_range map[CONTROL_MAP_ENTRIES];
};

/* v: the caller. d: NULL only for createdomain. */
typedef long (*domctl_fn)(struct vcpu *v, struct domain *d, struct xen_domctl *op);
typedef long (*sysctl_fn)(struct vcpu *v, struct xen_sysctl *op);

/* --- life.c --- */
long control_create(struct vcpu *v, struct domain *d, struct xen_domctl *op);
long control_destroy(struct vcpu *v, struct domain *d, struct xen_domctl *op);
long control_max_vcpus(struct vcpu *v, struct domain *d, struct xen_domctl *op);
long control_max_mem(struct vcpu *v, struct domain *d, struct xen_domctl *op);
long control_pause(struct vcpu *v, struct domain *d, struct xen_domctl *op);
long control_unpause(struct vcpu *v, struct domain *d, struct xen_domctl *op);
long control_resume(struct vcpu *v, struct domain *d, struct xen_domctl *op);
long control_set_handle(struct vcpu *v, struct domain *d, struct xen_domctl *op);
/* Frees domains that were destroyed while others held frames of theirs, if those let go. The control lock is held. */
void control_bury(void);
/* VIRQ_DOM_EXC, if there is something to tell. */
void control_tell(void);
/* Has every vCPU left its CPU, its registers in its structures? */
bool control_is_quiet(const struct domain *d);

/* --- info.c --- */
void control_fill_info(struct domain *d, struct xen_domctl_getdomaininfo *info);
/* NULL: there is none, and the error says whether there can be. */
struct vcpu *control_vcpu(struct domain *d, u32 id);
long control_no_vcpu(const struct domain *d, u32 id);
long control_get_vcpu_info(struct vcpu *v, struct domain *d, struct xen_domctl *op);
long control_list_domains(struct vcpu *v, struct xen_sysctl *op);

/* --- bitmap.c --- */
#define CONTROL_BITMAP_LIMIT 65536
/* The first 64 bits; those beyond the caller's are clear. -EINVAL, -EFAULT. */
long control_read_bitmap(const struct xenctl_bitmap *b, u64 *bits);
long control_write_bitmap(const struct xenctl_bitmap *b, u64 bits);

/* --- schedule.c --- */
u64 control_online_cpus(void);
long control_set_affinity(struct vcpu *v, struct domain *d, struct xen_domctl *op);
long control_get_affinity(struct vcpu *v, struct domain *d, struct xen_domctl *op);
long control_set_nodes(struct vcpu *v, struct domain *d, struct xen_domctl *op);
long control_get_nodes(struct vcpu *v, struct domain *d, struct xen_domctl *op);
long control_scheduler(struct vcpu *v, struct domain *d, struct xen_domctl *op);
long control_trigger(struct vcpu *v, struct domain *d, struct xen_domctl *op);

/* --- settings.c --- */
long control_set_time_offset(struct vcpu *v, struct domain *d, struct xen_domctl *op);
long control_get_tsc(struct vcpu *v, struct domain *d, struct xen_domctl *op);
long control_set_tsc(struct vcpu *v, struct domain *d, struct xen_domctl *op);
long control_set_width(struct vcpu *v, struct domain *d, struct xen_domctl *op);
long control_get_width(struct vcpu *v, struct domain *d, struct xen_domctl *op);
long control_set_debugging(struct vcpu *v, struct domain *d, struct xen_domctl *op);
long control_irq_permission(struct vcpu *v, struct domain *d, struct xen_domctl *op);
long control_iomem_permission(struct vcpu *v, struct domain *d, struct xen_domctl *op);
long control_ioport_permission(struct vcpu *v, struct domain *d, struct xen_domctl *op);
long control_shadow(struct vcpu *v, struct domain *d, struct xen_domctl *op);
long control_virq_handler(struct vcpu *v, struct domain *d, struct xen_domctl *op);
long control_subscribe(struct vcpu *v, struct domain *d, struct xen_domctl *op);
long control_unsupported(struct vcpu *v, struct domain *d, struct xen_domctl *op);

/* --- policy.c --- */
long control_get_policy(struct vcpu *v, struct domain *d, struct xen_domctl *op);
long control_set_policy(struct vcpu *v, struct domain *d, struct xen_domctl *op);
long control_host_policy(struct vcpu *v, struct xen_sysctl *op);
long control_featureset(struct vcpu *v, struct xen_sysctl *op);

/* --- vcpu.c --- */
long control_set_context(struct vcpu *v, struct domain *d, struct xen_domctl *op);
long control_get_context(struct vcpu *v, struct domain *d, struct xen_domctl *op);

/* --- saved.c --- */
long control_get_ext_context(struct vcpu *v, struct domain *d, struct xen_domctl *op);
long control_set_ext_context(struct vcpu *v, struct domain *d, struct xen_domctl *op);
long control_get_state(struct vcpu *v, struct domain *d, struct xen_domctl *op);
long control_set_state(struct vcpu *v, struct domain *d, struct xen_domctl *op);
long control_get_msrs(struct vcpu *v, struct domain *d, struct xen_domctl *op);
long control_set_msrs(struct vcpu *v, struct domain *d, struct xen_domctl *op);

/* --- memory.c --- */
long control_hypercall_page(struct vcpu *v, struct domain *d, struct xen_domctl *op);
long control_frame_types(struct vcpu *v, struct domain *d, struct xen_domctl *op);

/* --- host.c --- */
long control_physinfo(struct vcpu *v, struct xen_sysctl *op);
long control_sched_id(struct vcpu *v, struct xen_sysctl *op);
long control_cpu_topology(struct vcpu *v, struct xen_sysctl *op);
long control_numa(struct vcpu *v, struct xen_sysctl *op);
long control_pci_topology(struct vcpu *v, struct xen_sysctl *op);
long control_pool(struct vcpu *v, struct xen_sysctl *op);
long control_scheduler_params(struct vcpu *v, struct xen_sysctl *op);
long control_read_log(struct vcpu *v, struct xen_sysctl *op);
long control_debug_keys(struct vcpu *v, struct xen_sysctl *op);
long control_cpu_info(struct vcpu *v, struct xen_sysctl *op);
long control_available(struct vcpu *v, struct xen_sysctl *op);
long control_levelling(struct vcpu *v, struct xen_sysctl *op);
long control_not_built(struct vcpu *v, struct xen_sysctl *op);
long control_no_power(struct vcpu *v, struct xen_sysctl *op);
long control_sysctl_unsupported(struct vcpu *v, struct xen_sysctl *op);

#endif
