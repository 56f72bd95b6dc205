/* SPDX-License-Identifier: MIT */
/*
 * What runs in ring 3: one page of position-independent code, copied to user addresses. Each piece ends in
 * a system call. And the kernel's side of leaving by ways the SDK does not use.
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
piece user_int80
        int     $0x80
        ud2
piece user_read
        mov     (%rdi), %rax
        syscall
        ud2
piece user_write
        mov     %rsi, (%rdi)
        syscall
        ud2
piece user_ud
        ud2
piece user_cli
        cli
        syscall
piece user_in
        in      $0x60, %al
        syscall
piece user_hlt
        hlt
        syscall
piece user_sysenter
        pushfq
        orl     $0x4000, (%rsp)
        popfq
        sysenter
        ud2
piece user_int81
        int     $0x81
        syscall
piece user_gs
        mov     %gs:0, %rax
        syscall
piece user_fs
        mov     %fs:0, %rax
        syscall
piece user_jump
        jmp     *%rdi
piece user_wait
        incq    8(%rdi)
        cmpq    $0, (%rdi)
        je      user_wait
        syscall
piece user_icebp
        .byte   0xf1
        syscall
piece user_int14
        int     $14
        syscall
piece user_mf
        fninit
        push    $0x37b
        fldcw   (%rsp)
        fld1
        fldz
        fdivrp
        fwait
        syscall
piece user_step
        nop
        nop
        ud2
        .code32
piece user_compat
        mov     $0x32, %eax
        inc     %eax
        int     $0x80
        ud2
piece user_into
        mov     $0x7fffffff, %eax
        inc     %eax
        into
        int     $0x80
piece user_bound
        push    $0
        push    $0
        bound   %eax, (%esp)
        int     $0x80
        .code64
user_code_end:

        .text
        /* void sysret_enter(frame [rdi]): to user mode as after a system call, rcx and r11 being lost. */
        .globl  sysret_enter
sysret_enter:
        mov     %rdi, %rbx
        and     $~15, %rsp
        mov     $0xe02b, %edi
        mov     %rsp, %rsi
        call    hypercall_page + __HYPERVISOR_stack_switch * 32
        mov     %rbx, %rsi
        sub     $5 * 8, %rsp
        mov     %rsp, %rdi
        mov     $5, %ecx
        rep movsq
        push    $VGCF_in_syscall
        jmp     hypercall_page + __HYPERVISOR_iret * 32

        /* Kernel to kernel, by the instruction and with the selector of user mode. */
        .globl  direct_iretq, direct_lretq, direct_here
direct_iretq:
        mov     %rsp, %rax
        push    $0xe02b
        push    %rax
        pushfq
        push    $0xe033
        lea     direct_here(%rip), %rax
        push    %rax
        iretq
direct_lretq:
        push    $0xe033
        lea     direct_here(%rip), %rax
        push    %rax
        lretq
direct_here:
        mov     $__HYPERVISOR_xen_version, %eax
        xor     %edi, %edi
        xor     %esi, %esi
        call    hypercall_page + __HYPERVISOR_xen_version * 32
        int3
        ret
        .section .note.GNU-stack, "", @progbits
