/* SPDX-License-Identifier: MIT */
/*
 * ELF notes for assembly files: NOTE_STRING, NOTE_LONG and NOTE_QUAD, each with a type of <xen/elfnote.h>.
 */
#ifndef SDK_NOTE_H
#define SDK_NOTE_H

#include <xen/elfnote.h>

        .macro  elf_note_begin type
        .pushsection .note.xen, "a", @note
        .balign 4
        .long   2f - 1f, 4f - 3f, \type
1:      .asciz  "Xen"
2:      .balign 4
        .endm

#define NOTE_STRING(type, text) elf_note_begin type ; 3: .asciz text ; 4: .balign 4 ; .popsection
#define NOTE_LONG(type, value) elf_note_begin type ; 3: .long value ; 4: .popsection
#define NOTE_QUAD(type, value) elf_note_begin type ; 3: .quad value ; 4: .popsection

#endif
