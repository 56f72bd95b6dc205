// SPDX-License-Identifier: MIT
/*
 * Port instructions: IN, OUT, INS and OUTS, for who has the I/O privilege; and what a port gives that nobody gave to
 * the guest. Which ports are a guest's own is for the callbacks to know.
 */
#include "internal.h"

#define PORT_PIT_CHANNEL2 0x42
#define PORT_SYSTEM_B 0x61
#define SYSTEM_B_OUT2 0x20 /* the PIT's channel 2 has counted to its end */

/*
 * All-ones, as from a bus without devices. Two ports differ, for guests that calibrate by the PIT: a count that is
 * always 0 and a channel that has always ended make them give up at the first look.
 */
u32 emul_port_read(u16 port, u32 size) {
    if (port == PORT_PIT_CHANNEL2 && size == 1)
        return 0;
    if (port == PORT_SYSTEM_B && size == 1)
        return SYSTEM_B_OUT2;
    return insn_mask(size);
}

bool emul_iopl_suffices(const struct emul_ctx *ctx) {
    u8 ring = ctx->kernel_mode ? (ctx->architectural_iopl ? 0 : 1) : 3;

    return ctx->iopl >= ring;
}

static bool port_permitted(const struct emul_ctx *ctx, u16 port, u32 size) {
    if (port + size > 0x10000)
        return false;
    if (emul_iopl_suffices(ctx))
        return true;
    return ctx->ops->port_allowed && ctx->ops->port_allowed(ctx->arg, port, size);
}

static u32 port_read(const struct emul_ctx *ctx, u16 port, u32 size) {
    u32 val = ctx->ops->port_read ? ctx->ops->port_read(ctx->arg, port, size) : emul_port_read(port, size);

    return val & insn_mask(size);
}

static void port_write(const struct emul_ctx *ctx, u16 port, u32 size, u32 val) {
    if (ctx->ops->port_write)
        ctx->ops->port_write(ctx->arg, port, size, val & insn_mask(size));
}

/* One element of INS: the destination is tried first, so that no datum is lost to a page fault. */
static enum emul_result ins_element(struct emul_ctx *ctx, u64 va, u16 port, u32 size) {
    const struct emul_ops *ops = ctx->ops;
    u32 val;

    if (!ops->write_mem)
        return emul_gp(ctx);
    if (ops->check_write && !ops->check_write(ctx->arg, va, size, &ctx->fault))
        return EMUL_FAULT;
    val = port_read(ctx, port, size);
    return ops->write_mem(ctx->arg, va, &val, size, &ctx->fault) ? EMUL_DONE : EMUL_FAULT;
}

static enum emul_result outs_element(struct emul_ctx *ctx, u64 va, u16 port, u32 size) {
    const struct emul_ops *ops = ctx->ops;
    u32 val = 0;

    if (!ops->read_mem)
        return emul_gp(ctx);
    if (!ops->read_mem(ctx->arg, va, &val, size, &ctx->fault))
        return EMUL_FAULT;
    port_write(ctx, port, size, val);
    return EMUL_DONE;
}

/* Where the next element is; INS always uses ES, whose base is 0. */
static u64 string_address(struct emul_ctx *ctx, const struct insn *in, bool input) {
    u64 index = insn_reg_value(ctx->regs, input ? REG_RDI : REG_RSI) & insn_mask(insn_address_size(in));

    if (!input && ctx->ops->segment_base) {
        if (in->segment == INSN_SEG_FS)
            index += ctx->ops->segment_base(ctx->arg, EMUL_SEG_FS);
        else if (in->segment == INSN_SEG_GS)
            index += ctx->ops->segment_base(ctx->arg, EMUL_SEG_GS);
    }
    return index;
}

static enum emul_result string_element(struct emul_ctx *ctx, const struct insn *in, bool input, u32 size) {
    u32 index = input ? REG_RDI : REG_RSI, width = insn_address_size(in);
    u64 va = string_address(ctx, in, input), step = ctx->regs->rflags & RFLAGS_DF ? -(u64)size : size;
    u16 port = ctx->regs->rdx;
    enum emul_result res = input ? ins_element(ctx, va, port, size) : outs_element(ctx, va, port, size);

    if (res == EMUL_DONE)
        insn_reg_write(ctx->regs, index, width, insn_reg_value(ctx->regs, index) + step);
    return res;
}

/* REP: a bounded number of elements now; the registers always tell what is left. */
static enum emul_result string_repeat(struct emul_ctx *ctx, const struct insn *in, bool input, u32 size) {
    u32 width = insn_address_size(in), n = ctx->regs->rflags & RFLAGS_TF ? 1 : EMUL_MAX_STRING;
    u64 left = ctx->regs->rcx & insn_mask(width);
    enum emul_result res;

    for (; left && n; n--) {
        res = string_element(ctx, in, input, size);
        if (res != EMUL_DONE)
            return res;
        insn_reg_write(ctx->regs, REG_RCX, width, --left);
    }
    if (!left)
        return EMUL_DONE;
    return ctx->regs->rflags & RFLAGS_TF ? EMUL_SINGLE_STEP : EMUL_RETRY;
}

/* Strings need 64-bit code: segments of other modes would have to be looked up, and nobody uses them so. */
static enum emul_result port_string(struct emul_ctx *ctx, const struct insn *in, u32 size) {
    bool input = in->opcode < 0x6e;

    if (ctx->code_bits != 64 || !port_permitted(ctx, ctx->regs->rdx, size))
        return EMUL_UNHANDLED;
    return in->rep ? string_repeat(ctx, in, input, size) : string_element(ctx, in, input, size);
}

static enum emul_result port_single(struct emul_ctx *ctx, u8 opcode, u16 port, u32 size) {
    if (!port_permitted(ctx, port, size))
        return EMUL_UNHANDLED;
    if (opcode & 2)
        port_write(ctx, port, size, ctx->regs->rax);
    else
        insn_reg_write(ctx->regs, REG_RAX, size, port_read(ctx, port, size));
    return EMUL_DONE;
}

enum emul_result emul_port_insn(struct emul_ctx *ctx, struct insn *in) {
    u32 size = in->opcode & 1 ? MIN(insn_operand_size(in), 4u) : 1;
    u16 port = ctx->regs->rdx;
    u8 imm;

    if (in->opcode < 0x70)
        return port_string(ctx, in, size);
    if (in->opcode < 0xe8) {
        if (!insn_byte(in, &imm))
            return emul_decode_failed(in);
        port = imm;
    }
    return port_single(ctx, in->opcode, port, size);
}
