/* SPDX-License-Identifier: MIT */
/*
 * The first instructions of the program, threads, and the return from a signal's handler.
 */
    .text
    .globl _start
_start:
    xorl %ebp, %ebp
    movq (%rsp), %rdi           /* argc */
    leaq 8(%rsp), %rsi          /* argv */
    andq $-16, %rsp
    call bench_main
    hlt

/* long thread_start(unsigned long flags, void *stack_top, int *tid, void (*entry)(void)): entry never returns */
    .globl thread_start
thread_start:
    movq %rcx, %r9
    movq %rdx, %r10             /* child's tid, cleared at its end */
    movl $56, %eax              /* clone */
    syscall
    testq %rax, %rax
    jnz 1f
    xorl %ebp, %ebp
    andq $-16, %rsp
    call *%r9
1:  ret

    .globl signal_return
signal_return:
    movl $15, %eax              /* rt_sigreturn */
    syscall

    .globl bench_mark_begin, bench_mark_end
bench_mark_begin:
    ret
    nop
bench_mark_end:
    ret

/* void spin(unsigned long rounds): two instructions each */
    .globl spin
    .balign 16
spin:
    dec %rdi
    jnz spin
    ret

    .section .note.GNU-stack, "", @progbits
