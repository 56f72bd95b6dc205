/* SPDX-License-Identifier: MIT */
/* The little that C cannot say: raw iret frames, faults on chosen stacks, and code for ring 3. */
        .text
        .globl  code_raw_iret, code_ud, code_flags, code_on_stack, code_user
code_raw_iret:
        mov     %rdi, %rsp
        push    $0
        jmp     hypercall_page + 23 * 32
code_ud:
        ud2
        ret
code_flags:
        pushfq
        pop     %rax
        ud2
code_on_stack:
        mov     %rdi, %rsp
        ud2
        .balign 64
code_user:
        syscall
        jmp     code_user
        .section .note.GNU-stack, "", @progbits
