/* SPDX-License-Identifier: MIT */
/*
 * emul: what a guest kernel may do with instructions that ring 1 may not execute, what it sees of the CPU (CPUID, MSRs,
 * ports), and the decoder for its direct writes to page tables. The room is pure: it decodes, checks and computes; all
 * effects go through the callbacks of its caller.
 */
#ifndef PV_EMUL_H
#define PV_EMUL_H

#include <pv/regs.h>
#include <pv/types.h>

#define EMUL_MAX_INSN 15   /* bytes of the longest instruction */
#define EMUL_MAX_STRING 64 /* elements of one INS or OUTS done in one call; then EMUL_RETRY */

enum emul_result {
    EMUL_DONE,        /* emulated: registers are up to date, RIP is past the instruction, RF is clear */
    EMUL_SINGLE_STEP, /* as EMUL_DONE, and TF was set: inject #DB with DR6.BS */
    EMUL_FAULT,       /* nothing done (of this element, for strings): inject ctx->fault */
    EMUL_RETRY,       /* go back to the guest at the RIP in regs: a string has more elements, or an op asked for it */
    EMUL_UNHANDLED,   /* not for us: reflect the guest's exception as it came */
};

struct emul_fault {
    u8 vector;
    u32 error_code; /* #GP, #PF, ... */
    u64 cr2;        /* #PF only */
};

enum emul_segment { EMUL_SEG_FS, EMUL_SEG_GS };

/*
 * The vCPU behind the emulator. `arg` is that of struct emul_ctx. Callbacks that return bool refuse with false, which
 * gives the guest #GP(0); memory callbacks fill *fault before they return false. A callback that is NULL refuses.
 */
struct emul_ops {
    /* Instruction bytes at a linear address; never crosses a page. Each byte is asked for once. */
    bool (*fetch)(void *arg, u64 va, void *buf, size_t len, struct emul_fault *fault);
    /* Guest data with the rights of the mode in ctx; may cross pages. */
    bool (*read_mem)(void *arg, u64 va, void *buf, size_t len, struct emul_fault *fault);
    bool (*write_mem)(void *arg, u64 va, const void *buf, size_t len, struct emul_fault *fault);
    /* Would write_mem succeed? Asked before a port is read for INS. */
    bool (*check_write)(void *arg, u64 va, size_t len, struct emul_fault *fault);
    u64 (*segment_base)(void *arg, enum emul_segment seg);

    bool (*read_cr)(void *arg, u32 cr, u64 *val); /* 0, 2, 3, 4; cr0 has the guest's TS */
    bool (*write_cr)(void *arg, u32 cr, u64 val); /* CLTS and LMSW come here as cr0 */
    bool (*was_preempted)(void *arg); /* write_cr refused only because it is not done yet: EMUL_RETRY. NULL: never */
    bool (*read_dr)(void *arg, u32 dr, u64 *val); /* 0-3, 6, 7 (4 and 5 arrive as 6 and 7 without CR4.DE) */
    bool (*write_dr)(void *arg, u32 dr, u64 val);
    bool (*read_msr)(void *arg, u32 msr, u64 *val); /* see emul_rdmsr() */
    bool (*write_msr)(void *arg, u32 msr, u64 val);
    bool (*write_xcr)(void *arg, u32 xcr, u64 val);

    /* Ports: size is 1, 2 or 4. Only called when the virtual IOPL or port_allowed() lets the guest. */
    u32 (*port_read)(void *arg, u16 port, u32 size); /* NULL: emul_port_read() */
    void (*port_write)(void *arg, u16 port, u32 size, u32 val);
    bool (*port_allowed)(void *arg, u16 port, u32 size); /* the guest's I/O bitmap; asked where IOPL is too low */

    void (*cpuid)(void *arg, u32 leaf, u32 sub, u32 out[4]); /* eax, ebx, ecx, edx; see emul_cpuid() */
    u64 (*read_tsc)(void *arg);
    u32 (*read_tsc_aux)(void *arg); /* NULL: 0 */
    bool (*invlpg)(void *arg, u64 va);
    void (*wbinvd)(void *arg); /* NULL: nothing is done, and that is fine */
};

struct emul_ctx {
    struct regs *regs; /* in and out */
    const struct emul_ops *ops;
    void *arg;
    bool kernel_mode;        /* ring 1, else ring 3 */
    u8 code_bits;            /* of the code segment: 64, 32 or 16 */
    u64 code_base;           /* of the code segment; 0 in 64-bit code */
    u8 iopl;                 /* the vCPU's virtual IOPL, 0..3 */
    bool architectural_iopl; /* VMASST_TYPE_architectural_iopl: the kernel counts as ring 0, else as ring 1 */
    u64 cr4;                 /* as the guest sees it */

    struct emul_fault fault; /* out, for EMUL_FAULT */
};

/* The guest raised #GP(0) at regs->rip: try to do for it what it wanted. */
enum emul_result emul_privileged(struct emul_ctx *ctx);
/* The guest raised #UD at regs->rip: the forced-emulation prefix (UD2, "xen") before CPUID, in any mode. */
enum emul_result emul_invalid_opcode(struct emul_ctx *ctx);

/* --- Writes to page tables -------------------------------------------------------------------------------------- */

enum pt_write_kind {
    PT_WRITE_MOV,
    PT_WRITE_XCHG,
    PT_WRITE_CMPXCHG,
    PT_WRITE_OR,
    PT_WRITE_AND,
    PT_WRITE_XOR,
    PT_WRITE_ADD,
    PT_WRITE_SUB,
    PT_WRITE_XADD,
    PT_WRITE_BTS,
    PT_WRITE_BTR,
    PT_WRITE_BTC,
    PT_WRITE_STOS,
};

/* One decoded instruction of a 64-bit guest kernel that writes within one aligned 8-byte word. */
struct pt_write {
    enum pt_write_kind kind;
    u64 addr; /* effective linear address of the operand (for bit operations: of the word with the bit) */
    u8 width; /* 1, 2, 4 or 8 bytes */
    u8 insn_len;
    u8 reg;         /* XCHG, XADD: the register that gets the old value, as encoded */
    bool high_byte; /* and it is AH, CH, DH or BH */
    bool rep;       /* STOS with a REP prefix: one element at a time */
    u8 addr_width;  /* 4 or 8: STOS steps RDI and RCX at this width */
    u64 operand;    /* the value, or the bit number within the word */
    u64 compare;    /* CMPXCHG: the accumulator */
};

struct pt_write_ctx {
    u64 fs_base, gs_base;
};

/*
 * Decodes the instruction at insn (len bytes are there, up to 15). Returns 0, -EINVAL for an instruction that is not
 * one of ours or crosses an 8-byte boundary, -E2BIG if more bytes are needed. The caller compares addr with the fault
 * address.
 */
int emul_decode_pt_write(const u8 *insn, size_t len, const struct regs *regs, const struct pt_write_ctx *ctx,
                         struct pt_write *out);
/*
 * Computes the aligned 8-byte word that replaces `old` (partial widths merge), and with regs not NULL commits the
 * register, flag and RIP effects. So: call with NULL, validate and store *new, then call again with regs and the same
 * `old`. Returns false if the instruction leaves memory alone (CMPXCHG that fails); *new is `old` then.
 * Commit clears RF; the caller looks at TF.
 */
bool emul_apply_pt_write(const struct pt_write *w, u64 old, u64 *new, struct regs *regs);

/* --- CPUID ------------------------------------------------------------------------------------------------------ */

struct cpuid_policy_ctx {
    void (*host)(void *arg, u32 leaf, u32 sub, u32 out[4]); /* raw CPUID of this CPU */
    void *arg;
    u32 vcpu_id, nr_vcpus;
    u64 cr4;          /* the guest's: user mode's CPUID.OSXSAVE follows it */
    bool kernel_view; /* asked with the forced-emulation prefix: OSXSAVE is set wherever XSAVE is, kernels rely on it */
    bool tsc_aux;     /* TSC_AUX is switched with the vCPU: RDTSCP and RDPID are offered */
    u64 xcr0;         /* the guest's: size of the XSAVE area in use */
    u64 xfeatures;    /* XCR0 bits that guests may set; 0: XSAVE is not offered */
    bool tsc_invariant; /* the hypervisor vouches for a constant TSC */
    bool spec_ctrl;     /* IBRS/IBPB/STIBP/SSBD MSRs are offered */
    u32 tsc_khz;
    u32 tsc_mul; /* as in vcpu_time_info */
    s8 tsc_shift;
    u64 tsc_offset_ns;
    u32 tsc_incarnation;
    u8 maddr_bits; /* width of machine addresses the guest may see in its page tables */
};

void emul_cpuid(const struct cpuid_policy_ctx *ctx, u32 leaf, u32 sub, u32 out[4]);

/* --- MSRs ------------------------------------------------------------------------------------------------------- */

enum emul_base { EMUL_FS_BASE, EMUL_GS_BASE, EMUL_GS_BASE_USER }; /* GS_BASE: the one in use, i.e. the kernel's */

struct emul_msr_ctx {
    u64 (*read_base)(void *arg, enum emul_base which);
    void (*write_base)(void *arg, enum emul_base which, u64 val); /* val is canonical */
    u64 (*read_tsc)(void *arg);
    /* Writes PRED_CMD or FLUSH_CMD (bit 0, checked) to the hardware; SPEC_CTRL for this vCPU. NULL: not offered. */
    void (*write_spec)(void *arg, u32 msr, u64 val);
    u64 (*read_spec)(void *arg);
    void *arg;
    u32 vcpu_id;
    bool amd;                                  /* AMD or Hygon, else Intel and the like */
    bool nx;                                   /* EFER.NXE is on */
    void (*write_tsc_aux)(void *arg, u32 val); /* NULL: TSC_AUX is not offered */
    u32 tsc_aux;                               /* RDTSCP's value for this vCPU */
    u64 microcode_rev;                         /* MSR 0x8b as the host reads it */
};

/* False: #GP(0). */
bool emul_rdmsr(const struct emul_msr_ctx *ctx, u32 msr, u64 *val);
bool emul_wrmsr(const struct emul_msr_ctx *ctx, u32 msr, u64 val);

/* --- Ports nobody gave the guest -------------------------------------------------------------------------------- */

/* What a read gives; writes do nothing. */
u32 emul_port_read(u16 port, u32 size);

#endif
