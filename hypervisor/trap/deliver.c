// SPDX-License-Identifier: MIT
// Entering the guest kernel: the ABI's frames on its stack.
//
//      +..  ss
//           rsp
//           rflags   IF shows that upcalls were not masked
//           rip
//           cs       RPL 0: was in the kernel, 3: in user mode; the old upcall mask in bits 32-39
//          [error code]
//          [gs fs es ds, failsafe only]
//           r11
//   rsp ->  rcx
#include "internal.h"

#include <pv/mm.h>
#include <pv/run.h>
#include <pv/x86.h>

#define FRAME_WORDS 12
#define KERNEL_CS_SHOWN (SEL_USER_CS64 & ~3u)

struct frame {
    u64 word[FRAME_WORDS];
    u32 n;
};

static void add(struct frame *f, u64 word) {
    f->word[f->n++] = word;
}

static u64 shown_rflags(const struct vcpu *v, const struct regs *r) {
    u64 flags = r->rflags & ~(u64)(RFLAGS_IF | RFLAGS_IOPL);

    flags |= READ_ONCE(v->info->evtchn_upcall_mask) ? 0 : RFLAGS_IF;
    if (v->domain->vm_assist & BIT(VMASST_TYPE_architectural_iopl))
        flags |= (u64)v->iopl << 12;
    return flags;
}

static u64 shown_cs(const struct vcpu *v, const struct regs *r) {
    return (v->kernel_mode ? KERNEL_CS_SHOWN : (r->cs & 0xffff)) | (u64)READ_ONCE(v->info->evtchn_upcall_mask) << 32;
}

static void add_return_frame(struct frame *f, const struct vcpu *v, const struct regs *r) {
    add(f, r->rip);
    add(f, shown_cs(v, r));
    add(f, shown_rflags(v, r));
    add(f, r->rsp);
    add(f, v->kernel_mode ? SEL_USER_DS : r->ss);
}

/* Writes the frame and points the registers at the entry. */
static void enter(struct vcpu *v, const struct guest_entry *to, const struct frame *f, const char *what) {
    struct regs *r = vcpu_regs(v);
    u64 sp = v->kernel_mode ? r->rsp : v->kernel_sp, fault;

    sp = (sp & ~15ul) - f->n * 8;
    if (!to->rip) {
        domain_crash(v->domain, "vCPU %u: no handler for %s (rip %lx, rsp %lx)", v->id, what, r->rip, r->rsp);
        return;
    }
    if (copy_frame_to_vcpu(v, gva(sp), f->word, f->n * 8, &fault)) {
        domain_crash(v->domain, "vCPU %u: its stack at %lx can't be written for %s (rip %lx)", v->id, fault, what,
                     r->rip);
        return;
    }
    trap_set_mode(v, true);
    if (to->mask)
        WRITE_ONCE(v->info->evtchn_upcall_mask, 1);
    r->rip = to->rip;
    r->cs = SEL_KERNEL_CS;
    r->ss = SEL_KERNEL_DS;
    r->rsp = sp;
    r->rflags &= ~(u64)(RFLAGS_TF | RFLAGS_DF | RFLAGS_NT | RFLAGS_RF | RFLAGS_VM | RFLAGS_AC);
}

void trap_enter_callback(struct vcpu *v, const struct guest_entry *to, bool fast_syscall) {
    struct regs *r = vcpu_regs(v);
    struct frame f = {.n = 0};

    if (!to->rip) {
        /* A system call by a way the kernel did not ask for. */
        trap_inject(v, fast_syscall ? VEC_GP : VEC_UD, 0);
        return;
    }
    add(&f, r->rcx);
    add(&f, r->r11);
    add_return_frame(&f, v, r);
    enter(v, to, &f, "a system call");
}

static bool has_error_code(u8 vector) {
    return vector == VEC_DF || (vector >= VEC_TS && vector <= VEC_PF) || vector == VEC_AC || vector == VEC_CP;
}

void trap_inject(struct vcpu *v, u8 vector, u32 error_code) {
    struct regs *r = vcpu_regs(v);
    struct frame f = {.n = 0};
    char what[24];

    add(&f, r->rcx);
    add(&f, r->r11);
    if (has_error_code(vector))
        add(&f, error_code);
    add_return_frame(&f, v, r);
    snprintf(what, sizeof(what), "exception %u", vector);
    enter(v, &v->trap[vector], &f, what);
}

void trap_inject_page_fault(struct vcpu *v, u64 address, u32 error_code) {
    v->cr2 = address;
    v->info->arch.cr2 = address;
    trap_inject(v, VEC_PF, error_code);
}

void trap_inject_event(struct vcpu *v) {
    struct regs *r = vcpu_regs(v);
    struct frame f = {.n = 0};

    add(&f, r->rcx);
    add(&f, r->r11);
    add_return_frame(&f, v, r);
    v->count[COUNT_EVENT]++;
    enter(v, &v->event, &f, "an event");
    WRITE_ONCE(v->info->evtchn_upcall_mask, 1);
}

void trap_inject_nmi(struct vcpu *v) {
    struct regs *r = vcpu_regs(v);
    struct frame f = {.n = 0};

    v->nmi_pending = false;
    if (!v->trap[VEC_NMI].rip)
        return;
    v->nmi_masked = v->gate_stale = true;
    add(&f, r->rcx);
    add(&f, r->r11);
    add_return_frame(&f, v, r);
    enter(v, &v->trap[VEC_NMI], &f, "an NMI");
}

/* A kernel without the callback goes on with null selectors. */
void trap_inject_failsafe(struct vcpu *v) {
    struct regs *r = vcpu_regs(v);
    struct frame f = {.n = 0};

    v->selectors_lost = false;
    if (!v->failsafe.rip)
        return;
    add(&f, r->rcx);
    add(&f, r->r11);
    add(&f, v->ds);
    add(&f, v->es);
    add(&f, v->fs);
    add(&f, v->gs);
    add_return_frame(&f, v, r);
    enter(v, &v->failsafe, &f, "the failsafe callback");
}
