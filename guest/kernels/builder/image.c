// SPDX-License-Identifier: MIT
/*
 * A kernel's ELF image: its segments, and of its notes the three that matter here. Kernels described by the
 * older string section are not for this builder.
 */
#include "builder.h"

#include <xen/elfnote.h>

struct elf_header {
    uint8_t ident[16];
    uint16_t type, machine;
    uint32_t version;
    uint64_t entry, phoff, shoff;
    uint32_t flags;
    uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};

struct elf_segment {
    uint32_t type, flags;
    uint64_t offset, vaddr, paddr, filesz, memsz, align;
};

struct elf_note {
    uint32_t namesz, descsz, type;
};

#define SEGMENT_LOAD 1
#define SEGMENT_NOTE 4
#define ALIGN4(n) (((n) + 3) & ~3UL)

static void read_note(struct guest *guest, uint32_t type, const void *value) {
    unsigned long number;

    memcpy(&number, value, sizeof(number));
    if (type == XEN_ELFNOTE_VIRT_BASE)
        guest->virt_base = number;
    else if (type == XEN_ELFNOTE_ENTRY)
        guest->entry = number;
    else if (type == XEN_ELFNOTE_HYPERCALL_PAGE)
        guest->hypercall_page = number;
}

static void read_notes(struct guest *guest, const uint8_t *at, const uint8_t *end) {
    while (at + sizeof(struct elf_note) <= end) {
        const struct elf_note *note = (const void *)at;
        const uint8_t *value = at + sizeof(*note) + ALIGN4(note->namesz);

        if (note->descsz >= 8)
            read_note(guest, note->type, value);
        at = value + ALIGN4(note->descsz);
    }
}

static bool load_segment(struct guest *guest, const uint8_t *elf, const struct elf_segment *seg) {
    unsigned long end = (seg->paddr + seg->memsz + PAGE_SIZE - 1) >> PAGE_SHIFT;

    if (end > guest->nr_pages)
        return false;
    memcpy(guest->memory + seg->paddr, elf + seg->offset, seg->filesz);
    if (end > guest->image_end)
        guest->image_end = end;
    return true;
}

bool image_load(struct guest *guest, const uint8_t *elf, size_t size) {
    const struct elf_header *header = (const void *)elf;
    const struct elf_segment *seg = (const void *)(elf + header->phoff);

    if (size < sizeof(*header) || memcmp(header->ident, "\177ELF", 4))
        return false;
    guest->entry = header->entry;
    for (unsigned i = 0; i < header->phnum; i++, seg++) {
        if (seg->offset + seg->filesz > size)
            return false;
        if (seg->type == SEGMENT_NOTE)
            read_notes(guest, elf + seg->offset, elf + seg->offset + seg->filesz);
        if (seg->type == SEGMENT_LOAD && seg->memsz && !load_segment(guest, elf, seg))
            return false;
    }
    return guest->hypercall_page;
}
