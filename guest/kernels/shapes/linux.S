/* SPDX-License-Identifier: MIT */
/*
 * As Linux: everything by note, p2m at its own address, ramdisk outside the initial mapping, feature string
 * and the bits of what is supported.
 */
#include <sdk/note.h>

        NOTE_STRING(XEN_ELFNOTE_GUEST_OS, "linux-like")
        NOTE_STRING(XEN_ELFNOTE_GUEST_VERSION, "2.6")
        NOTE_STRING(XEN_ELFNOTE_XEN_VERSION, "xen-3.0")
        NOTE_QUAD(XEN_ELFNOTE_VIRT_BASE, kernel_virt_base)
        NOTE_QUAD(XEN_ELFNOTE_INIT_P2M, 0x8000000000)
        NOTE_QUAD(XEN_ELFNOTE_ENTRY, _start)
        NOTE_STRING(XEN_ELFNOTE_FEATURES, "!writable_page_tables|pae_pgdir_above_4gb")
        /* writable_page_tables, pae_pgdir_above_4gb, mmu_pt_update_preserve_ad, dom0 */
        NOTE_LONG(XEN_ELFNOTE_SUPPORTED_FEATURES, 0x831)
        NOTE_STRING(XEN_ELFNOTE_PAE_MODE, "yes")
        NOTE_STRING(XEN_ELFNOTE_LOADER, "generic")
        NOTE_LONG(XEN_ELFNOTE_SUSPEND_CANCEL, 1)
        NOTE_LONG(XEN_ELFNOTE_MOD_START_PFN, 1)
        NOTE_QUAD(XEN_ELFNOTE_HV_START_LOW, 0xffff800000000000)
        NOTE_QUAD(XEN_ELFNOTE_PADDR_OFFSET, 0)
        NOTE_QUAD(XEN_ELFNOTE_HYPERCALL_PAGE, hypercall_page)
        .section .rodata
        .balign 8
        .globl  shape_p2m
shape_p2m:
        .quad   0x8000000000
        .section .note.GNU-stack, "", @progbits
