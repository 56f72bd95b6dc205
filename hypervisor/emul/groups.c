// SPDX-License-Identifier: MIT
/*
 * Groups 0f 00 and 0f 01: INVLPG, LMSW, XSETBV, RDTSCP; and the instructions that tell of descriptor tables and CR0
 * (SGDT, SIDT, SLDT, STR, SMSW), which fault where the host uses UMIP. These tell constants: the real tables are ours.
 */
#include "internal.h"

#define CR0_PE_MP_EM_TS 0xfu
#define CR0_PE 1u

#define MODRM_XSETBV 0xd1
#define MODRM_RDTSCP 0xf9

static enum emul_result store_memory(struct emul_ctx *ctx, const struct insn *in, const void *buf, size_t len) {
    if (!ctx->ops->write_mem)
        return emul_gp(ctx);
    return ctx->ops->write_mem(ctx->arg, emul_operand_address(ctx, in), buf, len, &ctx->fault) ? EMUL_DONE : EMUL_FAULT;
}

/* SLDT, STR, SMSW: 16 bits in memory, the operand size in a register. */
static enum emul_result store_word(struct emul_ctx *ctx, const struct insn *in, u64 val) {
    u16 word = val;

    if (in->mod != 3)
        return store_memory(ctx, in, &word, sizeof(word));
    insn_reg_write(ctx->regs, in->rm, insn_operand_size(in), val);
    return EMUL_DONE;
}

/* SGDT, SIDT: an empty table at 0. */
static enum emul_result store_table(struct emul_ctx *ctx, const struct insn *in) {
    static const u8 empty[10];

    return in->mod == 3 ? EMUL_UNHANDLED : store_memory(ctx, in, empty, sizeof(empty));
}

static enum emul_result do_smsw(struct emul_ctx *ctx, const struct insn *in) {
    u64 cr0;

    if (!ctx->ops->read_cr || !ctx->ops->read_cr(ctx->arg, 0, &cr0))
        return emul_gp(ctx);
    return store_word(ctx, in, cr0);
}

/* Loads CR0's low four bits; PE can be set this way, never cleared. */
static enum emul_result do_lmsw(struct emul_ctx *ctx, const struct insn *in) {
    const struct emul_ops *ops = ctx->ops;
    u16 msw = insn_reg_value(ctx->regs, in->rm);
    u64 cr0;

    if (in->mod != 3 && !ops->read_mem)
        return emul_gp(ctx);
    if (in->mod != 3 && !ops->read_mem(ctx->arg, emul_operand_address(ctx, in), &msw, sizeof(msw), &ctx->fault))
        return EMUL_FAULT;
    if (!ops->read_cr || !ops->write_cr || !ops->read_cr(ctx->arg, 0, &cr0))
        return emul_gp(ctx);
    cr0 = (cr0 & ~(u64)CR0_PE_MP_EM_TS) | (cr0 & CR0_PE) | (msw & CR0_PE_MP_EM_TS);
    return ops->write_cr(ctx->arg, 0, cr0) ? EMUL_DONE : emul_gp(ctx);
}

static enum emul_result do_invlpg(struct emul_ctx *ctx, const struct insn *in) {
    if (!ctx->ops->invlpg || !ctx->ops->invlpg(ctx->arg, emul_operand_address(ctx, in)))
        return emul_gp(ctx);
    return EMUL_DONE;
}

static enum emul_result do_xsetbv(struct emul_ctx *ctx) {
    const struct regs *regs = ctx->regs;

    if (!ctx->ops->write_xcr || !ctx->ops->write_xcr(ctx->arg, regs->rcx, regs->rdx << 32 | (u32)regs->rax))
        return emul_gp(ctx);
    return EMUL_DONE;
}

enum emul_result emul_group6(struct emul_ctx *ctx, struct insn *in) {
    if (!insn_modrm(in))
        return emul_decode_failed(in);
    switch (in->reg & 7) {
    case 0: /* SLDT */
    case 1: /* STR */
        return store_word(ctx, in, 0);
    default:
        return EMUL_UNHANDLED;
    }
}

enum emul_result emul_group7(struct emul_ctx *ctx, struct insn *in) {
    bool kernel = ctx->kernel_mode && ctx->code_bits == 64;
    u8 modrm;

    if (!insn_modrm(in))
        return emul_decode_failed(in);
    modrm = in->bytes[in->pos - 1];
    if (in->mod == 3 && modrm == MODRM_XSETBV)
        return kernel && !in->opsize && !in->rep ? do_xsetbv(ctx) : EMUL_UNHANDLED;
    if (in->mod == 3 && modrm == MODRM_RDTSCP)
        return emul_rdtsc(ctx, in);
    switch (in->reg & 7) {
    case 0: /* SGDT */
    case 1: /* SIDT */
        return store_table(ctx, in);
    case 4:
        return do_smsw(ctx, in);
    case 6:
        return kernel ? do_lmsw(ctx, in) : EMUL_UNHANDLED;
    case 7:
        return kernel && in->mod != 3 ? do_invlpg(ctx, in) : EMUL_UNHANDLED;
    default:
        return EMUL_UNHANDLED;
    }
}
