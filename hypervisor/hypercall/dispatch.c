// SPDX-License-Identifier: MIT
// The table of hypercalls, and multicall. Holes are refused with ENOSYS.
#include "internal.h"

#include <pv/control.h>
#include <pv/debug.h>
#include <pv/dom0.h>
#include <pv/trap.h>
#include <xen/domctl.h>
#include <xen/platform.h>
#include <xen/sysctl.h>

/* Of the control domain alone, whatever it is about. */
static long refuse_always(struct vcpu *v, u64 *arg) {
    (void)v, (void)arg;
    return -EPERM;
}

/* For kinds of guests, or machines, that are not built for. */
static long refuse_unsupported(struct vcpu *v, u64 *arg) {
    (void)v, (void)arg;
    return -EOPNOTSUPP;
}

static const hypercall_fn table[] = {
    [__HYPERVISOR_set_trap_table] = hc_set_trap_table,
    [__HYPERVISOR_mmu_update] = hc_mmu_update,
    [__HYPERVISOR_set_gdt] = hc_set_gdt,
    [__HYPERVISOR_stack_switch] = hc_stack_switch,
    [__HYPERVISOR_set_callbacks] = hc_set_callbacks,
    [__HYPERVISOR_fpu_taskswitch] = hc_fpu_taskswitch,
    [__HYPERVISOR_set_debugreg] = hc_set_debugreg,
    [__HYPERVISOR_get_debugreg] = hc_get_debugreg,
    [__HYPERVISOR_update_descriptor] = hc_update_descriptor,
    [__HYPERVISOR_memory_op] = hc_memory_op,
    [__HYPERVISOR_multicall] = hc_multicall,
    [__HYPERVISOR_update_va_mapping] = hc_update_va_mapping,
    [__HYPERVISOR_set_timer_op] = hc_set_timer_op,
    [__HYPERVISOR_xen_version] = hc_xen_version,
    [__HYPERVISOR_console_io] = hc_console_io,
    [__HYPERVISOR_grant_table_op] = hc_grant_table_op,
    [__HYPERVISOR_vm_assist] = hc_vm_assist,
    [__HYPERVISOR_update_va_mapping_otherdomain] = hc_update_va_mapping_otherdomain,
    [__HYPERVISOR_iret] = hc_iret,
    [__HYPERVISOR_vcpu_op] = hc_vcpu_op,
    [__HYPERVISOR_set_segment_base] = hc_set_segment_base,
    [__HYPERVISOR_mmuext_op] = hc_mmuext_op,
    [__HYPERVISOR_sched_op_compat] = hc_sched_op_compat,
    [__HYPERVISOR_event_channel_op_compat] = hc_event_channel_op_compat,
    [__HYPERVISOR_physdev_op_compat] = hc_physdev_op_compat,
    [__HYPERVISOR_nmi_op] = hc_nmi_op,
    [__HYPERVISOR_sched_op] = hc_sched_op,
    [__HYPERVISOR_callback_op] = hc_callback_op,
    [__HYPERVISOR_event_channel_op] = hc_event_channel_op,
    [__HYPERVISOR_physdev_op] = hc_physdev_op,
    [__HYPERVISOR_sysctl] = hc_sysctl,
    [__HYPERVISOR_domctl] = hc_domctl,
    [__HYPERVISOR_platform_op] = hc_platform_op,
    [__HYPERVISOR_xenoprof_op] = refuse_always,
    [__HYPERVISOR_kexec_op] = refuse_always,
    [__HYPERVISOR_hypfs_op] = refuse_always,
    [__HYPERVISOR_arch_0] = refuse_always,      /* machine checks */
    [__HYPERVISOR_arch_1] = refuse_unsupported, /* shadow paging */
    [__HYPERVISOR_xenpmu_op] = refuse_unsupported,
};

long hypercall_call(struct vcpu *v, u64 number, u64 *arg) {
    long rc;

    if (DEBUG)
        debug_in_hypercall(true);
    rc = number < ARRAY_SIZE(table) && table[number] ? table[number](v, arg) : -ENOSYS;
    if (DEBUG)
        debug_in_hypercall(false);
    if (DEBUG && rc < 0 && rc != -ERESTART)
        debug_refused(v, number, arg, rc);
    return rc;
}

/* Control operations of a domain that is not the control domain. All begin with a command and a version. */
static long refuse_control(u64 at, u32 version) {
    u32 head[2];

    if (copy_from_guest(head, gva(at), sizeof(head)))
        return -EFAULT;
    return head[1] == version ? -EPERM : -EACCES;
}

long hc_sysctl(struct vcpu *v, u64 *arg) {
    if (v->domain->is_control)
        return control_sysctl(v, gva(arg[0]));
    return refuse_control(arg[0], XEN_SYSCTL_INTERFACE_VERSION);
}

long hc_domctl(struct vcpu *v, u64 *arg) {
    if (v->domain->is_control)
        return control_domctl(v, gva(arg[0]));
    return refuse_control(arg[0], XEN_DOMCTL_INTERFACE_VERSION);
}

long hc_platform_op(struct vcpu *v, u64 *arg) {
    if (v->domain->is_control)
        return dom0_platform_op(v, gva(arg[0]));
    return refuse_control(arg[0], XENPF_INTERFACE_VERSION);
}

#define SYSCALL_LENGTH 2

void hypercall_dispatch(struct vcpu *v) {
    struct regs *r = vcpu_regs(v);
    u64 number = r->rax, arg[6] = {r->rdi, r->rsi, r->rdx, r->r10, r->r8, r->r9};
    long rc = hypercall_call(v, number, arg);

    if (number == __HYPERVISOR_iret)
        return; /* all registers are new */
    if (rc != -ERESTART) {
        r->rax = (u64)rc;
        return;
    }
    r->rip -= SYSCALL_LENGTH;
    r->rdi = arg[0];
    r->rsi = arg[1];
    r->rdx = arg[2];
    r->r10 = arg[3];
    r->r8 = arg[4];
}

static long call_entry(struct vcpu *v, struct multicall_entry *e) {
    if (e->op == __HYPERVISOR_multicall || e->op == __HYPERVISOR_iret)
        return -EINVAL;
    return hypercall_call(v, e->op, e->args);
}

/* One entry. Where its call stopped half way is written back, so that the guest's next try goes on there. */
static long one_call(struct vcpu *v, gva_t at) {
    struct multicall_entry e;
    long rc;

    if (copy_from_guest(&e, at, sizeof(e)))
        return -EFAULT;
    rc = call_entry(v, &e);
    if (rc == -ERESTART) {
        if (copy_to_guest(gva(at.a + offsetof(struct multicall_entry, args)), e.args, sizeof(e.args)))
            return -EFAULT;
        return rc;
    }
    e.result = (xen_ulong_t)rc;
    return copy_to_guest(gva(at.a + offsetof(struct multicall_entry, result)), &e.result, sizeof(e.result));
}

/* The same for an entry in a held page. It is read once: other vCPUs may write it. */
static long one_held_call(struct vcpu *v, struct multicall_entry *at) {
    struct multicall_entry e;
    long rc;

    memcpy(&e, at, sizeof(e));
    rc = call_entry(v, &e);
    if (rc == -ERESTART) {
        memcpy(at->args, e.args, sizeof(e.args));
        return rc;
    }
    WRITE_ONCE(at->result, (xen_ulong_t)rc);
    return 0;
}

/* The page that has the entries just now; a list goes over pages. */
struct held_list {
    struct page *held;
    u64 page;
    char *memory;
};

/* The entry in the page that has it. NULL: it is on two, or the guest may not write it. */
static struct multicall_entry *held_entry(struct vcpu *v, struct held_list *l, u64 at) {
    u64 offset = at % PAGE_SIZE;

    if (offset > PAGE_SIZE - sizeof(struct multicall_entry))
        return NULL;
    if (!l->held || l->page != at - offset) {
        mm_let_go(l->held);
        l->page = at - offset;
        l->memory = mm_hold_page(v, gva(l->page), &l->held);
    }
    return l->held ? (struct multicall_entry *)(l->memory + offset) : NULL;
}

static long call_all(struct vcpu *v, u64 *arg, struct held_list *l) {
    while (arg[1]) {
        struct multicall_entry *e = held_entry(v, l, arg[0]);
        long rc = e ? one_held_call(v, e) : one_call(v, gva(arg[0]));

        if (rc)
            return rc;
        arg[0] += sizeof(struct multicall_entry);
        arg[1]--;
        if (v->domain->dying)
            return 0;
        if (arg[1] && preempt_pending())
            return -ERESTART;
    }
    return 0;
}

/* arg: list, entries */
long hc_multicall(struct vcpu *v, u64 *arg) {
    struct held_list l = {0};
    long rc = call_all(v, arg, &l);

    mm_let_go(l.held);
    return rc;
}
