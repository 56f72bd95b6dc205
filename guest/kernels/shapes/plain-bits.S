/* SPDX-License-Identifier: MIT */
/*
 * Base 0, and features as bits only.
 */
#include <sdk/note.h>

        NOTE_STRING(XEN_ELFNOTE_GUEST_OS, "plain bits")
        NOTE_STRING(XEN_ELFNOTE_XEN_VERSION, "xen-3.0")
        NOTE_STRING(XEN_ELFNOTE_LOADER, "generic")
        /* writable_page_tables, pae_pgdir_above_4gb, dom0 */
        NOTE_LONG(XEN_ELFNOTE_SUPPORTED_FEATURES, 0x811)
        NOTE_STRING(XEN_ELFNOTE_PAE_MODE, "yes")
        NOTE_LONG(XEN_ELFNOTE_HYPERCALL_PAGE, hypercall_page)
        .section .rodata
        .balign 8
        .globl  shape_p2m
shape_p2m:
        .quad   0
        .section .note.GNU-stack, "", @progbits
