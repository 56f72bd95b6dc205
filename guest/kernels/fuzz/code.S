/* SPDX-License-Identifier: MIT */
/* What C cannot say: segment loads, wild ways back, instructions with all their operands. Under a probe: faults end it. */
#include <xen/xen.h>

        .text
        .globl  code_ud, code_iret, code_run, code_load_segments, code_load_gs, code_far_return, code_flags
code_ud:
        ud2
        jmp     code_ud

        /*
         * code_iret(frame [rdi], flags [rsi]): the frame's five words, then flags, below a stack that entries from user
         * mode get too. A stack pointer of 0 stands for one of this stack, so that a fault has where to go.
         */
code_iret:
        mov     %rdi, %rbx
        mov     %rsi, %r12
        and     $~15, %rsp
        mov     $0xe02b, %edi
        mov     %rsp, %rsi
        call    hypercall_page + __HYPERVISOR_stack_switch * 32
        mov     24(%rbx), %rax
        test    %rax, %rax
        jnz     1f
        lea     -1024(%rsp), %rax
1:      pushq   32(%rbx)
        push    %rax
        pushq   16(%rbx)
        pushq   8(%rbx)
        pushq   0(%rbx)
        push    %r12
        jmp     hypercall_page + __HYPERVISOR_iret * 32

        /* code_run(code [rdi], regs [rsi]): rax, rcx, rdx, rbx, rsi and rdi are set, then the code is called. */
code_run:
        push    %rbx
        push    %rbp
        push    %r12
        mov     %rdi, %r12
        mov     0(%rsi), %rax
        mov     8(%rsi), %rcx
        mov     16(%rsi), %rdx
        mov     24(%rsi), %rbx
        mov     40(%rsi), %rdi
        mov     32(%rsi), %rsi
        call    *%r12
        cld
        pop     %r12
        pop     %rbp
        pop     %rbx
        ret

        /* code_load_segments(selector [edi], which [esi]): ds, es, fs, or ss and back */
code_load_segments:
        dec     %esi
        js      1f
        jz      2f
        dec     %esi
        jz      3f
        mov     %ss, %ax
        mov     %edi, %ss
        mov     %eax, %ss
        ret
1:      mov     %edi, %ds
        ret
2:      mov     %edi, %es
        ret
3:      mov     %edi, %fs
        ret

        /* code_load_gs(selector [edi], base [rsi]): and the base back, before anybody needs it */
code_load_gs:
        push    %rbx
        mov     %edi, %gs
        mov     $SEGBASE_GS_KERNEL, %edi
        call    hypercall_page + __HYPERVISOR_set_segment_base * 32
        pop     %rbx
        ret

        /* code_far_return(selector [edi]): to the next instruction; with a stack, which RPL 3 wants */
code_far_return:
        mov     %edi, %edi
        mov     %rsp, %rax
        push    $0xe02b
        push    %rax
        push    %rdi
        lea     1f(%rip), %rax
        push    %rax
        lretq
1:      ud2

        /* code_flags(flags [rdi]): some instructions with them, then the old ones */
code_flags:
        pushf
        push    %rdi
        popf
        nop
        mov     %rsp, %rax
        popf
        cld
        ret
        .section .note.GNU-stack, "", @progbits
