// SPDX-License-Identifier: MIT
/*
 * Privileged instructions of a guest: what faulted is decoded, checked against the guest's mode, and done through the
 * callbacks. Two tables say which opcodes there are; whatever they lack is the guest's own #GP: IRET, HLT (kernels
 * block by hypercall), SWAPGS, SYSRET, SYSEXIT, RDPMC, INVD, LGDT, LIDT, LLDT, LTR, INVPCID among them.
 */
#include "internal.h"

#define CR0_TS (1u << 3)
#define CR4_TSD (1u << 2)
#define CR4_DE (1u << 3)

typedef enum emul_result (*insn_handler)(struct emul_ctx *ctx, struct insn *in);

enum emul_result emul_fault(struct emul_ctx *ctx, u8 vector, u32 error_code) {
    ctx->fault = (struct emul_fault){.vector = vector, .error_code = error_code};
    return EMUL_FAULT;
}

enum emul_result emul_decode_failed(const struct insn *in) {
    return in->error == INSN_FAULT ? EMUL_FAULT : EMUL_UNHANDLED;
}

enum emul_result emul_retire(struct emul_ctx *ctx, const struct insn *in) {
    struct regs *regs = ctx->regs;

    regs->rip += in->pos;
    if (ctx->code_bits != 64)
        regs->rip = (u32)regs->rip;
    regs->rflags &= ~(u64)RFLAGS_RF;
    return regs->rflags & RFLAGS_TF ? EMUL_SINGLE_STEP : EMUL_DONE;
}

u64 emul_operand_address(struct emul_ctx *ctx, const struct insn *in) {
    u64 fs = 0, gs = 0;

    if (in->segment == INSN_SEG_FS && ctx->ops->segment_base)
        fs = ctx->ops->segment_base(ctx->arg, EMUL_SEG_FS);
    if (in->segment == INSN_SEG_GS && ctx->ops->segment_base)
        gs = ctx->ops->segment_base(ctx->arg, EMUL_SEG_GS);
    return insn_address(in, fs, gs);
}

/* 64-bit kernel code: the only place for what changes the machine. */
static bool in_kernel(const struct emul_ctx *ctx) {
    return ctx->kernel_mode && ctx->code_bits == 64;
}

static u64 edx_eax(const struct regs *regs) {
    return regs->rdx << 32 | (u32)regs->rax;
}

static void set_edx_eax(struct regs *regs, u64 val) {
    regs->rax = (u32)val;
    regs->rdx = val >> 32;
}

static enum emul_result do_mov_cr(struct emul_ctx *ctx, struct insn *in) {
    bool to_cr = in->opcode & 2, ok;
    u64 val;

    if (!in_kernel(ctx))
        return EMUL_UNHANDLED;
    if (!insn_modrm(in))
        return emul_decode_failed(in);
    if (in->mod != 3 || in->reg > 4 || in->reg == 1)
        return EMUL_UNHANDLED;
    if (to_cr)
        ok = ctx->ops->write_cr && ctx->ops->write_cr(ctx->arg, in->reg, insn_reg_value(ctx->regs, in->rm));
    else
        ok = ctx->ops->read_cr && ctx->ops->read_cr(ctx->arg, in->reg, &val);
    if (!ok && to_cr && ctx->ops->was_preempted && ctx->ops->was_preempted(ctx->arg))
        return EMUL_RETRY;
    if (!ok)
        return emul_gp(ctx);
    if (!to_cr)
        *insn_reg(ctx->regs, in->rm) = val;
    return EMUL_DONE;
}

static enum emul_result do_mov_dr(struct emul_ctx *ctx, struct insn *in) {
    bool to_dr = in->opcode & 2, ok;
    u64 val;

    if (!in_kernel(ctx))
        return EMUL_UNHANDLED;
    if (!insn_modrm(in))
        return emul_decode_failed(in);
    if (in->mod != 3)
        return EMUL_UNHANDLED;
    if (in->reg > 7 || ((in->reg & 6) == 4 && ctx->cr4 & CR4_DE))
        return emul_fault(ctx, VEC_UD, 0);
    if ((in->reg & 6) == 4)
        in->reg |= 2; /* the old names of DR6 and DR7 */
    if (to_dr)
        ok = ctx->ops->write_dr && ctx->ops->write_dr(ctx->arg, in->reg, insn_reg_value(ctx->regs, in->rm));
    else
        ok = ctx->ops->read_dr && ctx->ops->read_dr(ctx->arg, in->reg, &val);
    if (!ok)
        return emul_gp(ctx);
    if (!to_dr)
        *insn_reg(ctx->regs, in->rm) = val;
    return EMUL_DONE;
}

static enum emul_result do_clts(struct emul_ctx *ctx, struct insn *in) {
    const struct emul_ops *ops = ctx->ops;
    u64 cr0;

    (void)in;
    if (!in_kernel(ctx))
        return EMUL_UNHANDLED;
    if (!ops->read_cr || !ops->write_cr || !ops->read_cr(ctx->arg, 0, &cr0) ||
        !ops->write_cr(ctx->arg, 0, cr0 & ~(u64)CR0_TS))
        return emul_gp(ctx);
    return EMUL_DONE;
}

/* With a REP prefix this is WBNOINVD, for which the same holds. */
static enum emul_result do_wbinvd(struct emul_ctx *ctx, struct insn *in) {
    (void)in;
    if (!in_kernel(ctx))
        return EMUL_UNHANDLED;
    if (ctx->ops->wbinvd)
        ctx->ops->wbinvd(ctx->arg);
    return EMUL_DONE;
}

static enum emul_result do_wrmsr(struct emul_ctx *ctx, struct insn *in) {
    (void)in;
    if (!in_kernel(ctx))
        return EMUL_UNHANDLED;
    if (!ctx->ops->write_msr || !ctx->ops->write_msr(ctx->arg, ctx->regs->rcx, edx_eax(ctx->regs)))
        return emul_gp(ctx);
    return EMUL_DONE;
}

static enum emul_result do_rdmsr(struct emul_ctx *ctx, struct insn *in) {
    u64 val;

    (void)in;
    if (!in_kernel(ctx))
        return EMUL_UNHANDLED;
    if (!ctx->ops->read_msr || !ctx->ops->read_msr(ctx->arg, ctx->regs->rcx, &val))
        return emul_gp(ctx);
    set_edx_eax(ctx->regs, val);
    return EMUL_DONE;
}

enum emul_result emul_rdtsc(struct emul_ctx *ctx, struct insn *in) {
    bool with_aux = in->opcode == 0x01;

    if (!ctx->ops->read_tsc || (!ctx->kernel_mode && ctx->cr4 & CR4_TSD))
        return EMUL_UNHANDLED;
    set_edx_eax(ctx->regs, ctx->ops->read_tsc(ctx->arg));
    if (with_aux)
        ctx->regs->rcx = ctx->ops->read_tsc_aux ? ctx->ops->read_tsc_aux(ctx->arg) : 0;
    return EMUL_DONE;
}

static enum emul_result do_cpuid(struct emul_ctx *ctx, struct insn *in) {
    struct regs *regs = ctx->regs;
    u32 out[4] = {0, 0, 0, 0};

    (void)in;
    if (!ctx->ops->cpuid)
        return EMUL_UNHANDLED;
    ctx->ops->cpuid(ctx->arg, regs->rax, regs->rcx, out);
    regs->rax = out[0];
    regs->rbx = out[1];
    regs->rcx = out[2];
    regs->rdx = out[3];
    return EMUL_DONE;
}

/*
 * CLI and STI change nothing, and fault where the virtual IOPL is too low: event delivery is masked in vcpu_info, and a
 * kernel that mixed these with POPF, which does not fault, could not be followed.
 */
static enum emul_result do_cli_sti(struct emul_ctx *ctx, struct insn *in) {
    (void)in;
    return emul_iopl_suffices(ctx) ? EMUL_DONE : EMUL_UNHANDLED;
}

static const insn_handler one_byte[256] = {
    [0x6c ... 0x6f] = emul_port_insn,
    [0xe4 ... 0xe7] = emul_port_insn,
    [0xec ... 0xef] = emul_port_insn,
    [0xfa ... 0xfb] = do_cli_sti,
};

static const insn_handler two_byte[256] = {
    [0x00] = emul_group6, [0x01] = emul_group7, [0x06] = do_clts,   [0x09] = do_wbinvd,
    [0x20] = do_mov_cr,   [0x21] = do_mov_dr,   [0x22] = do_mov_cr, [0x23] = do_mov_dr,
    [0x30] = do_wrmsr,    [0x31] = emul_rdtsc,  [0x32] = do_rdmsr,  [0xa2] = do_cpuid,
};

/* A LOCK prefix suits none of these instructions. */
enum emul_result emul_privileged(struct emul_ctx *ctx) {
    insn_handler handler;
    enum emul_result res;
    struct insn in;

    insn_init_fetch(&in, ctx);
    if (!insn_prefixes_opcode(&in))
        return emul_decode_failed(&in);
    handler = in.two_byte ? two_byte[in.opcode] : one_byte[in.opcode];
    if (!handler || in.lock)
        return EMUL_UNHANDLED;
    res = handler(ctx, &in);
    return res == EMUL_DONE ? emul_retire(ctx, &in) : res;
}

enum emul_result emul_invalid_opcode(struct emul_ctx *ctx) {
    static const u8 forced_cpuid[] = {0x0f, 0x0b, 'x', 'e', 'n', 0x0f, 0xa2};
    enum emul_result res;
    struct insn in;
    u8 b;

    insn_init_fetch(&in, ctx);
    for (u32 i = 0; i < sizeof(forced_cpuid); i++) {
        if (!insn_byte(&in, &b))
            return emul_decode_failed(&in);
        if (b != forced_cpuid[i])
            return EMUL_UNHANDLED;
    }
    res = do_cpuid(ctx, &in);
    return res == EMUL_DONE ? emul_retire(ctx, &in) : res;
}
