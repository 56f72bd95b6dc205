/* SPDX-License-Identifier: MIT */
/* User code for the round trip: one system call. */
        .text
        .globl  bench_user_syscall, bench_user_end
bench_user_syscall:
        syscall
        ud2
bench_user_end:
        .section .note.GNU-stack, "", @progbits
