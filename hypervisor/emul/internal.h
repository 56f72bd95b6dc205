/* SPDX-License-Identifier: MIT */
/*
 * What the files of emul share: the instruction decoder. It takes bytes from a buffer or, lazily and each byte once,
 * from the guest; it knows prefixes, ModRM and SIB with 64-bit addressing, and immediates.
 */
#ifndef EMUL_INTERNAL_H
#define EMUL_INTERNAL_H

#include <pv/emul.h>
#include <pv/lib.h>

enum insn_error {
    INSN_OK,
    INSN_INVALID, /* too long, or a form not handled */
    INSN_SHORT,   /* the buffer ended */
    INSN_FAULT,   /* the fetch faulted: ctx->fault */
};

enum insn_segment { INSN_SEG_DEFAULT, INSN_SEG_FS, INSN_SEG_GS, INSN_SEG_OTHER };

enum { REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI };

#define REX_W 8
#define REX_R 4
#define REX_X 2
#define REX_B 1

struct insn {
    const u8 *bytes;
    u8 fetched[EMUL_MAX_INSN]; /* where they are if they come from ctx */
    u8 have, pos;
    struct emul_ctx *ctx; /* where more bytes come from, or NULL */
    const struct regs *regs;
    enum insn_error error;
    u8 code_bits;

    bool opsize, addrsize, lock; /* prefixes 66, 67, f0 */
    u8 rep;                      /* f2, f3 or 0 */
    u8 rex;                      /* 0, or 40..4f */
    enum insn_segment segment;

    bool two_byte; /* after 0f */
    u8 opcode;
    u8 mod, reg, rm;   /* reg and rm with their REX bits */
    bool rip_relative; /* ea lacks the address of the next instruction yet */
    u64 ea;            /* offset within the segment, if mod != 3 */
};

/* Starts on len bytes of 64-bit code at insn, which stay there. */
void insn_init_buffer(struct insn *in, const u8 *bytes, size_t len, const struct regs *regs);
/* Starts at the RIP of ctx. */
void insn_init_fetch(struct insn *in, struct emul_ctx *ctx);
/* All return false, with in->error set, when there is no such thing. */
bool insn_byte_slowly(struct insn *in, u8 *b);
static inline bool insn_byte(struct insn *in, u8 *b) {
    if (unlikely(in->pos >= in->have))
        return insn_byte_slowly(in, b);
    *b = in->bytes[in->pos++];
    return true;
}
bool insn_immediate(struct insn *in, u32 size, u64 *val); /* sign-extended from size 1, 2, 4 or 8 bytes */
bool insn_prefixes_opcode(struct insn *in);
bool insn_modrm(struct insn *in);
/* After the last byte: the linear address of the memory operand. */
u64 insn_address(const struct insn *in, u64 fs_base, u64 gs_base);
/* 2, 4 or 8: the operand size of instructions that have all three. */
u32 insn_operand_size(const struct insn *in);
/* 2, 4 or 8. */
u32 insn_address_size(const struct insn *in);

u64 *insn_reg(struct regs *regs, u32 n);
u64 insn_reg_value(const struct regs *regs, u32 n);
/* Writes as the CPU does: 4 bytes clear the upper half, 1 and 2 leave the rest. */
void insn_reg_write(struct regs *regs, u32 n, u32 size, u64 val);
static inline u64 insn_mask(u32 size) {
    return size >= 8 ? ~0ull : (1ull << (size * 8)) - 1;
}

/* --- emulation --- */
enum emul_result emul_fault(struct emul_ctx *ctx, u8 vector, u32 error_code);
static inline enum emul_result emul_gp(struct emul_ctx *ctx) {
    return emul_fault(ctx, VEC_GP, 0);
}
/* What a failed decode means to the guest. */
enum emul_result emul_decode_failed(const struct insn *in);
/* The instruction is over: RIP, RF, TF. */
enum emul_result emul_retire(struct emul_ctx *ctx, const struct insn *in);
/* May the guest touch its virtual interrupt flag and all ports? */
bool emul_iopl_suffices(const struct emul_ctx *ctx);
u64 emul_operand_address(struct emul_ctx *ctx, const struct insn *in);

/* Opcodes 6c-6f, e4-e7, ec-ef. */
enum emul_result emul_port_insn(struct emul_ctx *ctx, struct insn *in);
/* Groups 0f 00 and 0f 01. */
enum emul_result emul_group6(struct emul_ctx *ctx, struct insn *in);
enum emul_result emul_group7(struct emul_ctx *ctx, struct insn *in);
/* RDTSC and RDTSCP. */
enum emul_result emul_rdtsc(struct emul_ctx *ctx, struct insn *in);

#endif
