/* SPDX-License-Identifier: MIT */
/*
 * No notes: the older string section, with the hypercall page as a frame number from the virtual base.
 */
#include <sdk/note.h>

        .section __xen_guest, "a"
        .ascii  "GUEST_OS=string,XEN_VER=xen-3.0,VIRT_BASE=0xffffffff80000000,ELF_PADDR_OFFSET=0x0"
        .ascii  ",VIRT_ENTRY=0xffffffff80100000,HYPERCALL_PAGE=0x101,PAE=yes,LOADER=generic"
        .asciz  ",FEATURES=writable_page_tables|pae_pgdir_above_4gb"
        .section .rodata
        .balign 8
        .globl  shape_p2m
shape_p2m:
        .quad   0
        .section .note.GNU-stack, "", @progbits
