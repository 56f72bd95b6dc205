/* SPDX-License-Identifier: MIT */
/*
 * The gate: every entry into and exit from the hypervisor. This code is mapped at GATE_TEXT beside each guest and in the
 * hypervisor's roots; it runs there, not where it was linked, so it refers to itself and to the gate's pages relative to
 * %rip only. docs/gate.md explains the trust argument.
 *
 * The register block (struct regs), whether in the vCPU's gate page or on a stack of ours:
 *
 *     +160 ss      \
 *     +152 rsp      |
 *     +144 rflags   |  pushed by the CPU, or by the SYSCALL entries
 *     +136 cs       |
 *     +128 rip     /
 *     +124 vector | +120 error code (pushed by the CPU or as 0)
 *     +112 rdi ... +0 r15: pushed by SAVE_REGS
 */
#include <pv/gate.h>

#define R_RIP 128
#define R_CS 136
#define R_RFLAGS 144
#define R_SIZE 168
#define VEC_SYSCALL 0x100
#define VEC_SYSCALL32 0x101
#define VEC_SYSENTER 0x102

/* A gate address seen from the running code, and the running address of one of its labels. */
#define G(address) (gate_text_begin + ((address) - GATE_TEXT))(%rip)
#define GATE_ADDRESS(label) (GATE_TEXT + (label - gate_text_begin))

.macro SAVE_REGS
    pushq %rdi
    pushq %rsi
    pushq %rdx
    pushq %rcx
    pushq %rax
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    cld
.endm

.macro RESTORE_REGS
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rax
    popq %rcx
    popq %rdx
    popq %rsi
    popq %rdi
    addq $8, %rsp
.endm

/* Far call to the hypervisor's C code: only once its root is loaded. */
.macro HYP function
    movabsq $\function, %rax
.endm

    .section .gate.text, "ax"
    .balign 4096
gate_text_begin:

/* --- one stub of 16 bytes for each vector; VEC with an error code from the CPU do not push one --- */
    .globl gate_vectors
gate_vectors:
vector = 0
.rept 256
    .balign 16
    .if (vector == 8) || (vector >= 10 && vector <= 14) || (vector == 17) || (vector == 21)
    .elseif (vector == 29) || (vector == 30)
    .else
    pushq $0
    .endif
    movl $vector, 4(%rsp)
    .if (vector == 2) || (vector == 8) || (vector == 18)
    jmp gate_paranoid
    .elseif (vector == 1)
    jmp gate_debug
    .else
    jmp gate_common
    .endif
    vector = vector + 1
.endr

/* --- exceptions and interrupts: on the register block if they came from a guest, else on a stack of ours --- */
    .balign 16
gate_common:
    SAVE_REGS
    testb $3, R_CS(%rsp)
    jz from_host

/* %rsp is at the register block of the vCPU, which is complete. */
gate_slow_path:
    movq G(GATE_CONST + GATE_CONST_HYP_CR3), %rax
    movq G(GATE_CONST + GATE_CONST_HYP_RSP), %rsp
    movq %rax, %cr3
    xorl %ebp, %ebp
    HYP trap_from_guest
    jmp *%rax

from_host:
    leaq gate_iretq(%rip), %rax
    cmpq %rax, R_RIP(%rsp)
    je iret_fault
    movq %rsp, %rdi
    HYP trap_from_host
    call *%rax
    RESTORE_REGS
    iretq

/* The IRETQ to the guest faulted: %rsp is at a register block just below its frame, on the gate page. */
iret_fault:
    movq %rsp, %rdi
    movq G(GATE_CONST + GATE_CONST_HYP_CR3), %rax
    movq G(GATE_CONST + GATE_CONST_HYP_RSP), %rsp
    movq %rax, %cr3
    HYP trap_iret_fault
    jmp *%rax

/* --- SYSCALL: %rcx = rip, %r11 = rflags, %rsp and all else the guest's; interrupts are off (SFMASK) --- */
.macro SYSCALL_ENTRY cs_selector, how
    movq %rsp, G(GATE_VCPU + GATE_VCPU_REGS + 152)
    leaq G(GATE_VCPU + GATE_VCPU_REGS + 152), %rsp
    pushq %r11
    pushq $\cs_selector
    pushq %rcx
    pushq $0
    movl $\how, 4(%rsp)
    SAVE_REGS
    movq $SEL_USER_DS, 160(%rsp)
    jmp gate_slow_path
.endm

    .balign 16
    .globl gate_syscall
gate_syscall:
    SYSCALL_ENTRY SEL_USER_CS64, VEC_SYSCALL
    .balign 16
    .globl gate_syscall32
gate_syscall32:
    SYSCALL_ENTRY SEL_USER_CS32, VEC_SYSCALL32

/* --- SYSENTER: %rsp = end of the register block (its MSR); rip and rsp of the user are lost --- */
    .balign 16
    .globl gate_sysenter
gate_sysenter:
    pushq $SEL_USER_DS
    pushq $0
    pushfq
    pushq $SEL_USER_CS32
    pushq $0
    pushq $0
    movl $VEC_SYSENTER, 4(%rsp)
    SAVE_REGS
    jmp gate_slow_path

/* --- #DB, on its own stack: MOV SS may delay it into the gate's first instruction --- */
    .balign 16
gate_debug:
    SAVE_REGS
    testb $3, R_CS(%rsp)
    jz debug_in_ring0
    movq %rsp, %rsi
    leaq G(GATE_VCPU + GATE_VCPU_REGS), %rdi
    movl $R_SIZE / 8, %ecx
    rep movsq
    jmp gate_slow_path
debug_in_ring0: /* ours is never stepped: forget it, and do not hit the same breakpoint again */
    xorl %eax, %eax
    movq %rax, %dr6
    andl $~0x100, R_RFLAGS(%rsp)
    orl $0x10000, R_RFLAGS(%rsp)
    RESTORE_REGS
    iretq

/* --- NMI, #MC, #DF, each on its own stack: may strike anywhere, so put back the root that was loaded --- */
    .balign 16
gate_paranoid:
    SAVE_REGS
    movq %cr3, %rbx
    movq %rsp, %rbp
    movq G(GATE_CONST + GATE_CONST_HYP_CR3), %rax
    movq G(GATE_CONST + GATE_CONST_NMI_RSP), %rsp
    movq %rax, %cr3
    movq %rbp, %rdi
    movq %rbx, %rsi
    HYP trap_nmi
    call *%rax
    movq %rbp, %rsp
    movq %rbx, %cr3
    RESTORE_REGS
    iretq

/* --- back to the guest: %rdi = its root --- */
    .balign 16
gate_leave:
    movq %rdi, %cr3
    leaq G(GATE_VCPU + GATE_VCPU_REGS), %rsp
    RESTORE_REGS
gate_iretq:
    iretq
gate_text_finish:

    .text
    .globl gate_exit
gate_exit:
    movabsq $GATE_ADDRESS(gate_leave), %rax
    jmp *%rax

/* Running addresses, for the IDT and the SYSCALL MSRs. */
    .section .rodata
    .balign 8
    .globl gate_address_vectors, gate_address_syscall, gate_address_syscall32, gate_address_sysenter
gate_address_vectors: .quad GATE_ADDRESS(gate_vectors)
gate_address_syscall: .quad GATE_ADDRESS(gate_syscall)
gate_address_syscall32: .quad GATE_ADDRESS(gate_syscall32)
gate_address_sysenter: .quad GATE_ADDRESS(gate_sysenter)
