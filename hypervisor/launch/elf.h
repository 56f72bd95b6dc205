/* SPDX-License-Identifier: MIT */
/* ELF64 as the System V ABI defines it: the parts an image loader reads. Packed: a file may have them anywhere. */
#ifndef LAUNCH_ELF_H
#define LAUNCH_ELF_H

#include <pv/types.h>

enum { ELF_X86_64 = 62, ELF_PT_LOAD = 1, ELF_PT_NOTE = 4, ELF_SHT_NOTE = 7 };

struct elf64_header {
    u8 ident[16];
    u16 type, machine;
    u32 version;
    u64 entry, phoff, shoff;
    u32 flags;
    u16 ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
} __packed;

struct elf64_segment {
    u32 type, flags;
    u64 offset, vaddr, paddr, filesz, memsz, align;
} __packed;

struct elf64_section {
    u32 name, type;
    u64 flags, addr, offset, size;
    u32 link, info;
    u64 addralign, entsize;
} __packed;

#endif
