/* SPDX-License-Identifier: MIT */
/*
 * Hypercalls, through the page the hypervisor fills. The raw call takes any number and any arguments, for
 * tests that abuse it; the wrappers below carry the types of the ABI headers.
 */
#ifndef SDK_HYPERCALL_H
#define SDK_HYPERCALL_H

#include <sdk/types.h>

#include <xen/callback.h>
#include <xen/errno.h>
#include <xen/event_channel.h>
#include <xen/features.h>
#include <xen/grant_table.h>
#include <xen/memory.h>
#include <xen/sched.h>
#include <xen/vcpu.h>
#include <xen/version.h>

extern uint8_t hypercall_page[PAGE_SIZE];

#define ARG(x) ((unsigned long)(x))

/* Every argument register counts as lost: a debug hypervisor may scribble on them. */
static inline long hypercall5(unsigned nr, unsigned long a1, unsigned long a2, unsigned long a3, unsigned long a4,
                              unsigned long a5) {
    register unsigned long r10 __asm__("r10") = a4;
    register unsigned long r8 __asm__("r8") = a5;
    long ret = (long)(hypercall_page + (unsigned long)nr * 32);

    __asm__ volatile("call *%%rax"
                     : "+a"(ret), "+D"(a1), "+S"(a2), "+d"(a3), "+r"(r10), "+r"(r8)
                     :
                     : "rcx", "r9", "r11", "cc", "memory");
    return ret;
}

#define hypercall4(nr, a, b, c, d) hypercall5(nr, ARG(a), ARG(b), ARG(c), ARG(d), 0)
#define hypercall3(nr, a, b, c) hypercall5(nr, ARG(a), ARG(b), ARG(c), 0, 0)
#define hypercall2(nr, a, b) hypercall5(nr, ARG(a), ARG(b), 0, 0, 0)
#define hypercall1(nr, a) hypercall5(nr, ARG(a), 0, 0, 0, 0)

static inline long hv_set_trap_table(const struct trap_info *table) {
    return hypercall1(__HYPERVISOR_set_trap_table, table);
}

static inline long hv_mmu_update(const struct mmu_update *req, unsigned count, unsigned *done, domid_t dom) {
    return hypercall4(__HYPERVISOR_mmu_update, req, count, done, dom);
}

static inline long hv_update_va_mapping(unsigned long va, uint64_t pte, unsigned long flags) {
    return hypercall3(__HYPERVISOR_update_va_mapping, va, pte, flags);
}

static inline long hv_mmuext_op(const struct mmuext_op *op, unsigned count, unsigned *done, domid_t dom) {
    return hypercall4(__HYPERVISOR_mmuext_op, op, count, done, dom);
}

static inline long hv_set_gdt(const unsigned long *frames, unsigned entries) {
    return hypercall2(__HYPERVISOR_set_gdt, frames, entries);
}

static inline long hv_update_descriptor(uint64_t machine, uint64_t descriptor) {
    return hypercall2(__HYPERVISOR_update_descriptor, machine, descriptor);
}

static inline long hv_stack_switch(unsigned long ss, unsigned long sp) {
    return hypercall2(__HYPERVISOR_stack_switch, ss, sp);
}

static inline long hv_set_callbacks(unsigned long event, unsigned long failsafe, unsigned long syscall) {
    return hypercall3(__HYPERVISOR_set_callbacks, event, failsafe, syscall);
}

static inline long hv_callback_op(unsigned cmd, void *arg) {
    return hypercall2(__HYPERVISOR_callback_op, cmd, arg);
}
static inline long hv_fpu_taskswitch(int set) {
    return hypercall1(__HYPERVISOR_fpu_taskswitch, set);
}
static inline long hv_memory_op(unsigned cmd, void *arg) {
    return hypercall2(__HYPERVISOR_memory_op, cmd, arg);
}
static inline long hv_xen_version(unsigned cmd, void *arg) {
    return hypercall2(__HYPERVISOR_xen_version, cmd, arg);
}
static inline long hv_sched_op(unsigned cmd, void *arg) {
    return hypercall2(__HYPERVISOR_sched_op, cmd, arg);
}
static inline long hv_set_timer_op(uint64_t at) {
    return hypercall1(__HYPERVISOR_set_timer_op, at);
}
static inline long hv_vm_assist(unsigned cmd, unsigned type) {
    return hypercall2(__HYPERVISOR_vm_assist, cmd, type);
}
static inline long hv_set_debugreg(int reg, unsigned long v) {
    return hypercall2(__HYPERVISOR_set_debugreg, reg, v);
}
static inline long hv_get_debugreg(int reg) {
    return hypercall1(__HYPERVISOR_get_debugreg, reg);
}

static inline long hv_console_io(unsigned cmd, unsigned long count, void *text) {
    return hypercall3(__HYPERVISOR_console_io, cmd, count, text);
}

static inline long hv_multicall(multicall_entry_t *calls, unsigned count) {
    return hypercall2(__HYPERVISOR_multicall, calls, count);
}

static inline long hv_grant_table_op(unsigned cmd, void *arg, unsigned count) {
    return hypercall3(__HYPERVISOR_grant_table_op, cmd, arg, count);
}

static inline long hv_vcpu_op(unsigned cmd, unsigned vcpu, void *arg) {
    return hypercall3(__HYPERVISOR_vcpu_op, cmd, vcpu, arg);
}

static inline long hv_event_channel_op(unsigned cmd, void *arg) {
    return hypercall2(__HYPERVISOR_event_channel_op, cmd, arg);
}

static inline long hv_physdev_op(unsigned cmd, void *arg) {
    return hypercall2(__HYPERVISOR_physdev_op, cmd, arg);
}

static inline long hv_set_segment_base(unsigned which, unsigned long base) {
    return hypercall2(__HYPERVISOR_set_segment_base, which, base);
}

#endif
