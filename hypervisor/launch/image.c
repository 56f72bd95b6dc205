// SPDX-License-Identifier: MIT
// What a PV kernel says about itself: an ELF64 executable with Xen notes, or with the older __xen_guest string section.
// The file is untrusted: every offset is checked against its size before use.
#include "internal_host.h"

#include "elf.h"
#include <xen/elfnote.h>

static bool in_file(const struct kernel_image *k, u64 offset, u64 n) {
    return n <= k->size && offset <= k->size - n;
}

static const struct elf64_header *header_of(const struct kernel_image *k) {
    return (const void *)k->data;
}

static const struct elf64_segment *segment(const struct kernel_image *k, u32 i) {
    return (const void *)(k->data + header_of(k)->phoff + i * sizeof(struct elf64_segment));
}

static const struct elf64_section *section(const struct kernel_image *k, u32 i) {
    return (const void *)(k->data + header_of(k)->shoff + i * sizeof(struct elf64_section));
}

static const char *check_header(const struct kernel_image *k) {
    const struct elf64_header *h = header_of(k);

    if (k->size < sizeof(*h) || memcmp(h->ident, "\177ELF", 4) != 0)
        return "the kernel is no ELF file (a compressed image is unpacked with paravane-unpack first)";
    if (h->ident[4] != 2 || h->machine != ELF_X86_64)
        return "the kernel is no 64-bit x86 ELF file";
    if (h->phentsize != sizeof(struct elf64_segment) ||
        !in_file(k, h->phoff, (u64)h->phnum * sizeof(struct elf64_segment)))
        return "the kernel's program headers lie outside the file";
    if (h->shnum && (h->shentsize != sizeof(struct elf64_section) ||
                     !in_file(k, h->shoff, (u64)h->shnum * sizeof(struct elf64_section))))
        return "the kernel's section headers lie outside the file";
    return NULL;
}

/* --- ELF notes --- */

static u64 note_number(const u8 *desc, u32 size) {
    u64 value = 0;

    memcpy(&value, desc, MIN(size, 8u));
    return value;
}

struct notes {
    bool any, have_base, have_paddr_offset, have_entry;
    u64 paddr_offset;
};

static void take_note(struct kernel_image *k, struct notes *n, u32 type, const u8 *desc, u32 size) {
    u64 value = note_number(desc, size);

    n->any = true;
    switch (type) {
    case XEN_ELFNOTE_ENTRY:
        k->entry = value;
        n->have_entry = true;
        break;
    case XEN_ELFNOTE_HYPERCALL_PAGE:
        k->hypercall_page = value;
        break;
    case XEN_ELFNOTE_VIRT_BASE:
        k->virt_base = value;
        n->have_base = true;
        break;
    case XEN_ELFNOTE_PADDR_OFFSET:
        n->paddr_offset = value;
        n->have_paddr_offset = true;
        break;
    case XEN_ELFNOTE_INIT_P2M:
        k->init_p2m = value;
        break;
    case XEN_ELFNOTE_MOD_START_PFN:
        k->mod_start_pfn = value != 0;
        break;
    default:
        break;
    }
}

struct elf_note {
    u32 name_size, desc_size, type;
} __packed;

static void scan_notes(struct kernel_image *k, struct notes *n, u64 offset, u64 size) {
    const u8 *p = k->data + offset, *end = p + size;

    while ((u64)(end - p) >= sizeof(struct elf_note)) {
        const struct elf_note *note = (const void *)p;
        u64 name = ALIGN_UP((u64)note->name_size, 4ul), desc = ALIGN_UP((u64)note->desc_size, 4ul);

        p += sizeof(*note);
        if (name + note->desc_size > (u64)(end - p))
            return;
        if (note->name_size == 4 && !memcmp(p, "Xen", 4))
            take_note(k, n, note->type, p + name, note->desc_size);
        if (name + desc > (u64)(end - p))
            return;
        p += name + desc;
    }
}

static void find_notes(struct kernel_image *k, struct notes *n) {
    for (u32 i = 0; i < header_of(k)->phnum; i++)
        if (segment(k, i)->type == ELF_PT_NOTE && in_file(k, segment(k, i)->offset, segment(k, i)->filesz))
            scan_notes(k, n, segment(k, i)->offset, segment(k, i)->filesz);
    for (u32 i = 0; !n->any && i < header_of(k)->shnum; i++)
        if (section(k, i)->type == ELF_SHT_NOTE && in_file(k, section(k, i)->offset, section(k, i)->size))
            scan_notes(k, n, section(k, i)->offset, section(k, i)->size);
}

/* --- the __xen_guest section: KEY=VALUE,KEY=VALUE --- */

static bool key_is(const char *p, u64 n, const char *key, u64 *value) {
    u64 len = strlen(key);
    char number[20];

    if (n <= len || strncmp(p, key, len) != 0 || p[len] != '=')
        return false;
    memset(number, 0, sizeof(number));
    memcpy(number, p + len + 1, MIN(n - len - 1, sizeof(number) - 1));
    *value = strtoull(number, NULL, 0);
    return true;
}

static void take_pair(struct kernel_image *k, struct notes *n, const char *p, u64 len) {
    u64 value;

    n->have_base |= key_is(p, len, "VIRT_BASE", &k->virt_base);
    n->have_entry |= key_is(p, len, "VIRT_ENTRY", &k->entry);
    n->have_paddr_offset |= key_is(p, len, "ELF_PADDR_OFFSET", &n->paddr_offset);
    key_is(p, len, "INIT_P2M", &k->init_p2m);
    if (key_is(p, len, "HYPERCALL_PAGE", &value))
        k->hypercall_page = k->virt_base + (value << PAGE_SHIFT);
}

static void scan_guest_section(struct kernel_image *k, struct notes *n, const char *p, u64 size) {
    while (size && *p) {
        u64 len = 0;

        while (len < size && p[len] && p[len] != ',')
            len++;
        n->any = true;
        take_pair(k, n, p, len);
        len = MIN(len + 1, size);
        p += len;
        size -= len;
    }
}

static bool section_named(const struct kernel_image *k, u32 i, const char *name) {
    const struct elf64_header *h = header_of(k);
    const struct elf64_section *names;
    u64 len = strlen(name) + 1;

    if (h->shstrndx >= h->shnum)
        return false;
    names = section(k, h->shstrndx);
    return in_file(k, names->offset, names->size) && section(k, i)->name < names->size &&
           len <= names->size - section(k, i)->name &&
           !memcmp(k->data + names->offset + section(k, i)->name, name, len);
}

static void find_guest_section(struct kernel_image *k, struct notes *n) {
    for (u32 i = 0; i < header_of(k)->shnum; i++)
        if (section_named(k, i, "__xen_guest") && in_file(k, section(k, i)->offset, section(k, i)->size))
            scan_guest_section(k, n, (const char *)k->data + section(k, i)->offset, section(k, i)->size);
}

/* --- extent --- */

static const char *find_extent(struct kernel_image *k) {
    for (u32 i = 0; i < header_of(k)->phnum; i++) {
        const struct elf64_segment *s = segment(k, i);
        u64 start = s->paddr + k->virt_offset, end = start + s->memsz;

        if (s->type != ELF_PT_LOAD)
            continue;
        if (!in_file(k, s->offset, s->filesz) || s->filesz > s->memsz || end < start || s->memsz > GiB(1))
            return "a segment of the kernel lies outside the file";
        k->virt_start = MIN(k->virt_start, start);
        k->virt_end = MAX(k->virt_end, end);
    }
    if (k->virt_start >= k->virt_end)
        return "the kernel has nothing to load";
    if (k->virt_start < k->virt_base || k->virt_end - k->virt_base > GiB(1))
        return "the kernel's segments lie below, or too far above, its virtual base";
    return NULL;
}

const char *image_read(struct blob file, struct kernel_image *k) {
    struct notes n = {.any = false};
    const char *why;

    *k = (struct kernel_image){
        .data = file.data, .size = file.size, .hypercall_page = UNSET, .init_p2m = UNSET, .virt_start = UNSET};
    why = check_header(k);
    if (why)
        return why;
    k->entry = header_of(k)->entry;
    find_notes(k, &n);
    if (!n.any) {
        find_guest_section(k, &n);
        if (!n.any)
            return "the kernel has neither Xen notes nor a __xen_guest section: it is not built for PV";
        if (!n.have_paddr_offset)
            n.paddr_offset = k->virt_base;
    }
    k->virt_offset = k->virt_base - n.paddr_offset;
    return find_extent(k);
}

void image_load(const struct kernel_image *k, image_put_fn put, void *arg) {
    for (u32 i = 0; i < header_of(k)->phnum; i++)
        if (segment(k, i)->type == ELF_PT_LOAD)
            put(arg, segment(k, i)->paddr + k->virt_offset, k->data + segment(k, i)->offset, segment(k, i)->filesz);
}
