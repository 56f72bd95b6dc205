/* SPDX-License-Identifier: MIT */
/*
 * The first instruction of a kernel: the hypervisor passes start_info in rsi and a stack nobody needs.
 * The hypercall page is a hole in the text which the hypervisor fills before it starts us.
 */
        .section .text.start, "ax"
        .globl  _start
_start:
        cld
        lea     boot_stack_top(%rip), %rsp
        mov     %rsi, %rdi
        xor     %ebp, %ebp
        call    start_kernel
        ud2

        .section .text.hypercall_page, "ax"
        .balign 4096
        .globl  hypercall_page
hypercall_page:
        .fill   4096, 1, 0xcc

        .section .bss
        .balign 4096
        .globl  boot_stack_bottom, boot_stack_top
boot_stack_bottom:
        .skip   32768
boot_stack_top:
        .section .note.GNU-stack, "", @progbits
