// SPDX-License-Identifier: MIT
/*
 * The Intel MultiProcessor tables, for machines without ACPI (QEMU's microvm with acpi=off): CPUs and IO-APICs only.
 */
#include "internal.h"

enum mp_type { MP_CPU = 0, MP_IOAPIC = 2 };
#define MP_CPU_SIZE 20
#define MP_OTHER_SIZE 8
#define MP_ENABLED 1
#define MP_HEADER_SIZE 44
#define MP_POINTER_SIZE 16

static bool is_mp_pointer(const u8 *p, size_t left) {
    return p[0] == '_' && left >= MP_POINTER_SIZE && memcmp(p, "_MP_", 4) == 0 && p[8] == 1 &&
           firmware_sum_ok(p, MP_POINTER_SIZE);
}

static void parse_mp_entry(struct platform_info *info, const u8 *e) {
    if (e[0] == MP_CPU && (e[3] & MP_ENABLED))
        platform_add_cpu(info, e[1], e[1]);
    if (e[0] == MP_IOAPIC && (e[3] & MP_ENABLED))
        platform_add_ioapic(info, e[1], get32(e + 4), 0);
}

static bool parse_mp_config(struct platform_info *info, u64 maddr) {
    const u8 *h = maddr ? firmware_map(maddr, MP_HEADER_SIZE) : NULL;
    if (!h || memcmp(h, "PCMP", 4) != 0)
        return false;
    u32 len = get16(h + 4);
    const u8 *p = firmware_map(maddr, len);
    if (len < MP_HEADER_SIZE || !p || !firmware_sum_ok(p, len))
        return false;

    info->lapic_address = get32(p + 36);
    for (u32 at = MP_HEADER_SIZE; at < len;) {
        u32 size = p[at] == MP_CPU ? MP_CPU_SIZE : MP_OTHER_SIZE;
        if (at + size > len)
            break;
        parse_mp_entry(info, p + at);
        at += size;
    }
    return true;
}

bool mptable_init(struct platform_info *info) {
    u64 at = firmware_scan_bios(0xf0000, is_mp_pointer);
    if (!at) /* the last KiB of base memory */
        at = firmware_scan(0x9fc00, 1024, is_mp_pointer);
    const u8 *p = at ? firmware_map(at, MP_POINTER_SIZE) : NULL;
    return p && parse_mp_config(info, get32(p + 4));
}
