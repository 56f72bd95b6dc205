// SPDX-License-Identifier: MIT
/*
 * Writes of a guest kernel to its own page tables, which are mapped read-only: the instruction becomes one update of
 * one 8-byte entry. Knows what kernels use on page-table entries, with exact flags, and nothing else.
 */
#include "internal.h"

#define ARITH_FLAGS 0x8d5ul /* CF PF AF ZF SF OF */
#define FLAG_CF 0x001ul
#define FLAG_PF 0x004ul
#define FLAG_AF 0x010ul
#define FLAG_ZF 0x040ul
#define FLAG_SF 0x080ul
#define FLAG_OF 0x800ul

/* How an opcode's operands are encoded. */
enum form {
    FORM_NONE,
    FORM_REG,    /* ModRM: memory, register */
    FORM_IMM,    /* ModRM: memory, immediate; reg selects from group 1 */
    FORM_IMM8,   /* same, the immediate is a sign-extended byte */
    FORM_MOVI,   /* ModRM: memory, immediate; reg must be 0 */
    FORM_MOFFS,  /* accumulator to an absolute address */
    FORM_STRING, /* STOS */
    FORM_BIT,    /* ModRM: memory, bit number in a register */
    FORM_BITI,   /* ModRM: memory, bit number in a byte; reg selects */
};

struct opcode {
    u8 form;
    u8 kind;
    bool byte; /* operands of one byte, else of the operand size */
    bool lock; /* LOCK is allowed */
    bool wide; /* not with 2-byte operands */
};

static const struct opcode one_byte[256] = {
    [0x00] = {.form = FORM_REG, .kind = PT_WRITE_ADD, .byte = true, .lock = true},
    [0x01] = {.form = FORM_REG, .kind = PT_WRITE_ADD, .lock = true},
    [0x08] = {.form = FORM_REG, .kind = PT_WRITE_OR, .byte = true, .lock = true},
    [0x09] = {.form = FORM_REG, .kind = PT_WRITE_OR, .lock = true},
    [0x20] = {.form = FORM_REG, .kind = PT_WRITE_AND, .byte = true, .lock = true},
    [0x21] = {.form = FORM_REG, .kind = PT_WRITE_AND, .lock = true},
    [0x28] = {.form = FORM_REG, .kind = PT_WRITE_SUB, .byte = true, .lock = true},
    [0x29] = {.form = FORM_REG, .kind = PT_WRITE_SUB, .lock = true},
    [0x30] = {.form = FORM_REG, .kind = PT_WRITE_XOR, .byte = true, .lock = true},
    [0x31] = {.form = FORM_REG, .kind = PT_WRITE_XOR, .lock = true},
    [0x80] = {.form = FORM_IMM, .byte = true, .lock = true},
    [0x81] = {.form = FORM_IMM, .lock = true},
    [0x83] = {.form = FORM_IMM8, .lock = true},
    [0x86] = {.form = FORM_REG, .kind = PT_WRITE_XCHG, .byte = true, .lock = true},
    [0x87] = {.form = FORM_REG, .kind = PT_WRITE_XCHG, .lock = true},
    [0x88] = {.form = FORM_REG, .kind = PT_WRITE_MOV, .byte = true},
    [0x89] = {.form = FORM_REG, .kind = PT_WRITE_MOV},
    [0xa2] = {.form = FORM_MOFFS, .kind = PT_WRITE_MOV, .byte = true},
    [0xa3] = {.form = FORM_MOFFS, .kind = PT_WRITE_MOV},
    [0xaa] = {.form = FORM_STRING, .kind = PT_WRITE_STOS, .byte = true},
    [0xab] = {.form = FORM_STRING, .kind = PT_WRITE_STOS},
    [0xc6] = {.form = FORM_MOVI, .kind = PT_WRITE_MOV, .byte = true},
    [0xc7] = {.form = FORM_MOVI, .kind = PT_WRITE_MOV},
};

static const struct opcode two_byte[256] = {
    [0xab] = {.form = FORM_BIT, .kind = PT_WRITE_BTS, .lock = true},
    [0xb0] = {.form = FORM_REG, .kind = PT_WRITE_CMPXCHG, .byte = true, .lock = true},
    [0xb1] = {.form = FORM_REG, .kind = PT_WRITE_CMPXCHG, .lock = true},
    [0xb3] = {.form = FORM_BIT, .kind = PT_WRITE_BTR, .lock = true},
    [0xba] = {.form = FORM_BITI, .lock = true},
    [0xbb] = {.form = FORM_BIT, .kind = PT_WRITE_BTC, .lock = true},
    [0xc0] = {.form = FORM_REG, .kind = PT_WRITE_XADD, .byte = true, .lock = true},
    [0xc1] = {.form = FORM_REG, .kind = PT_WRITE_XADD, .lock = true},
    [0xc3] = {.form = FORM_REG, .kind = PT_WRITE_MOV, .wide = true}, /* MOVNTI */
};

/* Group 1 by ModRM.reg; ADC, SBB and CMP are not ours. */
static bool group1_kind(u8 reg, enum pt_write_kind *kind) {
    switch (reg & 7) {
    case 0:
        *kind = PT_WRITE_ADD;
        return true;
    case 1:
        *kind = PT_WRITE_OR;
        return true;
    case 4:
        *kind = PT_WRITE_AND;
        return true;
    case 5:
        *kind = PT_WRITE_SUB;
        return true;
    case 6:
        *kind = PT_WRITE_XOR;
        return true;
    default:
        return false;
    }
}

static bool bit_group_kind(u8 reg, enum pt_write_kind *kind) {
    switch (reg & 7) {
    case 5:
        *kind = PT_WRITE_BTS;
        return true;
    case 6:
        *kind = PT_WRITE_BTR;
        return true;
    case 7:
        *kind = PT_WRITE_BTC;
        return true;
    default:
        return false;
    }
}

static bool decode_register(const struct insn *in, struct pt_write *w) {
    w->reg = in->reg;
    w->high_byte = w->width == 1 && !in->rex && in->reg >= 4;
    if (w->high_byte)
        w->reg -= 4;
    w->operand = insn_reg_value(in->regs, w->reg) >> (w->high_byte ? 8 : 0);
    w->compare = in->regs->rax;
    return true;
}

/* A bit number in a register reaches beyond the word, up and down: the address moves by whole operands. */
static bool decode_bit(struct insn *in, struct pt_write *w) {
    u64 bit = insn_reg_value(in->regs, in->reg);
    s64 index = w->width == 8 ? (s64)bit : w->width == 4 ? (s64)(s32)bit : (s64)(s16)bit;
    s64 bits = w->width * 8;

    w->operand = bit & (bits - 1);
    in->ea += (u64)((index - (s64)w->operand) / bits) * w->width;
    return true;
}

static bool decode_bit_immediate(struct insn *in, struct pt_write *w) {
    if (!bit_group_kind(in->reg, &w->kind) || !insn_immediate(in, 1, &w->operand))
        return false;
    w->operand &= w->width * 8 - 1;
    return true;
}

static bool decode_string(struct insn *in, struct pt_write *w) {
    w->addr_width = insn_address_size(in);
    w->rep = in->rep;
    w->operand = in->regs->rax;
    in->ea = in->regs->rdi;
    in->segment = INSN_SEG_DEFAULT; /* the destination is always in ES */
    return !w->rep || (in->regs->rcx & insn_mask(w->addr_width));
}

static bool decode_moffs(struct insn *in, struct pt_write *w) {
    w->operand = in->regs->rax;
    return insn_immediate(in, insn_address_size(in), &in->ea);
}

static bool decode_operands(struct insn *in, enum form form, struct pt_write *w) {
    switch (form) {
    case FORM_STRING:
        return decode_string(in, w);
    case FORM_MOFFS:
        return decode_moffs(in, w);
    default:
        break;
    }
    if (!insn_modrm(in) || in->mod == 3)
        return false;
    switch (form) {
    case FORM_REG:
        return decode_register(in, w);
    case FORM_IMM:
        return group1_kind(in->reg, &w->kind) && insn_immediate(in, MIN(w->width, 4), &w->operand);
    case FORM_IMM8:
        return group1_kind(in->reg, &w->kind) && insn_immediate(in, 1, &w->operand);
    case FORM_MOVI:
        return !(in->reg & 7) && insn_immediate(in, MIN(w->width, 4), &w->operand);
    case FORM_BIT:
        return decode_bit(in, w);
    case FORM_BITI:
        return decode_bit_immediate(in, w);
    default:
        return false;
    }
}

static bool prefixes_fit(const struct insn *in, const struct opcode *op) {
    if (op->form == FORM_NONE || (in->lock && !op->lock))
        return false;
    return !in->rep || op->form == FORM_STRING;
}

static int decode_error(const struct insn *in) {
    return in->error == INSN_SHORT ? -E2BIG : -EINVAL;
}

int emul_decode_pt_write(const u8 *insn, size_t len, const struct regs *regs, const struct pt_write_ctx *ctx,
                         struct pt_write *out) {
    const struct opcode *op;
    struct insn in;

    memset(out, 0, sizeof(*out));
    insn_init_buffer(&in, insn, len, regs);
    if (!insn_prefixes_opcode(&in))
        return decode_error(&in);
    op = in.two_byte ? &two_byte[in.opcode] : &one_byte[in.opcode];
    if (!prefixes_fit(&in, op))
        return -EINVAL;
    out->kind = op->kind;
    out->width = op->byte ? 1 : insn_operand_size(&in);
    if (op->wide && (in.opsize || out->width == 2))
        return -EINVAL;
    if (!decode_operands(&in, op->form, out))
        return decode_error(&in);
    out->operand &= insn_mask(out->width);
    out->compare &= insn_mask(out->width);
    out->insn_len = in.pos;
    out->addr = insn_address(&in, ctx->fs_base, ctx->gs_base);
    return (out->addr & 7) + out->width <= 8 ? 0 : -EINVAL;
}

/* --- what the instruction computes --- */

static u64 sign_bit(const struct pt_write *w) {
    return 1ull << (w->width * 8 - 1);
}

static u64 logic_flags(const struct pt_write *w, u64 res) {
    u64 flags = res & sign_bit(w) ? FLAG_SF : 0;

    if (!res)
        flags |= FLAG_ZF;
    if (!(__builtin_popcount((u8)res) & 1))
        flags |= FLAG_PF;
    return flags;
}

/* All operands are cut to the width. */
static u64 add_flags(const struct pt_write *w, u64 a, u64 b, u64 res) {
    u64 flags = logic_flags(w, res) | ((a ^ b ^ res) & FLAG_AF);

    if (res < a)
        flags |= FLAG_CF;
    if (~(a ^ b) & (a ^ res) & sign_bit(w))
        flags |= FLAG_OF;
    return flags;
}

static u64 sub_flags(const struct pt_write *w, u64 a, u64 b, u64 res) {
    u64 flags = logic_flags(w, res) | ((a ^ b ^ res) & FLAG_AF);

    if (a < b)
        flags |= FLAG_CF;
    if ((a ^ b) & (a ^ res) & sign_bit(w))
        flags |= FLAG_OF;
    return flags;
}

/* What is written does not depend on what was there. */
static bool only_stores(const struct pt_write *w) {
    return w->kind == PT_WRITE_MOV || w->kind == PT_WRITE_XCHG || w->kind == PT_WRITE_STOS;
}

static u64 compute_value(const struct pt_write *w, u64 old) {
    switch (w->kind) {
    case PT_WRITE_OR:
        return old | w->operand;
    case PT_WRITE_AND:
        return old & w->operand;
    case PT_WRITE_XOR:
        return old ^ w->operand;
    case PT_WRITE_ADD:
    case PT_WRITE_XADD:
        return old + w->operand;
    case PT_WRITE_SUB:
        return old - w->operand;
    case PT_WRITE_BTS:
        return old | 1ull << w->operand;
    case PT_WRITE_BTR:
        return old & ~(1ull << w->operand);
    case PT_WRITE_BTC:
        return old ^ 1ull << w->operand;
    case PT_WRITE_CMPXCHG:
        return old == w->compare ? w->operand : old;
    case PT_WRITE_MOV:
    case PT_WRITE_XCHG:
    case PT_WRITE_STOS:
        break;
    }
    return w->operand;
}

/* The arithmetic flags after the instruction, from those before it. */
static u64 compute_flags(const struct pt_write *w, u64 old, u64 res, u64 before) {
    switch (w->kind) {
    case PT_WRITE_OR:
    case PT_WRITE_AND:
    case PT_WRITE_XOR:
        return logic_flags(w, res);
    case PT_WRITE_ADD:
    case PT_WRITE_XADD:
        return add_flags(w, old, w->operand, res);
    case PT_WRITE_SUB:
        return sub_flags(w, old, w->operand, res);
    case PT_WRITE_CMPXCHG:
        return sub_flags(w, w->compare, old, (w->compare - old) & insn_mask(w->width));
    case PT_WRITE_BTS:
    case PT_WRITE_BTR:
    case PT_WRITE_BTC:
        return (before & ~FLAG_CF) | (old >> w->operand & 1 ? FLAG_CF : 0);
    case PT_WRITE_MOV:
    case PT_WRITE_XCHG:
    case PT_WRITE_STOS:
        break;
    }
    return before;
}

static void commit_old_value(const struct pt_write *w, u64 old, struct regs *regs) {
    u64 *reg = insn_reg(regs, w->reg);

    if (w->high_byte)
        *reg = (*reg & ~0xff00ull) | old << 8;
    else
        insn_reg_write(regs, w->reg, w->width, old);
}

/* Returns false if the instruction is to be executed again for its next element. */
static bool commit_string(const struct pt_write *w, struct regs *regs) {
    u64 step = regs->rflags & RFLAGS_DF ? -(u64)w->width : w->width;

    insn_reg_write(regs, REG_RDI, w->addr_width, regs->rdi + step);
    if (!w->rep)
        return true;
    insn_reg_write(regs, REG_RCX, w->addr_width, regs->rcx - 1);
    return !(regs->rcx & insn_mask(w->addr_width));
}

static void commit(const struct pt_write *w, u64 old, u64 res, struct regs *regs) {
    u64 flags = regs->rflags & ARITH_FLAGS;
    bool over = true;

    if (!only_stores(w))
        flags = compute_flags(w, old, res, flags);
    if (w->kind == PT_WRITE_XCHG || w->kind == PT_WRITE_XADD)
        commit_old_value(w, old, regs);
    else if (w->kind == PT_WRITE_CMPXCHG && old != w->compare)
        insn_reg_write(regs, REG_RAX, w->width, old);
    else if (w->kind == PT_WRITE_STOS)
        over = commit_string(w, regs);
    regs->rflags = (regs->rflags & ~(ARITH_FLAGS | RFLAGS_RF)) | flags;
    if (over)
        regs->rip += w->insn_len;
}

bool emul_apply_pt_write(const struct pt_write *w, u64 old, u64 *new, struct regs *regs) {
    u32 shift = (w->addr & 7) * 8;
    u64 mask = insn_mask(w->width), value = old >> shift & mask;
    u64 res = (only_stores(w) ? w->operand : compute_value(w, value)) & mask;

    *new = (old & ~(mask << shift)) | res << shift;
    if (regs)
        commit(w, value, res, regs);
    return w->kind != PT_WRITE_CMPXCHG || value == w->compare;
}
