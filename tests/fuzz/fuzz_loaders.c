// SPDX-License-Identifier: MIT
// sources: boot/loaders.c boot/options.c tests/unit/host.c
/* Any bytes as a Multiboot 2 block of information: nothing is read outside it; then the command line's options. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <pv/boot.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
void *maddr_to_virt(maddr_t ma);
void panic(const char *fmt, ...);

static void require(bool ok) {
    if (!ok)
        abort();
}

/* What a block points to, wherever that is: EFI's system table, which has the input's bytes. */
static u8 pointed_to[256];

void *maddr_to_virt(maddr_t ma) {
    require(ma.a < 4ul << 30);
    return pointed_to;
}

void panic(const char *fmt, ...) {
    (void)fmt;
    abort();
}

/* The block, with its true size in its first word, as loaders give it. */
static u8 *block_of(const uint8_t *data, size_t size) {
    u8 *block = aligned_alloc(8, ALIGN_UP(size + 8, 8ul));
    u32 total = (u32)size + 8;

    memset(block, 0, 8);
    memcpy(block, &total, sizeof(total));
    memcpy(block + 8, data, size);
    return block;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    u8 *block = block_of(data, size);
    const char *value;
    int len;

    boot_info = (struct boot_info){.command_line = "", .loader = "?"};
    memset(pointed_to, 0, sizeof(pointed_to));
    memcpy(pointed_to, data, MIN(size, sizeof(pointed_to)));
    boot_read_multiboot2(block);
    free(block);
    require(boot_info.nr_ranges <= BOOT_MAX_RANGES && boot_info.nr_modules <= BOOT_MAX_MODULES);
    for (u32 i = 0; i < boot_info.nr_ranges; i++)
        require(boot_info.range[i].start < boot_info.range[i].end);
    require(boot_info.efi.nr_tables <= 1024);
    len = boot_option("console", &value);
    require(len < 0 || (value >= boot_info.command_line && (size_t)len <= strlen(value)));
    boot_option_flag("fastpath");
    boot_report_unknown_options();
    return 0;
}
