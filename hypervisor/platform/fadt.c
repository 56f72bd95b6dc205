// SPDX-License-Identifier: MIT
/*
 * The FADT and what of the DSDT is needed to switch the machine off: reset and sleep registers, the PM timer, and the
 * sleep types of S5, found by its byte pattern: AML is not interpreted.
 */
#include "internal.h"

enum fadt_offset {
    FADT_DSDT = 40,
    FADT_SCI_INT = 46,
    FADT_SMI_CMD = 48,
    FADT_ACPI_ENABLE = 52,
    FADT_PM1A_CNT = 64,
    FADT_PM1B_CNT = 68,
    FADT_PM_TMR = 76,
    FADT_BOOT_ARCH = 109,
    FADT_FLAGS = 112,
    FADT_RESET_REG = 116,
    FADT_RESET_VALUE = 128,
    FADT_X_DSDT = 140,
    FADT_X_PM1A_CNT = 172,
    FADT_X_PM1B_CNT = 184,
    FADT_X_PM_TMR = 208,
    FADT_SLEEP_CONTROL = 244,
};
#define GAS_SIZE 12

enum fadt_flag {
    FADT_TMR_32BIT = 1 << 8,
    FADT_HAS_RESET = 1 << 10,
    FADT_HW_REDUCED = 1 << 20,
};
#define BOOT_ARCH_NO_RTC (1 << 5)

enum aml_op { AML_ZERO = 0x00, AML_ONE = 0x01, AML_NAME = 0x08, AML_BYTE = 0x0a, AML_WORD = 0x0b, AML_PACKAGE = 0x12 };

static struct platform_reg port_reg(u64 port, u8 size) {
    return (struct platform_reg){true, port && port < 0x10000 ? size : 0, port};
}

/* A generic address at an offset that older tables may not reach. */
static struct platform_reg get_gas(struct acpi_table t, u32 at) {
    struct platform_reg none = {0};
    if (at + GAS_SIZE > t.len)
        return none;

    const u8 *g = t.p + at;
    u64 address = get64(g + 4);
    u8 size = g[1] >= 8 ? g[1] / 8 : 1;
    if (g[0] > 1 || !address || (g[0] == 1 && address > 0xffff))
        return none;
    return (struct platform_reg){g[0] == 1, size, address};
}

/* A small integer of a package; returns the bytes it takes, 0: something else. */
static u32 aml_integer(const u8 *p, size_t len, u8 *value) {
    if (len >= 1 && p[0] <= AML_ONE) {
        *value = p[0];
        return 1;
    }
    if (len >= 2 && p[0] == AML_BYTE) {
        *value = p[1];
        return 2;
    }
    if (len >= 3 && p[0] == AML_WORD) {
        *value = p[1];
        return 3;
    }
    return 0;
}

/* p: behind the name _S5_. Package, its length (1 + bits 7:6 of the first byte), the count, then the elements. */
static bool parse_s5_package(const u8 *p, size_t len, struct platform_info *info) {
    u8 a, b;
    if (len < 3 || p[0] != AML_PACKAGE)
        return false;
    size_t at = 1 + 1 + (p[1] >> 6) + 1;
    u32 used = at < len ? aml_integer(p + at, len - at, &a) : 0;
    if (!used)
        return false;
    at += used;
    if (!aml_integer(p + at, len - at, &b))
        b = a;
    info->slp_typ_a = a & 7;
    info->slp_typ_b = b & 7;
    info->have_s5 = true;
    return true;
}

static void dsdt_find_s5(struct acpi_table t, struct platform_info *info) {
    for (u32 at = ACPI_HEADER_SIZE + 2; at + 4 < t.len; at++) {
        const u8 *p = t.p + at;
        if (p[0] != '_' || memcmp(p, "_S5_", 4) != 0)
            continue;
        bool named = p[-1] == AML_NAME || (p[-1] == '\\' && p[-2] == AML_NAME);
        if (named && parse_s5_package(p + 4, t.len - at - 4, info))
            return;
    }
}

static void parse_extended(struct acpi_table t, u32 flags, struct platform_info *info) {
    struct platform_reg r = get_gas(t, FADT_X_PM_TMR);
    if (r.size && r.port)
        info->pm_timer_port = (u16)r.address;
    r = get_gas(t, FADT_X_PM1A_CNT);
    if (r.size)
        info->pm1a = r;
    r = get_gas(t, FADT_X_PM1B_CNT);
    if (r.size)
        info->pm1b = r;
    if (flags & FADT_HAS_RESET && t.len > FADT_RESET_VALUE) {
        info->reset = get_gas(t, FADT_RESET_REG);
        info->reset_value = t.p[FADT_RESET_VALUE];
    }
    if (flags & FADT_HW_REDUCED) {
        info->sleep_control = get_gas(t, FADT_SLEEP_CONTROL);
        info->pm1a.size = info->pm1b.size = 0;
        info->pm_timer_port = 0;
    }
}

void fadt_parse(struct acpi_table t, struct platform_info *info) {
    if (t.len < FADT_RESET_REG)
        return;

    u32 flags = get32(t.p + FADT_FLAGS);
    u32 timer = get32(t.p + FADT_PM_TMR);
    info->sci_gsi = get16(t.p + FADT_SCI_INT);
    info->pm_timer_port = timer <= 0xffff ? (u16)timer : 0;
    info->pm_timer_32bit = flags & FADT_TMR_32BIT;
    info->smi_command = port_reg(get32(t.p + FADT_SMI_CMD), 1);
    info->acpi_enable = t.p[FADT_ACPI_ENABLE];
    info->pm1a = port_reg(get32(t.p + FADT_PM1A_CNT), 2);
    info->pm1b = port_reg(get32(t.p + FADT_PM1B_CNT), 2);
    info->no_legacy = t.p[8] >= 2 && (get16(t.p + FADT_BOOT_ARCH) & BOOT_ARCH_NO_RTC);
    parse_extended(t, flags, info);

    u64 dsdt = t.len >= FADT_X_DSDT + 8 ? get64(t.p + FADT_X_DSDT) : 0;
    struct acpi_table d = acpi_table_at(dsdt ? dsdt : get32(t.p + FADT_DSDT));
    if (d.p)
        dsdt_find_s5(d, info);
}
