// SPDX-License-Identifier: MIT
/*
 * The MADT: which CPUs, local APIC address, IO-APICs and interrupt overrides the machine has. CPUs that are listed as
 * absent but pluggable are not taken.
 */
#include "internal.h"

enum madt_type {
    MADT_LAPIC = 0,
    MADT_IOAPIC = 1,
    MADT_OVERRIDE = 2,
    MADT_LAPIC_ADDRESS = 5,
    MADT_X2APIC = 9,
};
#define MADT_CPU_ENABLED 1

void platform_add_cpu(struct platform_info *info, u32 apic_id, u32 acpi_id) {
    for (u32 i = 0; i < info->nr_cpus; i++) {
        if (info->cpu[i].apic_id == apic_id) {
            info->cpu[i].acpi_id = acpi_id;
            return;
        }
    }
    if (info->nr_cpus >= MAX_CPUS)
        return;
    info->cpu[info->nr_cpus++] = (struct platform_cpu_id){apic_id, acpi_id};
}

void platform_add_ioapic(struct platform_info *info, u32 id, u64 address, u32 gsi_base) {
    if (info->nr_ioapics < PLATFORM_MAX_IOAPICS && address)
        info->ioapic[info->nr_ioapics++] = (struct platform_ioapic){id, gsi_base, 0, address};
}

static void add_override(struct platform_info *info, const u8 *e) {
    if (e[2] == 0 && e[3] < 16) /* bus 0: ISA */
        info->isa[e[3]] = (struct platform_isa_irq){get32(e + 4), get16(e + 8)};
}

static void parse_entry(struct platform_info *info, const u8 *e, u8 len) {
    switch (e[0]) {
    case MADT_LAPIC:
        if (len >= 8 && (get32(e + 4) & MADT_CPU_ENABLED) && e[3] != 0xff)
            platform_add_cpu(info, e[3], e[2]);
        break;
    case MADT_IOAPIC:
        if (len >= 12)
            platform_add_ioapic(info, e[2], get32(e + 4), get32(e + 8));
        break;
    case MADT_OVERRIDE:
        if (len >= 10)
            add_override(info, e);
        break;
    case MADT_LAPIC_ADDRESS:
        if (len >= 12)
            info->lapic_address = get64(e + 4);
        break;
    case MADT_X2APIC:
        if (len >= 16 && (get32(e + 8) & MADT_CPU_ENABLED))
            platform_add_cpu(info, get32(e + 4), get32(e + 12));
        break;
    }
}

void madt_parse(struct acpi_table t, struct platform_info *info) {
    if (t.len < 44)
        return;
    info->lapic_address = get32(t.p + 36);
    for (u32 at = 44; at + 2 <= t.len;) {
        u8 len = t.p[at + 1];
        if (len < 2 || at + len > t.len)
            return;
        parse_entry(info, t.p + at, len);
        at += len;
    }
}
