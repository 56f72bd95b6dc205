// SPDX-License-Identifier: MIT
// Exceptions that guests raise and that are not simply theirs: writes to their page tables, instructions ring 1 may not
// execute, software interrupts.
#include "internal.h"

#include <pv/mm.h>
#include <pv/run.h>
#include <pv/x86.h>

#define DR6_STATUS 0xe00f

static void fetch(struct vcpu *v, u64 rip, u8 *insn, size_t *len) {
    size_t first = MIN((size_t)EMUL_MAX_INSN, PAGE_SIZE - rip % PAGE_SIZE);

    *len = 0;
    if (copy_from_vcpu(v, insn, gva(rip), first))
        return;
    *len = first;
    if (first < EMUL_MAX_INSN && !copy_from_vcpu(v, insn + first, gva(rip + first), EMUL_MAX_INSN - first))
        *len = EMUL_MAX_INSN;
}

static void after_instruction(struct vcpu *v) {
    if (!(vcpu_regs(v)->rflags & RFLAGS_TF))
        return;
    v->debugreg[6] |= 1 << 14;
    trap_inject(v, VEC_DB, 0);
}

/* The write replaces the old entry by a new one, like an mmu_update. An entry that changed meanwhile (accessed bits,
 * another vCPU) makes the guest execute the instruction again. */
static bool apply_pt_write(struct vcpu *v, const struct pt_write *w, maddr_t entry, u64 old) {
    struct mm_update u = {.entry = entry, .exact = true, .expected = old};
    bool writes = emul_apply_pt_write(w, old, &u.value, NULL);
    int rc;

    if (writes) {
        rc = mm_update_entry(v->domain, v->domain, &u);
        if (rc == -ERESTART)
            return true;
        if (rc)
            return false;
    }
    emul_apply_pt_write(w, old, &u.value, vcpu_regs(v));
    v->count[COUNT_PT_WRITE]++;
    after_instruction(v);
    return true;
}

static bool emulate_pt_write(struct vcpu *v, u64 address) {
    struct pt_write_ctx ctx = {0};
    struct pt_write w;
    u8 insn[EMUL_MAX_INSN];
    size_t len;
    maddr_t entry;
    u64 old;

    if (!mm_find_pt_write(v, gva(address), &entry, &old))
        return false;
    fetch(v, vcpu_regs(v)->rip, insn, &len);
    ctx.fs_base = x86_get_segment_base(v, 0);
    ctx.gs_base = x86_get_segment_base(v, 1);
    if (emul_decode_pt_write(insn, len, vcpu_regs(v), &ctx, &w) || (w.addr ^ address) & ~7ul)
        return false;
    return apply_pt_write(v, &w, entry, old);
}

/* LRETQ of a kernel to its own flat code segment, which it takes for its ring: the CPU sees a return to ring 3, and
 * wants a stack too. Done as the kernel means it. Where there happens to be a frame that the CPU accepts, nobody gets
 * to know: CAVEATS.md. */
static bool emulate_lretq(struct vcpu *v) {
    struct regs *r = vcpu_regs(v);
    u8 insn[2];
    u64 to[2];

    if (!v->kernel_mode || copy_from_vcpu(v, insn, gva(r->rip), 2) || insn[0] != 0x48 || insn[1] != 0xcb)
        return false;
    if (copy_from_vcpu(v, to, gva(r->rsp), sizeof(to)) || to[1] != SEL_USER_CS64 ||
        (u64)((s64)(to[0] << 16) >> 16) != to[0])
        return false;
    r->rip = to[0];
    r->rsp += sizeof(to);
    v->count[COUNT_EMULATION]++;
    after_instruction(v);
    return true;
}

/* The part of the frame that LRETQ would not need is not mapped. */
static bool is_beyond_lretq(const struct vcpu *v, const struct regs *r, u64 cr2) {
    return v->kernel_mode && cr2 - r->rsp >= 16 && cr2 - r->rsp < 32;
}

__attribute__((noinline)) void trap_page_fault(struct vcpu *v, u64 cr2) {
    u32 error = vcpu_regs(v)->error_code;

    v->count[COUNT_PAGE_FAULT]++;
    if (v->kernel_mode && (error & (PF_PRESENT | PF_WRITE | PF_RSVD)) == (PF_PRESENT | PF_WRITE) &&
        emulate_pt_write(v, cr2))
        return;
    if (is_beyond_lretq(v, vcpu_regs(v), cr2) && emulate_lretq(v))
        return;
    trap_inject_page_fault(v, cr2, error);
}

static u8 code_bits(const struct regs *r) {
    u32 rights = 0;
    bool ok;

    if (r->cs == SEL_KERNEL_CS || r->cs == SEL_USER_CS64)
        return 64;
    ok = x86_segment_rights((u16)r->cs, &rights);
    if (!ok)
        return 64;
    return rights & 1 << 21 ? 64 : rights & 1 << 22 ? 32 : 16;
}

static void finish_emulation(struct vcpu *v, const struct emul_ctx *ctx, enum emul_result result) {
    struct regs *r = vcpu_regs(v);

    v->count[COUNT_EMULATION]++;
    switch (result) {
    case EMUL_SINGLE_STEP:
        after_instruction(v);
        break;
    case EMUL_FAULT:
        if (ctx->fault.vector == VEC_PF)
            trap_inject_page_fault(v, ctx->fault.cr2, ctx->fault.error_code);
        else
            trap_inject(v, ctx->fault.vector, ctx->fault.error_code);
        break;
    case EMUL_UNHANDLED:
        trap_inject(v, (u8)r->vector, r->error_code);
        break;
    default:
        break;
    }
}

static struct emul_ctx context_of(struct vcpu *v) {
    return (struct emul_ctx){.regs = vcpu_regs(v),
                             .ops = &trap_emul_ops,
                             .arg = v,
                             .kernel_mode = v->kernel_mode,
                             .code_bits = code_bits(vcpu_regs(v)),
                             .iopl = (u8)v->iopl,
                             .cr4 = v->cr4,
                             .architectural_iopl = v->domain->vm_assist >> VMASST_TYPE_architectural_iopl & 1};
}

/* INT n through a gate that guests may not use: the instruction says which n (some emulators get the error code wrong).
 */
static bool is_int_n(struct vcpu *v, u8 *n) {
    u8 insn[2];

    if (!(vcpu_regs(v)->error_code & 2) || copy_from_vcpu(v, insn, gva(vcpu_regs(v)->rip), 2) || insn[0] != 0xcd)
        return false;
    *n = insn[1];
    return true;
}

void trap_software_interrupt(struct vcpu *v, u8 vector) {
    v->count[COUNT_EXCEPTION]++;
    trap_inject(v, vector, 0);
}

static void int_n(struct vcpu *v, u8 n) {
    if (!v->trap[n].rip || v->trap[n].dpl < (v->kernel_mode ? 1 : 3)) {
        trap_inject(v, VEC_GP, n * 8u + 2);
        return;
    }
    vcpu_regs(v)->rip += 2;
    trap_software_interrupt(v, n);
}

/* #GP, and #NP and #SS: what the guest meant, if it is something we do for it; else its own fault. */
__attribute__((noinline)) void trap_general_protection(struct vcpu *v) {
    struct regs *r = vcpu_regs(v);
    struct emul_ctx ctx;
    u8 n;

    if (r->vector == VEC_GP && is_int_n(v, &n)) {
        int_n(v, n);
        return;
    }
    if (emulate_lretq(v))
        return;
    if (r->vector != VEC_GP || r->error_code) {
        v->count[COUNT_EXCEPTION]++;
        trap_inject(v, (u8)r->vector, r->error_code);
        return;
    }
    ctx = context_of(v);
    finish_emulation(v, &ctx, emul_privileged(&ctx));
}

__attribute__((noinline)) void trap_invalid_opcode(struct vcpu *v) {
    struct emul_ctx ctx = context_of(v);

    finish_emulation(v, &ctx, emul_invalid_opcode(&ctx));
}

void trap_debug(struct vcpu *v) {
    v->count[COUNT_EXCEPTION]++;
    v->debugreg[6] |= read_dr6() & DR6_STATUS;
    write_dr6(0xffff0ff0);
    trap_inject(v, VEC_DB, 0);
}
