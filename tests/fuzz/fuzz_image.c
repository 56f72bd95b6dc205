// SPDX-License-Identifier: MIT
// sources: launch/image.c
/*
 * Any bytes as a kernel file: what is read and loaded lies inside the file, and goes where the image says it does. An
 * input whose first byte is odd gets a right beginning, so that its headers, notes and sections are reached.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../hypervisor/launch/internal_host.h"

#include "../../hypervisor/launch/elf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok) {
    if (!ok)
        abort();
}

static void put(void *arg, u64 va, const void *bytes, u64 n) {
    const struct kernel_image *k = arg;
    const u8 *p = bytes;

    require(va >= k->virt_start && n <= k->virt_end - va);
    require(p >= k->data && n <= k->size && (u64)(p - k->data) <= k->size - n);
}

static void make_elf(u8 *bytes, size_t size) {
    struct elf64_header h;

    if (size < sizeof(h))
        return;
    memcpy(&h, bytes, sizeof(h));
    memcpy(h.ident, "\177ELF\2", 5);
    h.machine = ELF_X86_64;
    h.phentsize = sizeof(struct elf64_segment);
    h.shentsize = sizeof(struct elf64_section);
    h.phnum %= 8;
    h.shnum %= 8;
    h.phoff %= size;
    h.shoff %= size;
    memcpy(bytes, &h, sizeof(h));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    u8 *file = aligned_alloc(16, (size + 16) & ~(size_t)15);
    u8 *bytes = file + ((size + 16) & ~(size_t)15) - size; /* the last byte is the buffer's last */
    struct kernel_image k;

    /* Modules begin on a page; so that reads past the end are seen, this one ends with its buffer, if it can. */
    bytes = (uintptr_t)bytes % 8 ? file : bytes;
    memcpy(bytes, data, size);
    if (size && data[0] & 1)
        make_elf(bytes, size);
    if (!image_read((struct blob){bytes, size}, &k)) {
        require(k.virt_start < k.virt_end && k.virt_end - k.virt_start <= GiB(1) && k.virt_base <= k.virt_start);
        image_load(&k, put, &k);
    }
    free(file);
    return 0;
}
