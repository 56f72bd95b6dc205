// SPDX-License-Identifier: MIT
// Reads what the three kinds of loader left in memory into struct boot_info. The blocks are read once, before any
// memory is allocated, and nothing points into them afterwards.
#include <pv/boot.h>
#include <pv/lib.h>
#include <pv/mm.h>
#include <pv/abi.h>
#include <xen/arch-x86/hvm/start_info.h>

struct boot_info boot_info = {.command_line = "", .loader = "?"};
#define MAX_STRING 4096 /* where nothing else bounds it */
static char string_pool[65536];
static size_t string_used;

const char *boot_copy_string(const char *s, size_t max) {
    char *copy = string_pool + string_used;
    size_t n = MIN(strnlen(s, max), sizeof(string_pool) - 1 - string_used);

    memcpy(copy, s, n);
    copy[n] = 0;
    string_used = MIN(string_used + n + 1, sizeof(string_pool) - 1);
    return copy;
}

void boot_add_range(u64 start, u64 size, u32 type) {
    struct boot_range *r = &boot_info.range[boot_info.nr_ranges];

    if (!size || boot_info.nr_ranges == BOOT_MAX_RANGES || start + size < start)
        return;
    *r = (struct boot_range){start, start + size, type == 1, type};
    boot_info.nr_ranges++;
}

void boot_add_module(u64 start, u64 end, const char *string, size_t max) {
    if (end < start || boot_info.nr_modules == BOOT_MAX_MODULES)
        return;
    boot_info.module[boot_info.nr_modules++] = (struct boot_module){start, end - start, boot_copy_string(string, max)};
}

static void *phys(u64 a) {
    return maddr_to_virt(maddr(a));
}

/* --- Multiboot 1 (specification 0.6.96, "Boot information format") --- */
struct mb1_info {
    u32 flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr, syms[4], mmap_length, mmap_addr;
};
struct mb1_module {
    u32 start, end, string, reserved;
};
struct mb1_range {
    u32 size;
    u64 base, length;
    u32 type;
} __packed;
enum { MB1_CMDLINE = 1 << 2, MB1_MODULES = 1 << 3, MB1_MMAP = 1 << 6 };

/* The first word of the command line is the image's own name when the loader gives one. */
static const char *skip_image_name(const char *line) {
    const char *p = line;

    while (*p && *p != ' ' && *p != '=')
        p++;
    if (*p == '=' || (*p == 0 && !strchr(line, '/')))
        return line;
    return strchr(line, '/') && strchr(line, '/') < p ? p : line;
}

void boot_read_multiboot1(const void *block) {
    const struct mb1_info *info = block;
    const struct mb1_module *mod = phys(info->mods_addr);

    boot_info.loader = "Multiboot 1";
    if (info->flags & MB1_CMDLINE)
        boot_info.command_line = boot_copy_string(skip_image_name(phys(info->cmdline)), MAX_STRING);
    for (u32 i = 0; (info->flags & MB1_MODULES) && i < info->mods_count; i++)
        boot_add_module(mod[i].start, mod[i].end, mod[i].string ? phys(mod[i].string) : "", MAX_STRING);
    for (u64 off = 0; (info->flags & MB1_MMAP) && off < info->mmap_length;) {
        const struct mb1_range *r = phys(info->mmap_addr + off);

        boot_add_range(r->base, r->length, r->type);
        off += (u64)r->size + 4;
    }
}

/* --- Multiboot 2 (specification 2.0, "Boot information format") --- */
struct mb2_tag {
    u32 type, size;
    u8 data[];
};
struct mb2_range {
    u64 base, length;
    u32 type, reserved;
} __packed;
struct mb2_mmap {
    u32 entry_size, version;
    u8 entries[];
};
struct mb2_module {
    u32 start, end;
    char string[];
};
struct mb2_screen {
    u64 base;
    u32 bytes_per_line, width, height;
    u8 bits, kind;
    u16 reserved;
    u8 colour[3][2];
} __packed;
#define MB2_SCREEN_RGB 1
enum {
    MB2_END = 0,
    MB2_CMDLINE = 1,
    MB2_MODULE = 3,
    MB2_MMAP = 6,
    MB2_SCREEN = 8,
    MB2_EFI64 = 12,
    MB2_RSDP1 = 14,
    MB2_RSDP2 = 15
};

static void read_mb2_mmap(const struct mb2_tag *tag) {
    const struct mb2_mmap *map = (const void *)tag->data;

    for (u64 off = 16; map->entry_size && off + sizeof(struct mb2_range) <= tag->size; off += map->entry_size) {
        const struct mb2_range *r = (const void *)((const u8 *)tag + off);

        boot_add_range(r->base, r->length, r->type);
    }
}

/* EFI's system table (UEFI specification 2.10, section 4.3), where the boot tables map it. */
struct efi_system_table {
    u64 signature;
    u32 revision, header_size, crc, reserved;
    u64 vendor;
    u64 vendor_revision, consoles[6], runtime_services, boot_services;
    u64 nr_tables, tables;
};
#define EFI_SIGNATURE 0x5453595320494249ul /* "IBI SYST" */
#define MAPPED_BY_BOOT_TABLES GiB(4)

static void read_efi(u64 at) {
    struct efi_system_table t;

    if (at > MAPPED_BY_BOOT_TABLES - sizeof(t))
        return;
    memcpy(&t, phys(at), sizeof(t));
    if (t.signature == EFI_SIGNATURE && t.nr_tables <= 1024)
        boot_info.efi = (struct boot_efi){t.tables, (u32)t.nr_tables, t.revision};
}

static void read_mb2_screen(const struct mb2_screen *s) {
    if (s->kind != MB2_SCREEN_RGB)
        return;
    boot_info.screen = (struct boot_screen){
        .base = s->base,
        .width = s->width,
        .height = s->height,
        .bytes_per_line = s->bytes_per_line,
        .bits = s->bits,
    };
    memcpy(boot_info.screen.colour, s->colour, sizeof(s->colour));
}

/* Bytes that a tag must have to be looked at. */
static u32 least_size(u32 type) {
    if (type == MB2_SCREEN)
        return 8 + sizeof(struct mb2_screen);
    return type == MB2_MODULE || type == MB2_MMAP || type == MB2_EFI64 ? 16 : 8;
}

static void read_mb2_tag(const struct mb2_tag *tag) {
    const struct mb2_module *mod = (const void *)tag->data;

    if (tag->size < least_size(tag->type))
        return;
    switch (tag->type) {
    case MB2_CMDLINE:
        boot_info.command_line = boot_copy_string((const char *)tag->data, tag->size - 8);
        break;
    case MB2_MODULE:
        boot_add_module(mod->start, mod->end, mod->string, tag->size - 16);
        break;
    case MB2_MMAP:
        read_mb2_mmap(tag);
        break;
    case MB2_SCREEN:
        read_mb2_screen((const void *)tag->data);
        break;
    case MB2_EFI64:
        read_efi(*(const u64 *)tag->data);
        break;
    case MB2_RSDP1:
        if (boot_info.rsdp)
            break;
        __attribute__((fallthrough));
    case MB2_RSDP2: {
        /* A copy: the tag's memory is free to use soon. */
        static u8 rsdp[36] __aligned(16);

        memcpy(rsdp, tag->data, MIN(sizeof(rsdp), (size_t)tag->size - 8));
        boot_info.rsdp = (u64)rsdp - 0xffffffff80000000ul;
        break;
    }
    default:
        break;
    }
}

void boot_read_multiboot2(const void *block) {
    u64 total = *(const u32 *)block;

    boot_info.loader = "Multiboot 2";
    for (u64 off = 8; off + 8 <= total;) {
        const struct mb2_tag *tag = (const void *)((const u8 *)block + off);

        if (tag->type == MB2_END || tag->size < 8 || tag->size > total - off)
            break;
        read_mb2_tag(tag);
        off += ALIGN_UP((u64)tag->size, 8ul);
    }
}

/* --- PVH (xen/arch-x86/hvm/start_info.h) --- */
void boot_read_pvh(const void *block) {
    const struct hvm_start_info *info = block;
    const struct hvm_modlist_entry *mod = phys(info->modlist_paddr);
    const struct hvm_memmap_table_entry *map = phys(info->memmap_paddr);

    boot_info.loader = "PVH";
    if (info->magic != XEN_HVM_START_MAGIC_VALUE)
        panic("the PVH start info has magic %#x", info->magic);
    boot_info.rsdp = info->rsdp_paddr;
    if (info->cmdline_paddr)
        boot_info.command_line = boot_copy_string(phys(info->cmdline_paddr), MAX_STRING);
    for (u32 i = 0; i < info->nr_modules; i++)
        boot_add_module(mod[i].paddr, mod[i].paddr + mod[i].size,
                        mod[i].cmdline_paddr ? phys(mod[i].cmdline_paddr) : "", MAX_STRING);
    for (u32 i = 0; info->version >= 1 && i < info->memmap_entries; i++)
        boot_add_range(map[i].addr, map[i].size, map[i].type);
}
