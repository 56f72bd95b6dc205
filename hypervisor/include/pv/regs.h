/* SPDX-License-Identifier: MIT */
/*
 * struct regs: a vCPU's (or an interrupted hypervisor's) registers in the order the gate pushes them. The layout is
 * that of the ABI's cpu_user_regs up to ss, so the assembly's offsets are the ABI's.
 */
#ifndef PV_REGS_H
#define PV_REGS_H

#include <pv/types.h>

struct regs {
    u64 r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
    u32 error_code, vector;
    u64 rip, cs, rflags, rsp, ss;
};

/* Hardware exception vectors, and the vectors Paravane itself uses. */
enum vector {
    VEC_DE = 0,
    VEC_DB = 1,
    VEC_NMI = 2,
    VEC_BP = 3,
    VEC_OF = 4,
    VEC_BR = 5,
    VEC_UD = 6,
    VEC_NM = 7,
    VEC_DF = 8,
    VEC_TS = 10,
    VEC_NP = 11,
    VEC_SS = 12,
    VEC_GP = 13,
    VEC_PF = 14,
    VEC_MF = 16,
    VEC_AC = 17,
    VEC_MC = 18,
    VEC_XM = 19,
    VEC_CP = 21,
    VEC_IOAPIC_FIRST = 0x30, /* device interrupts */
    VEC_TIMER = 0xf0,        /* local APIC timer */
    VEC_KICK = 0xf1,         /* come out of the guest and look at your requests */
    VEC_SPURIOUS = 0xff,
    VEC_SYSCALL = 0x100, /* not vectors: how the SYSCALL entries mark their frames */
    VEC_SYSCALL32 = 0x101,
    VEC_SYSENTER = 0x102,
};

enum rflags {
    RFLAGS_CF = 1 << 0,
    RFLAGS_MBS = 1 << 1,
    RFLAGS_TF = 1 << 8,
    RFLAGS_IF = 1 << 9,
    RFLAGS_DF = 1 << 10,
    RFLAGS_IOPL = 3 << 12,
    RFLAGS_NT = 1 << 14,
    RFLAGS_RF = 1 << 16,
    RFLAGS_VM = 1 << 17,
    RFLAGS_AC = 1 << 18,
    RFLAGS_VIF = 1 << 19,
    RFLAGS_VIP = 1 << 20,
    RFLAGS_ID = 1 << 21,
};

enum pf_error { PF_PRESENT = 1, PF_WRITE = 2, PF_USER = 4, PF_RSVD = 8, PF_FETCH = 16 };

#endif
