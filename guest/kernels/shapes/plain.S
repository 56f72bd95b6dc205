/* SPDX-License-Identifier: MIT */
/*
 * As small kernels: base 0 by omission, the entry point from the ELF header, feature string.
 */
#include <sdk/note.h>

        NOTE_STRING(XEN_ELFNOTE_GUEST_OS, "plain")
        NOTE_STRING(XEN_ELFNOTE_XEN_VERSION, "xen-3.0")
        NOTE_STRING(XEN_ELFNOTE_LOADER, "generic")
        NOTE_STRING(XEN_ELFNOTE_FEATURES, "!writable_page_tables|pae_pgdir_above_4gb")
        NOTE_STRING(XEN_ELFNOTE_PAE_MODE, "yes")
        NOTE_QUAD(XEN_ELFNOTE_HYPERCALL_PAGE, hypercall_page)
        .section .rodata
        .balign 8
        .globl  shape_p2m
shape_p2m:
        .quad   0
        .section .note.GNU-stack, "", @progbits
