// SPDX-License-Identifier: MIT
/*
 * Finding ACPI tables: the root pointer, the root table, and each table's bounds and checksum. What is in the tables
 * that matter is read by madt.c and fadt.c. A table that is not whole is left aside with a message; nothing here fails.
 */
#include "internal.h"

#define MAX_TABLE_SIZE MiB(16)
#define RSDP_V1_SIZE 20
#define RSDP_V2_SIZE 36

bool firmware_sum_ok(const u8 *p, size_t len) {
    u8 sum = 0;
    for (size_t i = 0; i < len; i++)
        sum = (u8)(sum + p[i]);
    return sum == 0;
}

u64 firmware_scan(u64 start, size_t len, firmware_match_fn match) {
    const u8 *p = firmware_map(start, len);
    for (size_t at = 0; p && at + 16 <= len; at += 16)
        if (match(p + at, len - at))
            return start + at;
    return 0;
}

u64 firmware_scan_bios(u64 bios_start, firmware_match_fn match) {
    const u8 *ebda_segment = firmware_map(0x40e, 2);
    u64 ebda = ebda_segment ? (u64)get16(ebda_segment) << 4 : 0;
    u64 at = 0;

    if (ebda >= 0x400 && ebda < 0xa0000)
        at = firmware_scan(ebda, 1024, match);
    return at ? at : firmware_scan(bios_start, 0x100000 - bios_start, match);
}

static bool is_rsdp(const u8 *p, size_t left) {
    return p[0] == 'R' && left >= RSDP_V1_SIZE && memcmp(p, "RSD PTR ", 8) == 0 && firmware_sum_ok(p, RSDP_V1_SIZE);
}

static bool is_rsdp_at(u64 maddr) {
    const u8 *p = maddr ? firmware_map(maddr, RSDP_V1_SIZE) : NULL;
    return p && is_rsdp(p, RSDP_V1_SIZE);
}

struct acpi_table acpi_table_at(u64 maddr) {
    struct acpi_table none = {0};
    const u8 *p = maddr ? firmware_map(maddr, ACPI_HEADER_SIZE) : NULL;
    if (!p)
        return none;

    u32 len = get32(p + 4);
    if (len < ACPI_HEADER_SIZE || len > MAX_TABLE_SIZE)
        return none;
    p = firmware_map(maddr, len);
    if (!p)
        return none;
    if (!firmware_sum_ok(p, len)) {
        printk("ACPI: table %.4s at %#lx has a wrong checksum, ignored", (const char *)p, maddr);
        return none;
    }
    return (struct acpi_table){p, len};
}

/* The root table, and the size of its entries: 8 in an XSDT, 4 in an RSDT. */
static struct acpi_table find_root(u64 rsdp, u32 *entry_size) {
    const u8 *p = firmware_map(rsdp, RSDP_V1_SIZE);
    const u8 *p2 = p && p[15] >= 2 ? firmware_map(rsdp, RSDP_V2_SIZE) : NULL;
    struct acpi_table t = {0};

    *entry_size = 8;
    if (p2 && firmware_sum_ok(p2, RSDP_V2_SIZE))
        t = acpi_table_at(get64(p2 + 24));
    if (t.p && memcmp(t.p, "XSDT", 4) == 0)
        return t;
    *entry_size = 4;
    if (p)
        t = acpi_table_at(get32(p + 16));
    if (t.p && memcmp(t.p, "RSDT", 4) != 0)
        t.p = NULL;
    return t;
}

static void hpet_parse(struct acpi_table t, struct platform_info *info) {
    if (t.len >= 52 && t.p[40] == 0) /* in memory space */
        info->hpet_address = get64(t.p + 44);
}

static void mcfg_parse(struct acpi_table t, struct platform_info *info) {
    for (u32 at = 44; at + 16 <= t.len && info->nr_mmcfgs < PLATFORM_MAX_MMCFGS; at += 16) {
        const u8 *e = t.p + at;
        struct platform_mmcfg m = {get64(e), get16(e + 8), e[10], e[11]};

        if (m.address && m.start_bus <= m.end_bus)
            info->mmcfg[info->nr_mmcfgs++] = m;
    }
}

static const struct {
    char signature[5];
    void (*parse)(struct acpi_table t, struct platform_info *info);
} parsers[] = {
    {"APIC", madt_parse},
    {"FACP", fadt_parse},
    {"HPET", hpet_parse},
    {"MCFG", mcfg_parse},
};

static void parse_table(u64 maddr, struct platform_info *info) {
    const u8 *p = maddr ? firmware_map(maddr, ACPI_HEADER_SIZE) : NULL;
    for (u32 i = 0; p && i < ARRAY_SIZE(parsers); i++) {
        if (memcmp(p, parsers[i].signature, 4) != 0)
            continue;
        struct acpi_table t = acpi_table_at(maddr);
        if (t.p)
            parsers[i].parse(t, info);
    }
}

bool acpi_init(u64 rsdp_hint, struct platform_info *info) {
    u64 rsdp = is_rsdp_at(rsdp_hint) ? rsdp_hint : firmware_scan_bios(0xe0000, is_rsdp);
    if (!rsdp)
        return false;

    u32 entry_size;
    struct acpi_table root = find_root(rsdp, &entry_size);
    if (!root.p) {
        printk("ACPI: no usable root table");
        return false;
    }
    info->rsdp = rsdp;
    for (u32 at = ACPI_HEADER_SIZE; at + entry_size <= root.len; at += entry_size)
        parse_table(entry_size == 8 ? get64(root.p + at) : get32(root.p + at), info);
    return true;
}
