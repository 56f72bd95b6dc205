// SPDX-License-Identifier: MIT
/*
 * The instruction decoder of emul: bytes to prefixes, opcode, operands. It decides nothing about what an instruction
 * may do.
 */
#include "internal.h"

void insn_init_buffer(struct insn *in, const u8 *bytes, size_t len, const struct regs *regs) {
    *in = (struct insn){.bytes = bytes, .have = (u8)MIN(len, (size_t)EMUL_MAX_INSN), .regs = regs, .code_bits = 64};
}

void insn_init_fetch(struct insn *in, struct emul_ctx *ctx) {
    *in = (struct insn){.bytes = in->fetched, .ctx = ctx, .regs = ctx->regs, .code_bits = ctx->code_bits};
}

static bool insn_fail(struct insn *in, enum insn_error error) {
    in->error = error;
    return false;
}

static u64 insn_fetch_address(const struct insn *in) {
    u64 ip = in->regs->rip + in->have;

    if (in->code_bits == 64)
        return ip;
    return (u32)(in->ctx->code_base + (u32)ip);
}

/* The bytes up to the end of the page, or of the longest instruction. */
static bool insn_refill(struct insn *in) {
    struct emul_ctx *ctx = in->ctx;
    u64 va = insn_fetch_address(in);
    size_t n = MIN((size_t)(EMUL_MAX_INSN - in->have), (size_t)(PAGE_SIZE - (va & ~PAGE_MASK)));

    if (!ctx->ops->fetch)
        return insn_fail(in, INSN_INVALID);
    if (!ctx->ops->fetch(ctx->arg, va, in->fetched + in->have, n, &ctx->fault))
        return insn_fail(in, INSN_FAULT);
    in->have += n;
    return true;
}

bool insn_byte_slowly(struct insn *in, u8 *b) {
    if (in->pos >= EMUL_MAX_INSN)
        return insn_fail(in, INSN_INVALID);
    if (!in->ctx)
        return insn_fail(in, INSN_SHORT);
    if (!insn_refill(in))
        return false;
    *b = in->bytes[in->pos++];
    return true;
}

bool insn_immediate(struct insn *in, u32 size, u64 *val) {
    u64 v = 0;
    u8 b;

    for (u32 i = 0; i < size; i++) {
        if (!insn_byte(in, &b))
            return false;
        v |= (u64)b << (i * 8);
    }
    if (size < 8 && v >> (size * 8 - 1))
        v |= ~insn_mask(size);
    *val = v;
    return true;
}

enum prefix {
    PREFIX_NONE,
    PREFIX_OPSIZE,
    PREFIX_ADDRSIZE,
    PREFIX_LOCK,
    PREFIX_REP,
    PREFIX_FS,
    PREFIX_GS,
    PREFIX_OTHER
};

static const u8 prefixes[256] = {
    [0x66] = PREFIX_OPSIZE, [0x67] = PREFIX_ADDRSIZE, [0xf0] = PREFIX_LOCK,  [0xf2] = PREFIX_REP,
    [0xf3] = PREFIX_REP,    [0x64] = PREFIX_FS,       [0x65] = PREFIX_GS,    [0x26] = PREFIX_OTHER,
    [0x2e] = PREFIX_OTHER,  [0x36] = PREFIX_OTHER,    [0x3e] = PREFIX_OTHER,
};

static void insn_take_prefix(struct insn *in, u8 b) {
    switch (prefixes[b]) {
    case PREFIX_OPSIZE:
        in->opsize = true;
        break;
    case PREFIX_ADDRSIZE:
        in->addrsize = true;
        break;
    case PREFIX_LOCK:
        in->lock = true;
        break;
    case PREFIX_REP:
        in->rep = b;
        break;
    case PREFIX_FS:
        in->segment = INSN_SEG_FS;
        break;
    case PREFIX_GS:
        in->segment = INSN_SEG_GS;
        break;
    default:
        /* Without effect in 64-bit code, where they do not even undo an FS or GS before them. */
        if (in->code_bits != 64)
            in->segment = INSN_SEG_OTHER;
        break;
    }
    in->rex = 0; /* REX counts only right before the opcode */
}

bool insn_prefixes_opcode(struct insn *in) {
    u8 b;

    for (;;) {
        if (!insn_byte(in, &b))
            return false;
        if (in->code_bits == 64 && (b & 0xf0) == 0x40)
            in->rex = b;
        else if (prefixes[b] != PREFIX_NONE)
            insn_take_prefix(in, b);
        else
            break;
    }
    in->two_byte = b == 0x0f;
    if (in->two_byte && !insn_byte(in, &b))
        return false;
    in->opcode = b;
    return true;
}

static u8 rex_bit(const struct insn *in, u8 bit) {
    return in->rex & bit ? 8 : 0;
}

static bool insn_sib(struct insn *in, u8 *mod_base) {
    u8 sib, index, base;

    if (!insn_byte(in, &sib))
        return false;
    index = (sib >> 3 & 7) | rex_bit(in, REX_X);
    base = (sib & 7) | rex_bit(in, REX_B);
    if (index != REG_RSP)
        in->ea += insn_reg_value(in->regs, index) << (sib >> 6);
    *mod_base = in->mod;
    if ((sib & 7) == REG_RBP && in->mod == 0)
        *mod_base = 2; /* no base, 32 bits of displacement */
    else
        in->ea += insn_reg_value(in->regs, base);
    return true;
}

/* The memory operand of a ModRM byte, as 64-bit code has it; mod != 3. */
static bool insn_memory_operand(struct insn *in, u8 rm) {
    u8 disp_mod = in->mod;
    u64 disp = 0;

    if (in->code_bits != 64)
        return insn_fail(in, INSN_INVALID);
    if (rm == REG_RSP) {
        if (!insn_sib(in, &disp_mod))
            return false;
    } else if (rm == REG_RBP && in->mod == 0) {
        in->rip_relative = true;
        disp_mod = 2;
    } else {
        in->ea = insn_reg_value(in->regs, in->rm);
    }
    if (disp_mod && !insn_immediate(in, disp_mod == 1 ? 1 : 4, &disp))
        return false;
    in->ea += disp;
    return true;
}

bool insn_modrm(struct insn *in) {
    u8 b;

    if (!insn_byte(in, &b))
        return false;
    in->mod = b >> 6;
    in->reg = (b >> 3 & 7) | rex_bit(in, REX_R);
    in->rm = (b & 7) | rex_bit(in, REX_B);
    return in->mod == 3 || insn_memory_operand(in, b & 7);
}

u64 insn_address(const struct insn *in, u64 fs_base, u64 gs_base) {
    u64 ea = in->ea;

    if (in->rip_relative)
        ea += in->regs->rip + in->pos;
    if (in->addrsize)
        ea = (u32)ea;
    if (in->segment == INSN_SEG_FS)
        ea += fs_base;
    else if (in->segment == INSN_SEG_GS)
        ea += gs_base;
    return ea;
}

u32 insn_operand_size(const struct insn *in) {
    if (in->rex & REX_W)
        return 8;
    return in->opsize != (in->code_bits == 16) ? 2 : 4;
}

u32 insn_address_size(const struct insn *in) {
    if (in->code_bits == 64)
        return in->addrsize ? 4 : 8;
    return in->addrsize != (in->code_bits == 16) ? 2 : 4;
}

static const u16 reg_offset[16] = {
    offsetof(struct regs, rax), offsetof(struct regs, rcx), offsetof(struct regs, rdx), offsetof(struct regs, rbx),
    offsetof(struct regs, rsp), offsetof(struct regs, rbp), offsetof(struct regs, rsi), offsetof(struct regs, rdi),
    offsetof(struct regs, r8),  offsetof(struct regs, r9),  offsetof(struct regs, r10), offsetof(struct regs, r11),
    offsetof(struct regs, r12), offsetof(struct regs, r13), offsetof(struct regs, r14), offsetof(struct regs, r15),
};

u64 *insn_reg(struct regs *regs, u32 n) {
    return (u64 *)((char *)regs + reg_offset[n & 15]);
}

u64 insn_reg_value(const struct regs *regs, u32 n) {
    return *(const u64 *)((const char *)regs + reg_offset[n & 15]);
}

void insn_reg_write(struct regs *regs, u32 n, u32 size, u64 val) {
    u64 *reg = insn_reg(regs, n);
    u64 mask = size == 4 ? ~0ull : insn_mask(size);

    *reg = (*reg & ~mask) | (val & insn_mask(size));
}
