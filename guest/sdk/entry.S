/* SPDX-License-Identifier: MIT */
/*
 * Entries from the hypervisor and the way back. On each entry the hypervisor has pushed, top of stack first:
 *
 *      rcx, r11, [error code, for the vectors that have one], rip, cs, rflags, rsp, ss
 *
 * and for the failsafe callback ds, es, fs, gs between r11 and rip. The stubs bring all of them to one
 * shape, struct regs of <sdk/trap.h>. The way back is always the iret hypercall: its page entry pushes
 * rcx, r11 and rax itself, so it is jumped to with a flags word and the frame on the stack.
 */
#include <xen/xen.h>

        .macro  stub name vector error
        .globl  \name
\name:
        pop     %rcx
        pop     %r11
        .ifc    \error, failsafe
        add     $32, %rsp
        .endif
        .ifnc   \error, yes
        push    $0
        .endif
        push    $\vector
        jmp     entry_common
        .endm

        .text
entry_common:
        push    %rdi
        push    %rsi
        push    %rdx
        push    %rcx
        push    %rax
        push    %r8
        push    %r9
        push    %r10
        push    %r11
        push    %rbx
        push    %rbp
        push    %r12
        push    %r13
        push    %r14
        push    %r15
        cld
        mov     %rsp, %rdi
        mov     %rsp, %rbp
        and     $~15, %rsp
        call    trap_dispatch
        mov     %rbp, %rsp
entry_return:
        pop     %r15
        pop     %r14
        pop     %r13
        pop     %r12
        pop     %rbp
        pop     %rbx
        pop     %r11
        pop     %r10
        pop     %r9
        pop     %r8
        pop     %rax
        pop     %rcx
        pop     %rdx
        pop     %rsi
        pop     %rdi
        add     $16, %rsp
        push    $0
        jmp     hypercall_page + __HYPERVISOR_iret * 32

        stub    entry_event, 0x100, no
        stub    entry_syscall, 0x101, no
        stub    entry_failsafe, 0x102, failsafe
        stub    entry_int80, 0x80, no
        stub    entry_int81, 0x81, no

        /* One stub for each exception; those in the list push an error code. */
        .altmacro
        .macro  exception n
        .if     (\n == 8) || (\n >= 10 && \n <= 14) || (\n == 17) || (\n == 21)
        stub    entry_exception_\n, \n, yes
        .else
        stub    entry_exception_\n, \n, no
        .endif
        .endm
        .set    i, 0
        .rept   32
        exception %i
        .set    i, i + 1
        .endr

        .macro  exception_address n
        .quad   entry_exception_\n
        .endm
        .section .data
        .balign 8
        .globl  entry_exceptions
entry_exceptions:
        .set    i, 0
        .rept   32
        exception_address %i
        .set    i, i + 1
        .endr

        /*
         * bool probe_enter(struct probe *p [rdi], void (*fn)(void *) [rsi], void *arg [rdx])
         * What it takes to return from here is noted in p, not on this stack: a trap may come after the return, when
         * its frame lies where ours was.
         */
        .text
        .globl  probe_enter
probe_enter:
        mov     %rbx, 0(%rdi)
        mov     %rbp, 8(%rdi)
        mov     %r12, 16(%rdi)
        mov     %r13, 24(%rdi)
        mov     %r14, 32(%rdi)
        mov     %r15, 40(%rdi)
        lea     8(%rsp), %rax
        mov     %rax, 48(%rdi)
        mov     0(%rsp), %rax
        mov     %rax, 56(%rdi)
        movb    $1, 64(%rdi)
        push    %rdi
        mov     %rdx, %rdi
        call    *%rsi
        pop     %rdi
        mov     0(%rdi), %rbx
        mov     8(%rdi), %rbp
        mov     16(%rdi), %r12
        mov     24(%rdi), %r13
        mov     32(%rdi), %r14
        mov     40(%rdi), %r15
        mov     $1, %eax
        cld
        ret

        /*
         * void user_enter(void *regs [rdi]): leaves from a copy of the registers on this stack, and has the
         * next entry from user mode arrive on top of that copy. Never returns: a probe ends it.
         */
        .globl  user_enter
user_enter:
        mov     %rdi, %rbx
        and     $~15, %rsp
        mov     $0xe02b, %edi
        mov     %rsp, %rsi
        call    hypercall_page + __HYPERVISOR_stack_switch * 32
        mov     %rbx, %rsi
        sub     $22 * 8, %rsp
        mov     %rsp, %rdi
        mov     $22, %ecx
        rep movsq
        jmp     entry_return

        /* The first instruction of another vCPU: rdi is its struct cpu, its stack is set. */
        .globl  entry_vcpu
entry_vcpu:
        xor     %ebp, %ebp
        call    cpu_main
        ud2
        .section .note.GNU-stack, "", @progbits
