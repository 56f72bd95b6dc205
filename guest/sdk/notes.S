/* SPDX-License-Identifier: MIT */
/*
 * The notes of an ordinary kernel: high virtual base, entry point and hypercall page given as addresses.
 */
#include <sdk/note.h>

        NOTE_STRING(XEN_ELFNOTE_GUEST_OS, "Paravane guest SDK")
        NOTE_STRING(XEN_ELFNOTE_GUEST_VERSION, "1")
        NOTE_STRING(XEN_ELFNOTE_XEN_VERSION, "xen-3.0")
        NOTE_STRING(XEN_ELFNOTE_LOADER, "generic")
        NOTE_STRING(XEN_ELFNOTE_PAE_MODE, "yes")
        NOTE_STRING(XEN_ELFNOTE_FEATURES, "writable_page_tables|pae_pgdir_above_4gb")
        NOTE_QUAD(XEN_ELFNOTE_VIRT_BASE, kernel_virt_base)
        NOTE_QUAD(XEN_ELFNOTE_PADDR_OFFSET, 0)
        NOTE_QUAD(XEN_ELFNOTE_ENTRY, _start)
        NOTE_QUAD(XEN_ELFNOTE_HYPERCALL_PAGE, hypercall_page)
        .section .note.GNU-stack, "", @progbits
