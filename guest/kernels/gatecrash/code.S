/* SPDX-License-Identifier: MIT */
/*
 * User code that enters the kernel in every way, the kernel's own traps with all registers known, handlers that note the
 * flags they were entered with, and a return to where one is.
 */
#include <xen/xen.h>

        .macro  piece name
        .globl  \name
\name:
        .endm

        .text
        .balign 4096
        .globl  user_code, user_code_end
user_code:
piece user_syscall
        syscall
        ud2
piece user_ud
        ud2
piece user_int80
        int     $0x80
        ud2
piece user_int3
        int3
        ud2
piece user_divide
        divl    1f(%rip)
        ud2
piece user_load
        mov     (%rdi), %rdi
        syscall
        ud2
piece user_load_ss
        mov     (%rdi), %ss
        syscall
        ud2
piece user_load_ss_int3
        mov     (%rdi), %ss
        int3
        ud2
        .code32
piece user_syscall32
        syscall
        ud2
piece user_sysenter
        sysenter
        ud2
piece user_int80_32
        int     $0x80
        ud2
        .code64
        .balign 4                       /* it is read with AC set */
1:      .long   0
user_code_end:

        .text
        /* All registers but rsp get a pattern, the instruction traps, and those that differ afterwards are counted. */
        .macro  trapping name insn:vararg
        .globl  \name
\name:
        push    %rbx
        push    %rbp
        push    %r12
        push    %r13
        push    %r14
        push    %r15
        i = 0
        .irp    reg, %rax, %rbx, %rcx, %rdx, %rsi, %rbp, %r8, %r9, %r10, %r11, %r12, %r13, %r14, %r15
        mov     $0x11110000 + i, \reg
        i = i + 1
        .endr
        movabs  $0x0000200000030000, %rdi
        \insn
        push    $0
        i = 0
        .irp    reg, %rax, %rbx, %rcx, %rdx, %rsi, %rbp, %r8, %r9, %r10, %r11, %r12, %r13, %r14, %r15
        cmp     $0x11110000 + i, \reg
        je      9f
        incq    (%rsp)
9:
        i = i + 1
        .endr
        pop     %rax
        pop     %r15
        pop     %r14
        pop     %r13
        pop     %r12
        pop     %rbp
        pop     %rbx
        ret
        .endm

        trapping kernel_int3, int3
        trapping kernel_int80, int $0x80
        trapping kernel_divide, divl zero(%rip)
        trapping kernel_load, mov (%rdi), %rdi
        .balign 8
zero:   .long   0

        .globl  iret_here
iret_here:
        mov     %rsp, %rax
        push    $0xe02b
        push    %rax
        push    %rsi
        push    %rdi
        lea     1f(%rip), %rax
        push    %rax
        push    $0
        jmp     hypercall_page + __HYPERVISOR_iret * 32
1:      pushfq
        pop     %rax
        cld
        ret

        /* void user_on_stack(kernel stack [rdi], frame of 5 words [rsi]): ends in a probe's recovery. */
        .globl  user_on_stack
user_on_stack:
        mov     %rsi, %rbx
        mov     %rdi, %rsi
        mov     $0xe02b, %edi
        and     $~15, %rsp
        call    hypercall_page + __HYPERVISOR_stack_switch * 32
        mov     %rbx, %rsi
        sub     $5 * 8, %rsp
        mov     %rsp, %rdi
        mov     $5, %ecx
        rep movsq
        push    $0
        jmp     hypercall_page + __HYPERVISOR_iret * 32

        /* unsigned call_on_stack(stack [rdi], function [rsi]) */
        .globl  call_on_stack
call_on_stack:
        push    %rbx
        mov     %rsp, %rbx
        mov     %rdi, %rsp
        call    *%rsi
        mov     %rbx, %rsp
        pop     %rbx
        ret

        /* One trapping instruction, on this stack and on no other word of it. */
        .globl  trap_on_stack
trap_on_stack:
        mov     %rdi, %rsp
        cmp     $1, %esi
        jb      1f
        je      2f
        cmp     $3, %esi
        jb      3f
        je      4f
        ud2
1:      int3
2:      int     $0x80
3:      divl    zero(%rip)
4:      mov     0, %rax
        ud2

        /* The kernel returns to itself with the selectors of user mode, and traps there. */
        .globl  ring3_int3
ring3_int3:
        mov     %rsp, %rax
        push    $0xe02b
        push    %rax
        pushfq
        push    $0xe033
        lea     1f(%rip), %rax
        push    %rax
        iretq
1:      int3
        ret

        /*
         * A stack segment, in each way that a kernel can load it [edi: selector], then an instruction that ring 1 may not
         * execute and that nobody emulates.
         */
        .globl  stack_by_mov, stack_by_lss, stack_by_iretq, lldt_at_mov, lldt_at_lss, lldt_at_iretq, with_stack_segment
stack_by_mov:
        xor     %eax, %eax
        mov     %edi, %ss
lldt_at_mov:
        lldt    %ax
        ret
stack_by_lss:
        xor     %eax, %eax
        push    %rax
        mov     %edi, 4(%rsp)
        lss     (%rsp), %ecx
        pop     %rcx
lldt_at_lss:
        lldt    %ax
        ret
stack_by_iretq:
        xor     %eax, %eax
        mov     %rsp, %rdx
        push    %rdi
        push    %rdx
        pushfq
        mov     %cs, %ecx
        push    %rcx
        lea     lldt_at_iretq(%rip), %rcx
        push    %rcx
        iretq
lldt_at_iretq:
        lldt    %ax
        ret

        /* unsigned with_stack_segment(selector [edi], function [rsi]): calls it, then loads the old segment */
with_stack_segment:
        push    %rbx
        mov     %ss, %ebx
        mov     %edi, %ss
        call    *%rsi
        mov     %ebx, %ss
        pop     %rbx
        ret

        .macro  noting name handler
        .globl  \name
\name:
        pushfq
        pop     entry_flags(%rip)
        jmp     \handler
        .endm
        noting  noting_de, entry_exception_0
        noting  noting_bp, entry_exception_3
        noting  noting_pf, entry_exception_14
        noting  noting_int80, entry_int80
        noting  noting_syscall, entry_syscall
        noting  noting_syscall32, entry_syscall
        noting  noting_sysenter, entry_syscall
        .bss
        .balign 8
        .globl  entry_flags
entry_flags:
        .quad   0
        .section .note.GNU-stack, "", @progbits
