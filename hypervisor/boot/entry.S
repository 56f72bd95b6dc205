/* SPDX-License-Identifier: MIT */
/*
 * The first instructions: Multiboot 1, Multiboot 2 and PVH loaders all enter here in 32-bit protected mode without
 * paging. Refuses with a sentence on the serial line and the VGA screen where the CPU lacks long mode or NX; else builds
 * boot page tables, enters 64-bit mode at the top 2 GiB and calls boot_main(kind, info).
 *
 * Register use: %ebp: loader kind, %ebx: its information block (physical).
 */
#include <pv/boot.h>
#include <pv/gate.h>

#define PHYS(sym) (sym - 0xffffffff80000000)
#define MB1_MAGIC 0x1badb002
#define MB1_FLAGS 0x00010003 /* page-aligned modules, memory map, address fields */
#define MB2_MAGIC 0xe85250d6

    .section .boot.header, "a"
    .balign 8
mb1_header:
    .long MB1_MAGIC, MB1_FLAGS, -(MB1_MAGIC + MB1_FLAGS)
    .long PHYS(mb1_header), PHYS(image_start), PHYS(image_data_end), PHYS(image_end), PHYS(boot_entry)
    .balign 8
mb2_header:
    .long MB2_MAGIC, 0, mb2_header_end - mb2_header, -(MB2_MAGIC + (mb2_header_end - mb2_header))
    .short 1, 0 /* information request: command line, modules, memory map, EFI memory map, both RSDPs */
    .long 32
    .long 1, 3, 6, 14, 15, 17
    .short 3, 0 /* entry address */
    .long 12, PHYS(boot_entry), 0
    .short 6, 0 /* modules page-aligned */
    .long 8
    .short 5, 1 /* pixels of any kind, if it can; else text */
    .long 20
    .long 0, 0, 0
    .balign 8
    .short 0, 0
    .long 8
mb2_header_end:

    .section .note.paravane, "a", @note
    .balign 4
    .long 4, 4, 18 /* XEN_ELFNOTE_PHYS32_ENTRY: the PVH entry */
    .asciz "Xen"
    .long PHYS(pvh_entry)

    .section .boot.text, "ax"
    .code32
    .globl boot_entry
pvh_entry:
    movl $BOOT_PVH, %ebp
    jmp boot_start
boot_entry:
    movl $BOOT_MULTIBOOT1, %ebp
    cmpl $0x2badb002, %eax
    je boot_start
    movl $BOOT_MULTIBOOT2, %ebp
    cmpl $0x36d76289, %eax
    je boot_start
    movl $PHYS(msg_loader), %esi
    jmp boot_refuse

boot_start:
    cld
    movl $PHYS(boot_stack_top), %esp
    /* Long mode and NX, or a sentence. */
    movl %ebx, %edi
    movl $0x80000000, %eax
    cpuid
    cmpl $0x80000001, %eax
    movl $PHYS(msg_long_mode), %esi
    jb boot_refuse
    movl $0x80000001, %eax
    cpuid
    btl $29, %edx
    jnc boot_refuse
    btl $20, %edx
    movl $PHYS(msg_nx), %esi
    jnc boot_refuse
    movl %edi, %ebx

    /* Boot tables: 4 GiB at 0 and at the direct map, 1 GiB of them at the top 2 GiB. */
    movl $PHYS(boot_l2), %edi
    movl $0x83, %eax
    movl $2048, %ecx
1:  movl %eax, (%edi)
    addl $8, %edi
    addl $0x200000, %eax
    loop 1b
    movl $PHYS(boot_l3) , %edi
    movl $PHYS(boot_l2) + 3, %eax
    movl $4, %ecx
2:  movl %eax, (%edi)
    addl $8, %edi
    addl $4096, %eax
    loop 2b
    movl $PHYS(boot_l2) + 3, PHYS(boot_l3_top) + 510 * 8
    movl $PHYS(boot_l3) + 3, PHYS(boot_l4)
    movl $PHYS(boot_l3) + 3, PHYS(boot_l4) + 272 * 8
    movl $PHYS(boot_l3_top) + 3, PHYS(boot_l4) + 511 * 8

    .globl boot_enter_long_mode
boot_enter_long_mode:
    movl $0x20, %eax /* CR4.PAE */
    movl %eax, %cr4
    movl $PHYS(boot_l4), %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx
    rdmsr
    orl $0x901, %eax /* SCE, LME, NXE */
    wrmsr
    movl $0x80010031, %eax /* PG, WP, NE, ET, PE */
    movl %eax, %cr0
    lgdt PHYS(boot_gdt_pointer)
    ljmp $8, $PHYS(boot_long)

/* %esi: a sentence. Prints it on COM1 and the VGA screen and stops. */
boot_refuse:
    movl $0xb8000, %edi
1:  lodsb
    testb %al, %al
    jz 3f
    movb $0x0f, %ah
    movw %ax, (%edi)
    addl $2, %edi
    movl %eax, %ecx
    movw $0x3fd, %dx
2:  inb %dx, %al
    testb $0x20, %al
    jz 2b
    movl %ecx, %eax
    movw $0x3f8, %dx
    outb %al, %dx
    jmp 1b
3:  cli
    hlt
    jmp 3b

msg_loader:
    .asciz "Paravane can't start: it was not entered by a Multiboot 1, Multiboot 2 or PVH loader.\r\n"
msg_long_mode:
    .asciz "Paravane can't run on this machine: its processor has no 64-bit mode.\r\n"
msg_nx:
    .asciz "Paravane can't run on this machine: its processor has no NX (execute-disable) bit.\r\n"

    .code64
boot_long:
    movabsq $boot_high, %rax
    jmp *%rax
boot_high:
    movq $boot_stack_top, %rsp
    xorl %eax, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %fs
    movl %eax, %gs
    movl %eax, %ss
    movl %ebp, %edi
    movl %ebx, %esi
    xorl %ebp, %ebp
    call boot_main
4:  cli
    hlt
    jmp 4b

    .balign 8
    .globl boot_gdt_pointer
boot_gdt:
    .quad 0
    .quad 0x00af9a000000ffff
    .quad 0x00cf92000000ffff
boot_gdt_pointer:
    .short boot_gdt_pointer - boot_gdt - 1
    .long PHYS(boot_gdt), 0

    .section .bss
    .balign 4096
    .globl boot_l4
boot_l4: .skip 4096
boot_l3: .skip 4096
boot_l3_top: .skip 4096
boot_l2: .skip 4 * 4096
    .globl boot_stack_bottom, boot_stack_top
boot_stack_bottom: .skip 16384
boot_stack_top:
