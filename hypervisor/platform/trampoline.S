/* SPDX-License-Identifier: MIT */
/*
 * The first instructions of another CPU: real mode at TRAMPOLINE_ADDRESS, straight to 64-bit mode on the low tables,
 * then to high memory and the CPU's own root and stack. It is copied there, so every address is computed from AT().
 *
 * On arrival: real mode, CS = TRAMPOLINE_ADDRESS >> 4, IP = 0, no stack. On leaving: jump to cpu_ap_main(c) with the
 * stack as after a call.
 */
#include "trampoline.h"

#define AT(label) (TRAMPOLINE_ADDRESS + (label) - trampoline_start)
#define BOX(offset) (TRAMPOLINE_ADDRESS + TRAMPOLINE_MAILBOX + (offset))

#define EFER 0xc0000080
#define EFER_LME_NXE 0x900
#define CR0_PE_ET_NE_WP_PG 0x80010031
#define CR4_PAE 0x20
#define CODE64 8
#define DATA 16

        .section .rodata.trampoline, "a"
        .balign 16
        .globl trampoline_start, trampoline_size
        .code16
trampoline_start:
        cli
        cld
        xor     %ax, %ax
        mov     %ax, %ds
        lgdtl   AT(gdt_pointer)
        mov     $CR4_PAE, %eax
        mov     %eax, %cr4
        mov     $(TRAMPOLINE_ADDRESS + 0x1000), %eax
        mov     %eax, %cr3
        mov     $EFER, %ecx
        mov     $EFER_LME_NXE, %eax
        xor     %edx, %edx
        wrmsr
        mov     $CR0_PE_ET_NE_WP_PG, %eax
        mov     %eax, %cr0              /* protected mode, paging and so long mode, at once */
        ljmpl   $CODE64, $AT(long_mode)

        .code64
long_mode:
        mov     $DATA, %eax
        mov     %eax, %ds
        mov     %eax, %es
        mov     %eax, %ss
        xor     %eax, %eax
        mov     %eax, %fs
        mov     %eax, %gs
        movl    $1, BOX(MAILBOX_ARRIVED)
        mov     BOX(MAILBOX_STACK), %rsp
        mov     BOX(MAILBOX_CPU), %rdi
        mov     BOX(MAILBOX_ENTRY), %rax
        mov     BOX(MAILBOX_CR3), %rdx
        movabs  $trampoline_high, %rcx  /* the next page table does not map this page */
        jmp     *%rcx

        .balign 8
gdt:    .quad   0
        .quad   0x00af9b000000ffff      /* CODE64: 64-bit, DPL 0 */
        .quad   0x00cf93000000ffff      /* DATA */
gdt_pointer:
        .word   . - gdt - 1
        .long   AT(gdt)
trampoline_end:
        .balign 4
trampoline_size:
        .long   trampoline_end - trampoline_start

        .text
trampoline_high:
        mov     %rdx, %cr3
        xor     %ebp, %ebp
        push    %rbp                    /* no return address */
        jmp     *%rax

        .section .note.GNU-stack, "", @progbits
