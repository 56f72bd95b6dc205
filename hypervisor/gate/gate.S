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
#define __ASSEMBLY__ 1
#include <pv/gate.h>
#include <xen/xen.h>

#define R_RIP 128
#define R_CS 136
#define R_RFLAGS 144
#define R_RSP 152
#define R_SS 160
#define R_SIZE 168
#define RFLAGS_MBS 0x2
#define RFLAGS_IF 0x200
#define MSR_FS_BASE 0xc0000100
#define MMUEXT_ADDRESS 8 /* offset of linear_addr in struct mmuext_op */
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

/* Jump to %rax by a return whose speculation ends in a loop: guests have trained the predictor of indirect branches. */
.macro JUMP_RAX
    call 2f
1:  pause
    lfence
    jmp 1b
2:  movq %rax, (%rsp)
    ret
.endm

/* To the hypervisor's C code: only once its root and its stack are loaded. */
.macro HYP_JUMP function
    movabsq $\function, %rax
    JUMP_RAX
.endm
.macro HYP_CALL function
    movabsq $\function, %rax
    call 4f
    jmp 5f
4:  JUMP_RAX
5:
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
    .elseif (vector == 0)
    jmp gate_trap_de
    .elseif (vector == 3)
    jmp gate_trap_bp
    .elseif (vector == 14)
    jmp gate_trap_pf
    .elseif (vector == 0x80)
    jmp gate_trap_80
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
    HYP_JUMP trap_from_guest

from_host:
    movq R_RIP(%rsp), %rax
    leaq fast_code(%rip), %rcx
    cmpq %rcx, %rax
    jb not_in_gate
    leaq fast_code_end(%rip), %rcx
    cmpq %rcx, %rax
    jb fault_in_fast_path
    leaq gate_iretq(%rip), %rcx
    cmpq %rcx, %rax
    je iret_fault
not_in_gate:
    movq %rsp, %rdi
    HYP_CALL trap_from_host
    RESTORE_REGS
    iretq

/* The IRETQ to the guest faulted: %rsp is at a register block just below its frame, on the gate page. */
iret_fault:
    movq %rsp, %rdi
    movq G(GATE_CONST + GATE_CONST_HYP_CR3), %rax
    movq G(GATE_CONST + GATE_CONST_HYP_RSP), %rsp
    movq %rax, %cr3
    HYP_JUMP trap_iret_fault

/* --- a fast path touched guest memory that is not there: undo it, and let the slow path find out what is wrong --- */
fault_in_fast_path:
    leaq fixups(%rip), %rcx
1:  cmpq (%rcx), %rax
    jb 2f
    addq $16, %rcx
    jmp 1b
2:  movq 8(%rcx), %rax
    movq %rax, R_RIP(%rsp)
    RESTORE_REGS
    iretq

    .balign 8
/* Ends of the regions of fast_code, in order, and where to go on from a fault in each. */
fixups:
    .quad GATE_ADDRESS(fast_syscall_end), GATE_ADDRESS(fast_syscall_undo)
    .quad GATE_ADDRESS(fast_syscall32_end), GATE_ADDRESS(fast_syscall32_undo)
    .quad GATE_ADDRESS(fast_sysenter_end), GATE_ADDRESS(fast_sysenter_undo)
    .quad GATE_ADDRESS(fast_gs_end), GATE_ADDRESS(fast_gs_fault)
    .quad GATE_ADDRESS(fast_flush_end), GATE_ADDRESS(fast_hypercall_undo)
    .quad GATE_ADDRESS(fast_iret_end), GATE_ADDRESS(fast_iret_undo)
    .quad GATE_ADDRESS(fast_pf_end), GATE_ADDRESS(fast_pf_undo)
    .quad GATE_ADDRESS(fast_bp_end), GATE_ADDRESS(fast_bp_undo)
    .quad GATE_ADDRESS(fast_de_end), GATE_ADDRESS(fast_de_undo)
    .quad GATE_ADDRESS(fast_80_end), GATE_ADDRESS(fast_80_undo)

/*
 * --- SYSCALL: %rcx = rip, %r11 = rflags, %rsp and all else the guest's; interrupts are off (SFMASK) ---
 *
 * From user mode of a fused vCPU, the guest kernel's own system-call entry is next, with this on its stack:
 *
 *     -8 ss   -16 rsp   -24 rflags   -32 cs   -40 rip   -48 r11   -56 rcx
 *
 * Trust: the mode flag and the upcall mask are the guest kernel's to falsify, and concern itself alone. The entry comes
 * from the constants, and so does the upper half of the stack's address: the hypervisor checked that it is the guest's.
 * The lower half, which stack_switch changes below, can only move the stack within 4 GiB that are the guest's as a whole.
 * A write that faults is undone. The frame for IRETQ is made of constants.
 */
#define S_RAX GATE_VCPU + GATE_VCPU_SCRATCH
#define S_RCX GATE_VCPU + GATE_VCPU_SCRATCH + 8
#define S_RDX GATE_VCPU + GATE_VCPU_SCRATCH + 16
#define S_RSP GATE_VCPU + GATE_VCPU_SCRATCH + 24
#define S_CR2 GATE_VCPU + GATE_VCPU_SCRATCH + 32
#define REGS_END GATE_VCPU + 4096
#define ENTRY(n) GATE_CONST + GATE_CONST_ENTRY + 8 * (n)
#define MASK(n) GATE_CONST + GATE_CONST_MASK + (n)

.macro KERNEL_STACK to
    movl G(GATE_VCPU + GATE_VCPU_SP_LOW), %e\to
    orq G(GATE_CONST + GATE_CONST_SP_HIGH), %r\to
.endm

/* Upcalls are masked already, or the kernel has no such entry: slow. Uses %rax. */
.macro CHECK_ENTRY n, undo
    movq G(GATE_CONST + GATE_CONST_INFO), %rax
    cmpb $0, INFO_MASK(%rax)
    jne \undo
    cmpq $0, G(ENTRY(\n))
    je \undo
.endm

/* The frame is at -56(%rax); %rsp is at the end of the register block. */
.macro ENTER_KERNEL n
    leaq -56(%rax), %rax
    pushq $SEL_KERNEL_DS
    pushq %rax
    pushq $GATE_RFLAGS_ALWAYS
    pushq $SEL_KERNEL_CS
    pushq G(ENTRY(\n))
    movq G(GATE_CONST + GATE_CONST_INFO), %rcx
    movb G(MASK(\n)), %al
    movb %al, INFO_MASK(%rcx)
    movb $1, G(GATE_VCPU + GATE_VCPU_MODE)
    movq G(S_RAX), %rax
    movq G(S_RCX), %rcx
    swapgs
    jmp gate_iretq
.endm

.macro SYSCALL name, n, cs, from_kernel
    .balign 16
    .globl gate_\name
gate_\name:
    cmpb $0, G(GATE_VCPU + GATE_VCPU_MODE)
    jne \from_kernel
    movq %rsp, G(S_RSP)
    movq %rax, G(S_RAX)
    movq %rcx, G(S_RCX)
    leaq G(REGS_END), %rsp
fast_\name\()_begin:
    CHECK_ENTRY \n, fast_\name\()_undo
    KERNEL_STACK ax
    movq %rcx, -56(%rax)
    movq %r11, -48(%rax)
    movq %rcx, -40(%rax)
    movq $\cs, -32(%rax)
    movq %r11, -24(%rax)
    movq G(S_RSP), %rcx
    movq %rcx, -16(%rax)
    movq $SEL_USER_DS, -8(%rax)
fast_\name\()_end:
    ENTER_KERNEL \n
.endm

fast_code:
    SYSCALL syscall, FAST_SYSCALL, SEL_USER_CS64, syscall_from_kernel
    SYSCALL syscall32, FAST_SYSCALL32, SEL_USER_CS32, syscall32_slow

/*
 * --- SYSENTER: %rsp = end of the register block (its MSR); rip and rsp of the user are lost, and shown as 0. Of RFLAGS it
 * clears IF only: NT, with which the next IRETQ would fault, perhaps that to another guest, is cleared here, and TF by
 * gate_debug. The user's flags wait at -8(end) ---
 */
    .balign 16
    .globl gate_sysenter
gate_sysenter:
    pushfq
    pushq $RFLAGS_MBS
    popfq
    cmpb $0, G(GATE_VCPU + GATE_VCPU_MODE)
    jne sysenter_slow
    movq %rax, G(S_RAX)
    movq %rcx, G(S_RCX)
    CHECK_ENTRY FAST_SYSENTER, fast_sysenter_undo
    KERNEL_STACK ax
    movq %rcx, -56(%rax)
    movq %r11, -48(%rax)
    movq $0, -40(%rax)
    movq $SEL_USER_CS32, -32(%rax)
    movq (%rsp), %rcx
    orq $RFLAGS_IF, %rcx
    movq %rcx, -24(%rax)
    movq $0, -16(%rax)
    movq $SEL_USER_DS, -8(%rax)
fast_sysenter_end:
    addq $8, %rsp
    ENTER_KERNEL FAST_SYSENTER

/*
 * --- hypercalls that need no state of the hypervisor: iret below; here those that kernels do at a process switch, when they
 * drop translations, and to ask for events. The rest is slow, and so are these when an upcall is due ---
 *
 * Trust: RFLAGS came through SYSCALL and is masked all the same.
 */
.macro SMALL_HYPERCALL
    cmpq $0, G(GATE_CONST + GATE_CONST_HYPERCALLS)
    je syscall_slow
    movq %rsp, G(S_RSP)
    movq %rax, G(S_RAX)
    leaq G(REGS_END), %rsp
    movq G(GATE_CONST + GATE_CONST_INFO), %rax
    cmpb $0, INFO_PENDING(%rax)
    je 1f
    cmpb $0, INFO_MASK(%rax)
    je fast_hypercall_undo
1:
.endm

syscall_from_kernel:
    cmpl $__HYPERVISOR_iret, %eax
    je fast_iret
    cmpl $__HYPERVISOR_set_segment_base, %eax
    je fast_segment_base
    cmpl $__HYPERVISOR_stack_switch, %eax
    je fast_stack_switch
    cmpl $__HYPERVISOR_mmuext_op, %eax
    je fast_flush
    cmpl $__HYPERVISOR_xen_version, %eax
    jne syscall_slow

/* xen_version(XENVER_version = 0). Other commands are slow. */
    testl %edi, %edi
    jnz syscall_slow
    SMALL_HYPERCALL
    movl $GATE_VERSION, %eax
    jmp fast_hypercall_done

/* stack_switch(%edi = selector, %rsi = stack): within the 4 GiB of the last one that the hypervisor checked. */
fast_stack_switch:
    SMALL_HYPERCALL
    movq G(GATE_CONST + GATE_CONST_SP_HIGH), %rax
    xorq %rsi, %rax
    shrq $32, %rax
    jnz fast_hypercall_undo
    movl %esi, %eax
    andl $-16, %eax
    movl %eax, G(GATE_VCPU + GATE_VCPU_SP_LOW)
    xorl %eax, %eax
    jmp fast_hypercall_done

/* set_segment_base(%edi = which, %rsi = base or selector). A base is canonical, or WRMSR would fault. */
fast_segment_base:
    SMALL_HYPERCALL
    cmpl $SEGBASE_GS_USER_SEL, %edi
    je fast_user_gs
    ja fast_hypercall_undo
    movq %rsi, %rax
    shlq $16, %rax
    sarq $16, %rax
    cmpq %rsi, %rax
    jne fast_hypercall_undo
    movq %rcx, G(S_RCX)
    movq %rdx, G(S_RDX)
    movl $MSR_FS_BASE, %ecx /* then GS, and the GS base that waits for SWAPGS: the user's */
    testl %edi, %edi
    jz 2f
    addl $3, %ecx
    subl %edi, %ecx
2:  movl %esi, %eax
    movq %rsi, %rdx
    shrq $32, %rdx
    wrmsr
    movq G(S_RCX), %rcx
    movq G(S_RDX), %rdx
    xorl %eax, %eax
    jmp fast_hypercall_done

/* The CPU checks the selector against descriptors that only the hypervisor writes; one it refuses faults, and the slow path
 * loads null instead. */
fast_user_gs:
    movzwl %si, %eax
    testl $~3, %eax
    jz 3f
    orl $3, %eax
3:  swapgs
    movl %eax, %gs
    swapgs
fast_gs_end:
    xorl %eax, %eax
fast_hypercall_done:
    andl $GATE_RFLAGS_ALLOWED, %r11d
    orl $GATE_RFLAGS_ALWAYS, %r11d
    pushq $SEL_KERNEL_DS
    pushq G(S_RSP)
    pushq %r11
    pushq $SEL_KERNEL_CS
    pushq %rcx
    jmp gate_iretq

/*
 * mmuext_op(%rdi = list, %esi = its length, %rdx = where to tell how many were done, %r10 = whose): one flush, of this CPU
 * and the root that is loaded, which is what the CPU's own instructions do. What is read of the list, with ring 0's rights,
 * the guest's kernel can read itself. INVLPG takes any address.
 */
fast_flush:
    SMALL_HYPERCALL
    cmpl $1, %esi
    jne fast_hypercall_undo
    testq %rdx, %rdx
    jnz fast_hypercall_undo
    cmpl $DOMID_SELF, %r10d
    jne fast_hypercall_undo
    movl (%rdi), %eax
    cmpl $MMUEXT_INVLPG_LOCAL, %eax
    jne 1f
    movq MMUEXT_ADDRESS(%rdi), %rax
    invlpg (%rax)
    xorl %eax, %eax
    jmp fast_hypercall_done
1:  cmpl $MMUEXT_TLB_FLUSH_LOCAL, %eax
    jne fast_hypercall_undo
    movq %cr3, %rax
    movq %rax, %cr3
    xorl %eax, %eax
    jmp fast_hypercall_done
fast_flush_end:

/*
 * --- the iret hypercall: %rsp points at the guest's frame ---
 *
 *     +64 ss  +56 rsp  +48 rflags  +40 cs  +32 rip  +24 flags  +16 rcx  +8 r11  +0 rax
 *
 * Taken when the frame enables upcalls and none is pending. Trust: the frame is copied to the gate page, where no other
 * vCPU can reach it, before IRETQ reads it; its selectors get RPL 3, or are constants for the kernel; its flags are masked;
 * what else may be wrong with it faults at gate_iretq.
 */
fast_iret:
    movq %rsp, %rcx
    leaq G(REGS_END), %rsp
fast_iret_begin:
    cmpq $0, G(GATE_CONST + GATE_CONST_IRET)
    je fast_iret_undo
    movl 48(%rcx), %eax
    testl $0x200, %eax
    jz fast_iret_undo
    movq G(GATE_CONST + GATE_CONST_INFO), %r11
    movb $0, INFO_MASK(%r11)
    cmpb $0, INFO_PENDING(%r11)
    jne fast_iret_undo
    andl $GATE_RFLAGS_ALLOWED, %eax
    orl $GATE_RFLAGS_ALWAYS, %eax
    movzwl 40(%rcx), %r11d
    notl %r11d
    testl $3, %r11d
    jnz fast_iret_to_kernel
    notl %r11d
    pushq 64(%rcx)
    orb $3, (%rsp)
    pushq 56(%rcx)
    pushq %rax
    pushq %r11
    pushq 32(%rcx)
    movq (%rcx), %rax
    movq 8(%rcx), %r11
    movq 16(%rcx), %rcx
    movb $0, G(GATE_VCPU + GATE_VCPU_MODE)
    swapgs
    jmp gate_iretq
fast_iret_to_kernel:
    cmpl $~(SEL_USER_CS64 - 3), %r11d
    jne fast_iret_undo
    pushq $SEL_KERNEL_DS
    pushq 56(%rcx)
    pushq %rax
    pushq $SEL_KERNEL_CS
    pushq 32(%rcx)
    movq (%rcx), %rax
    movq 8(%rcx), %r11
    movq 16(%rcx), %rcx
    jmp gate_iretq
fast_iret_end:

/*
 * --- exceptions that are the guest's own: its handler is next, with this on its kernel stack ---
 *
 *     -8 ss  -16 rsp  -24 rflags  -32 cs  -40 rip  [-48 error code]  then r11, rcx
 *
 * %rsp is at the error code in the register block. From user mode the stack is that of the constants; from the kernel it is
 * its own, which must not lie in slots 256-271: with ring 0's rights we could write to the gate's pages there. (Shifted
 * right by 43, all of their addresses are -16.) A kernel's write to a present page may be to a page table: slow.
 */
.macro BOUNCE name, n, has_error, is_page_fault
    .balign 16
gate_trap_\name:
    testb $3, 16(%rsp)
    jz gate_common
    movq %rax, G(S_RAX)
    movq %rcx, G(S_RCX)
    movq %rdx, G(S_RDX)
    .if \is_page_fault
    movq %cr2, %rdx
    movq %rdx, G(S_CR2)
    .endif
fast_\name\()_begin:
    cmpq $0, G(ENTRY(\n))
    je fast_\name\()_undo
    movq G(GATE_CONST + GATE_CONST_INFO), %rcx
    cmpb $0, INFO_MASK(%rcx)
    jne fast_\name\()_undo
    movl 16(%rsp), %edx
    testb $2, %dl
    jz 1f
    /* From ring 3: user mode, unless the kernel went there by itself. */
    cmpb $0, G(GATE_VCPU + GATE_VCPU_MODE)
    jne fast_\name\()_undo
    KERNEL_STACK ax
    movq %rdx, -32(%rax)
    movl 40(%rsp), %edx
    movq %rdx, -8(%rax)
    jmp 2f
1:  .if \is_page_fault
    movl (%rsp), %edx
    notl %edx
    testb $3, %dl
    jz fast_\name\()_undo
    /* LRETQ, see emulate_lretq(). */
    movq G(S_CR2), %rdx
    subq 32(%rsp), %rdx
    subq $16, %rdx
    cmpq $16, %rdx
    jb fast_\name\()_undo
    .endif
    movq 32(%rsp), %rax
    movq %rax, %rdx
    sarq $43, %rdx
    cmpq $-16, %rdx
    je fast_\name\()_undo
    andq $-16, %rax
    movq $SEL_USER_CS64 - 3, -32(%rax)
    movq $SEL_USER_DS, -8(%rax)
2:  movq 32(%rsp), %rdx
    movq %rdx, -16(%rax)
    movq 24(%rsp), %rdx
    movq %rdx, -24(%rax)
    movq 8(%rsp), %rdx
    movq %rdx, -40(%rax)
    .if \has_error
    movl (%rsp), %edx
    movq %rdx, -48(%rax)
    subq $8, %rax
    .endif
    movq %r11, -48(%rax)
    movq G(S_RCX), %rdx
    movq %rdx, -56(%rax)
fast_\name\()_end:
    .if \is_page_fault
    movq G(S_CR2), %rdx
    movq %rdx, INFO_CR2(%rcx)
    .endif
    movb G(MASK(\n)), %dl
    movb %dl, INFO_MASK(%rcx)
    leaq -56(%rax), %rax
    movq G(ENTRY(\n)), %rdx
    movq %rdx, 8(%rsp)
    testb $2, 16(%rsp)
    jz 3f
    movb $1, G(GATE_VCPU + GATE_VCPU_MODE)
    swapgs
3:  movq $SEL_KERNEL_CS, 16(%rsp)
    andq $~GATE_RFLAGS_CLEARED, 24(%rsp)
    movq %rax, 32(%rsp)
    movq $SEL_KERNEL_DS, 40(%rsp)
    movq G(S_RAX), %rax
    movq G(S_RCX), %rcx
    movq G(S_RDX), %rdx
    addq $8, %rsp
    jmp gate_iretq
.endm

/* Undoing: registers as the entry found them, then the slow path. */
.macro BOUNCE_UNDO name, is_page_fault
fast_\name\()_undo:
    .if \is_page_fault
    movq G(S_CR2), %rdx
    movq %rdx, %cr2
    .endif
    movq G(S_RAX), %rax
    movq G(S_RCX), %rcx
    movq G(S_RDX), %rdx
    jmp gate_common
.endm

    BOUNCE pf, FAST_PF, 1, 1
    BOUNCE bp, FAST_BP, 0, 0
    BOUNCE de, FAST_DE, 0, 0
    BOUNCE 80, FAST_80, 0, 0
fast_code_end:

    BOUNCE_UNDO pf, 1
    BOUNCE_UNDO bp, 0
    BOUNCE_UNDO de, 0
    BOUNCE_UNDO 80, 0

.macro SYSCALL_UNDO name
fast_\name\()_undo:
    movq G(S_RAX), %rax
    movq G(S_RCX), %rcx
    movq G(S_RSP), %rsp
    jmp \name\()_slow
.endm

    SYSCALL_UNDO syscall
    SYSCALL_UNDO syscall32
fast_gs_fault:
    swapgs
fast_hypercall_undo:
    movq G(S_RAX), %rax
    movq G(S_RSP), %rsp
    jmp syscall_slow
fast_iret_undo:
    movq %rcx, %rsp
    movl $__HYPERVISOR_iret, %eax

/* The whole register block, and then C. */
.macro SYSCALL_SLOW name, cs_selector, how
\name\()_slow:
    movq %rsp, G(GATE_VCPU + GATE_VCPU_REGS + R_RSP)
    leaq G(GATE_VCPU + GATE_VCPU_REGS + R_RSP), %rsp
    pushq %r11
    pushq $\cs_selector
    pushq %rcx
    pushq $0
    movl $\how, 4(%rsp)
    SAVE_REGS
    movq $SEL_USER_DS, R_SS(%rsp)
    jmp gate_slow_path
.endm

    SYSCALL_SLOW syscall, SEL_USER_CS64, VEC_SYSCALL
    SYSCALL_SLOW syscall32, SEL_USER_CS32, VEC_SYSCALL32

fast_sysenter_undo:
    movq G(S_RAX), %rax
    movq G(S_RCX), %rcx
sysenter_slow:
    popq G(GATE_VCPU + GATE_VCPU_REGS + R_RFLAGS)
    leaq G(GATE_VCPU + GATE_VCPU_REGS + R_RFLAGS), %rsp
    pushq $SEL_USER_CS32
    pushq $0
    pushq $0
    movl $VEC_SYSENTER, 4(%rsp)
    SAVE_REGS
    movq $0, R_RSP(%rsp)
    movq $SEL_USER_DS, R_SS(%rsp)
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

/*
 * --- NMI, #MC, #DF, each on its own stack: may strike anywhere, so put back the root that was loaded. A guest's breakpoints
 * are off meanwhile: a #DB of ours could take the stack of one that the NMI interrupted ---
 */
    .balign 16
gate_paranoid:
    SAVE_REGS
    movq %dr7, %r12
    xorl %eax, %eax
    movq %rax, %dr7
    movq %cr3, %rbx
    movq %rsp, %rbp
    movq G(GATE_CONST + GATE_CONST_HYP_CR3), %rax
    movq G(GATE_CONST + GATE_CONST_NMI_RSP), %rsp
    movq %rax, %cr3
    movq %rbp, %rdi
    movq %rbx, %rsi
    HYP_CALL trap_nmi
    movq %rbp, %rsp
    movq %rbx, %cr3
    movq %r12, %dr7
    testb $3, R_CS(%rsp)
    jz 1f
    /* To the guest from the register block: another vCPU may have changed a descriptor, and IRETQ may fault. */
    movq %rsp, %rsi
    leaq G(GATE_VCPU + GATE_VCPU_REGS), %rdi
    movl $R_SIZE / 8, %ecx
    rep movsq
    leaq G(GATE_VCPU + GATE_VCPU_REGS), %rsp
1:  RESTORE_REGS
    jmp gate_iretq

/* --- back to the guest: %rdi = its root --- */
    .balign 16
gate_leave:
    movq %rdi, %cr3
    leaq G(GATE_VCPU + GATE_VCPU_REGS), %rsp
    RESTORE_REGS
gate_iretq:
    iretq
gate_text_finish:

    .section .text.gate_exit, "ax"
    .globl gate_exit
gate_exit:
    movabsq $GATE_ADDRESS(gate_leave), %rax
    JUMP_RAX

/* Running addresses, for the IDT and the SYSCALL MSRs. */
    .section .rodata
    .balign 8
    .globl gate_address_vectors, gate_address_syscall, gate_address_syscall32, gate_address_sysenter
gate_address_vectors: .quad GATE_ADDRESS(gate_vectors)
gate_address_syscall: .quad GATE_ADDRESS(gate_syscall)
gate_address_syscall32: .quad GATE_ADDRESS(gate_syscall32)
gate_address_sysenter: .quad GATE_ADDRESS(gate_sysenter)
