/* SPDX-License-Identifier: MIT */
/*
 * What the files of platform share. The parsers (acpi.c, madt.c, fadt.c, mptable.c, rtc_decode) see firmware memory
 * through firmware_map() only, which the host tests replace.
 */
#ifndef PLATFORM_INTERNAL_H
#define PLATFORM_INTERNAL_H

#include <pv/lib.h>
#include <pv/platform.h>

/* Read access to len bytes of machine memory, NULL if they lie outside what can be reached. */
const u8 *firmware_map(u64 maddr, size_t len);

/* Firmware tables are packed: no member can be trusted to be aligned. */
static inline u16 get16(const u8 *p) {
    return (u16)(p[0] | p[1] << 8);
}
static inline u32 get32(const u8 *p) {
    return get16(p) | (u32)get16(p + 2) << 16;
}
static inline u64 get64(const u8 *p) {
    return get32(p) | (u64)get32(p + 4) << 32;
}
/* The bytes of a whole structure sum up to zero. */
bool firmware_sum_ok(const u8 *p, size_t len);
/* Steps through [start, start + len) by 16 until match(), given the bytes there and how many are left, is true. Returns
 * the machine address, 0: nothing. */
typedef bool (*firmware_match_fn)(const u8 *p, size_t left);
u64 firmware_scan(u64 start, size_t len, firmware_match_fn match);
/* Scans the first KiB of the extended BIOS data area and the BIOS area; 0: nothing. */
u64 firmware_scan_bios(u64 bios_start, firmware_match_fn match);

/* A table that was found whole and with a right checksum; p NULL: none. */
struct acpi_table {
    const u8 *p;
    u32 len;
};
#define ACPI_HEADER_SIZE 36

/* Fills info from the tables; false: no ACPI. info->boot_apic_id must be set. */
bool acpi_init(u64 rsdp_hint, struct platform_info *info);
struct acpi_table acpi_table_at(u64 maddr);
void madt_parse(struct acpi_table t, struct platform_info *info);
void fadt_parse(struct acpi_table t, struct platform_info *info);
/* Adds a usable CPU unless it is known; the boot CPU goes first. */
void platform_add_cpu(struct platform_info *info, u32 apic_id, u32 acpi_id);
void platform_add_ioapic(struct platform_info *info, u32 id, u64 address, u32 gsi_base);
/* The older Intel MP tables: CPUs and IO-APICs for machines without ACPI; false: none. */
bool mptable_init(struct platform_info *info);

/* --- the machine's parts --- */
void apic_detect(void);
/* For calibration: the masked timer runs down freely from ~0. */
void apic_timer_start_count(void);
u32 apic_timer_count(void);
void apic_send_init(u32 apic_id);
void apic_send_startup(u32 apic_id, u8 page);
void ioapic_init(void);
void pic_mask(void);

/* A counter of known rate, to measure others by; read() is monotonic modulo mask + 1. */
struct ref_clock {
    const char *name;
    u64 hz, mask;
    u64 (*read)(void);
};
/* The best one the machine has; false: none works. */
bool ref_clock_find(struct ref_clock *ref);
/* Frequencies the CPU or an outer hypervisor tells, 0 where not. */
void cpuid_frequencies(u64 *tsc, u64 *apic);

struct rtc_fields {
    u8 second, minute, hour, day, month, year, century; /* as read */
    u8 status_b;
};
/* Seconds since 1970, 0: not a date. */
u64 rtc_decode(const struct rtc_fields *f);

#endif
