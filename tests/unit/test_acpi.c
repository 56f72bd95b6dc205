// SPDX-License-Identifier: MIT
// sources: platform/acpi.c platform/madt.c platform/fadt.c platform/mptable.c platform/rtc.c
/* The firmware's tables: what good ones yield, that broken ones (cut short, wrong sums, wild lengths and addresses,
 * random bytes) are left aside without a read outside them, and the dates of the battery clock. */
#include "host.h"
#include <cmocka.h>
#include "../../hypervisor/platform/internal.h"

/* 2 MiB of machine memory; each mapping must lie inside. */
static u8 *memory;
static const u32 memory_size = 2 << 20;
extern void *calloc(size_t n, size_t size);
extern void free(void *p);

const u8 *firmware_map(u64 at, size_t len) {
    return at < memory_size && len <= memory_size - at ? memory + at : NULL;
}

static struct platform_info info;

static void put32(u32 at, u32 v) {
    memcpy(memory + at, &v, 4);
}
static void put64(u32 at, u64 v) {
    memcpy(memory + at, &v, 8);
}
static void fix_sum(u32 at, u32 len, u32 sum_at) {
    u8 sum = 0;
    memory[at + sum_at] = 0;
    for (u32 i = 0; i < len; i++)
        sum = (u8)(sum + memory[at + i]);
    memory[at + sum_at] = (u8)-sum;
}
static void table(u32 at, const char *signature, u32 len) {
    memcpy(memory + at, signature, 4);
    put32(at + 4, len);
    memory[at + 8] = 5;
    fix_sum(at, len, 9);
}

enum {
    RSDP = 0xf0040,
    XSDT = 0x100000,
    RSDT = 0x100200,
    MADT = 0x101000,
    FADT = 0x102000,
    DSDT = 0x103000,
    HPET = 0x104000
};

static u32 madt_end;
static void madt_add(const u8 *entry, u8 len) {
    memcpy(memory + madt_end, entry, len);
    madt_end += len;
}

static void write_madt(void) {
    static const u8 cpu0[] = {0, 8, 0, 0, 1, 0, 0, 0}, cpu1[] = {0, 8, 1, 2, 1, 0, 0, 0},
                    absent[] = {0, 8, 2, 4, 0, 0, 0, 0}, x2[] = {9, 16, 0, 0, 0x2c, 1, 0, 0, 1, 0, 0, 0, 7, 0, 0, 0},
                    io[] = {1, 12, 5, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0}, over[] = {2, 10, 0, 0, 2, 0, 0, 0, 0x0d, 0};
    put32(MADT + 36, 0xfee00000);
    madt_end = MADT + 44;
    madt_add(cpu0, 8);
    madt_add(cpu1, 8);
    madt_add(absent, 8);
    madt_add(x2, 16);
    madt_add(io, 12);
    madt_add(over, 10);
    table(MADT, "APIC", madt_end - MADT);
}

static void write_fadt(void) {
    static const u8 s5[] = {0x08, '_', 'S', '5', '_', 0x12, 0x06, 0x04, 0x0a, 0x05, 0x00, 0x00, 0x00};
    put32(FADT + 40, DSDT);
    memory[FADT + 46] = 9;
    put32(FADT + 48, 0xb2);
    memory[FADT + 52] = 2;
    put32(FADT + 64, 0x604);
    put32(FADT + 76, 0x608);
    put32(FADT + 112, 1 << 8 | 1 << 10);
    memcpy(memory + FADT + 116, (u8[]){1, 8, 0, 1, 0xf9, 0x0c, 0, 0, 0, 0, 0, 0}, 12);
    memory[FADT + 128] = 0x0f;
    table(FADT, "FACP", 244);
    memcpy(memory + DSDT + 100, s5, sizeof(s5));
    table(DSDT, "DSDT", 200);
}

static void write_rsdp(void) {
    memcpy(memory + RSDP, "RSD PTR ", 8);
    memory[RSDP + 15] = 2;
    put32(RSDP + 16, RSDT);
    put32(RSDP + 20, 36);
    put64(RSDP + 24, XSDT);
    fix_sum(RSDP, 20, 8);
    fix_sum(RSDP, 36, 32);
}

static int setup(void **state) {
    (void)state;
    memory = calloc(1, memory_size);
    memset(&info, 0, sizeof(info));
    host_quiet = true;
    platform_add_cpu(&info, 0, 99);
    write_rsdp();
    write_madt();
    write_fadt();
    memory[HPET + 40] = 0;
    put64(HPET + 44, 0xfed00000);
    table(HPET, "HPET", 56);
    for (u32 i = 0; i < 3; i++) {
        static const u32 at[] = {MADT, FADT, HPET};
        put64(XSDT + 36 + 8 * i, at[i]);
        put32(RSDT + 36 + 4 * i, at[i]);
    }
    table(XSDT, "XSDT", 36 + 24);
    table(RSDT, "RSDT", 36 + 12);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    free(memory);
    return 0;
}

static void good_tables_tell_all(void **state) {
    (void)state;
    assert_true(acpi_init(0, &info));
    assert_int_equal(info.rsdp, RSDP);
    assert_int_equal(info.nr_cpus, 3);
    assert_int_equal(info.cpu[0].acpi_id, 0);
    assert_int_equal(info.cpu[1].apic_id, 2);
    assert_int_equal(info.cpu[2].apic_id, 0x12c);
    assert_int_equal(info.cpu[2].acpi_id, 7);
    assert_int_equal(info.nr_ioapics, 1);
    assert_int_equal(info.ioapic[0].address, 0xfec00000);
    assert_int_equal(info.isa[0].gsi, 2);
    assert_int_equal(info.isa[0].flags, 0x0d);
    assert_int_equal(info.lapic_address, 0xfee00000);
    assert_int_equal(info.hpet_address, 0xfed00000);
    assert_int_equal(info.pm_timer_port, 0x608);
    assert_true(info.pm_timer_32bit);
    assert_int_equal(info.sci_gsi, 9);
    assert_true(info.have_s5);
    assert_int_equal(info.slp_typ_a, 5);
    assert_int_equal(info.slp_typ_b, 0);
    assert_true(info.pm1a.port);
    assert_int_equal(info.pm1a.address, 0x604);
    assert_int_equal(info.pm1b.size, 0);
    assert_int_equal(info.smi_command.address, 0xb2);
    assert_int_equal(info.acpi_enable, 2);
    assert_int_equal(info.reset.address, 0xcf9);
    assert_int_equal(info.reset_value, 0x0f);
}

static void the_hint_is_checked(void **state) {
    (void)state;
    memcpy(memory + 0x100800, memory + RSDP, 36);
    assert_true(acpi_init(0x100800, &info));
    assert_int_equal(info.rsdp, 0x100800);
    assert_true(acpi_init(0x42, &info)); /* nothing there: searched */
    assert_int_equal(info.rsdp, RSDP);
    assert_true(acpi_init(~0ul, &info));
}

static void the_ebda_is_searched(void **state) {
    (void)state;
    memcpy(memory + 0x9fc20, memory + RSDP, 36);
    memory[RSDP] = 'X';
    put32(0x40e, 0x9fc0);
    assert_true(acpi_init(0, &info));
    assert_int_equal(info.rsdp, 0x9fc20);
}

static void the_rsdt_serves_where_the_xsdt_fails(void **state) {
    (void)state;
    memory[XSDT + 9]++;
    assert_true(acpi_init(0, &info));
    assert_int_equal(info.nr_cpus, 3);
    memory[RSDT + 9]++;
    assert_false(acpi_init(0, &info));
}

static void a_table_with_a_wrong_sum_is_left_aside(void **state) {
    (void)state;
    memory[MADT + 60]++;
    assert_true(acpi_init(0, &info));
    assert_int_equal(info.nr_cpus, 1);
    assert_int_equal(info.pm_timer_port, 0x608);
}

static void wild_lengths_are_refused(void **state) {
    (void)state;
    static const u32 lengths[] = {0, 35, 0x00ffffff, 0x7fffffff, 0xffffffff};
    for (u32 i = 0; i < ARRAY_SIZE(lengths); i++) {
        put32(MADT + 4, lengths[i]);
        assert_null(acpi_table_at(MADT).p);
    }
    assert_null(acpi_table_at(0).p);
    assert_null(acpi_table_at(memory_size - 8).p);
}

static void madt_entries_stay_inside(void **state) {
    (void)state;
    memory[MADT + 45] = 0; /* an entry of length 0 would never end */
    fix_sum(MADT, madt_end - MADT, 9);
    assert_true(acpi_init(0, &info));
    assert_int_equal(info.nr_cpus, 1);
    memory[MADT + 45] = 8;
    memory[madt_end - 9] = 200; /* the last one reaches beyond the end */
    fix_sum(MADT, madt_end - MADT, 9);
    memset(&info, 0, sizeof(info));
    assert_true(acpi_init(0, &info));
    assert_int_equal(info.isa[0].flags, 0);
}

static void hardware_reduced_machines_sleep_by_register(void **state) {
    (void)state;
    put32(FADT + 112, 1 << 20 | 1 << 10);
    memcpy(memory + FADT + 116, (u8[]){0, 8, 0, 1, 2, 2, 0xa0, 0xfe, 0, 0, 0, 0}, 12);
    memcpy(memory + FADT + 244, (u8[]){0, 8, 0, 1, 0, 2, 0xa0, 0xfe, 0, 0, 0, 0}, 12);
    put32(FADT + 4, 268);
    fix_sum(FADT, 268, 9);
    assert_true(acpi_init(0, &info));
    assert_int_equal(info.sleep_control.address, 0xfea00200);
    assert_false(info.sleep_control.port);
    assert_int_equal(info.reset.address, 0xfea00202);
    assert_int_equal(info.pm1a.size, 0);
    assert_int_equal(info.pm_timer_port, 0);
}

/* Random damage in every table, sums made right again: no crash, bounded counts. */
static void damaged_tables_do_no_harm(void **state) {
    (void)state;
    static const struct { u32 at, len; } areas[] = {{MADT, 110}, {FADT, 244}, {DSDT, 200}, {XSDT, 60}};
    u64 seed = 7;
    for (u32 i = 0; i < 20000; i++) {
        u32 a = (u32)(host_random(&seed) % ARRAY_SIZE(areas));
        memory[areas[a].at + 36 + host_random(&seed) % (areas[a].len - 36)] = (u8)host_random(&seed);
        for (u32 k = 0; k < ARRAY_SIZE(areas); k++)
            fix_sum(areas[k].at, get32(memory + areas[k].at + 4), 9);
        memset(&info, 0, sizeof(info));
        acpi_init(0, &info);
        assert_true(info.nr_cpus <= MAX_CPUS && info.nr_ioapics <= PLATFORM_MAX_IOAPICS);
    }
}

static void mp_tables_serve_without_acpi(void **state) {
    (void)state;
    static const u8 config[] = {
        0, 0, 0x14, 3,   0,   0,   0,   0,   0, 0, 0,    0, 0, 0, 0,    0,    0, 0, 0, 0, /* CPU 0 */
        0, 1, 0x14, 1,   0,   0,   0,   0,   0, 0, 0,    0, 0, 0, 0,    0,    0, 0, 0, 0, /* CPU 1 */
        0, 3, 0x14, 0,   0,   0,   0,   0,   0, 0, 0,    0, 0, 0, 0,    0,    0, 0, 0, 0, /* disabled */
        1, 0, 'I',  'S', 'A', ' ', ' ', ' ', 2, 2, 0x11, 1, 0, 0, 0xc0, 0xfe, 3};
    memcpy(memory + 0xf5a80, "_MP_", 4);
    put32(0xf5a84, 0xf5b00);
    memory[0xf5a88] = 1;
    fix_sum(0xf5a80, 16, 10);
    memcpy(memory + 0xf5b00, "PCMP", 4);
    memory[0xf5b04] = 44 + sizeof(config);
    put32(0xf5b00 + 36, 0xfee00000);
    memcpy(memory + 0xf5b00 + 44, config, sizeof(config));
    fix_sum(0xf5b00, 44 + sizeof(config), 7);
    assert_true(mptable_init(&info));
    assert_int_equal(info.nr_cpus, 2);
    assert_int_equal(info.nr_ioapics, 1);
    assert_int_equal(info.lapic_address, 0xfee00000);
    memory[0xf5b20]++;
    assert_false(mptable_init(&info));
}

static void dates_become_seconds(void **state) {
    (void)state;
    static const struct {
        struct rtc_fields f;
        u64 want;
    } cases[] = {
        {{0x00, 0x00, 0x00, 0x01, 0x01, 0x70, 0x19, 2}, 0}, /* the epoch: 0, as if there were no clock */
        {{0x01, 0x00, 0x00, 0x01, 0x01, 0x70, 0x19, 2}, 1},
        {{0x59, 0x59, 0x23, 0x29, 0x02, 0x24, 0x20, 2}, 1709251199}, /* a leap day */
        {{0x00, 0x00, 0x00, 0x01, 0x03, 0x00, 0x20, 2}, 951868800},
        {{30, 45, 13, 21, 11, 26, 20, 6}, 1795268730},               /* binary */
        {{0x30, 0x45, 0x81, 0x21, 0x11, 0x26, 0x20, 0}, 1795268730}, /* 1 pm */
        {{0x00, 0x00, 0x12, 0x21, 0x11, 0x26, 0x00, 0}, 1795219200}, /* 12 am, no century */
        {{0x00, 0x00, 0x92, 0x21, 0x11, 0x26, 0xff, 0}, 1795262400}, /* 12 pm */
        {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, 0},
        {{0x00, 0x00, 0x24, 0x21, 0x11, 0x26, 0x20, 2}, 0},
    };
    for (u32 i = 0; i < ARRAY_SIZE(cases); i++)
        assert_int_equal(rtc_decode(&cases[i].f), cases[i].want);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void) {
    const struct CMUnitTest tests[] = {
        T(good_tables_tell_all),
        T(the_hint_is_checked),
        T(the_ebda_is_searched),
        T(the_rsdt_serves_where_the_xsdt_fails),
        T(a_table_with_a_wrong_sum_is_left_aside),
        T(wild_lengths_are_refused),
        T(madt_entries_stay_inside),
        T(hardware_reduced_machines_sleep_by_register),
        T(damaged_tables_do_no_harm),
        T(mp_tables_serve_without_acpi),
        cmocka_unit_test(dates_become_seconds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
