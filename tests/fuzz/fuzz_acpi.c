// SPDX-License-Identifier: MIT
// sources: platform/acpi.c platform/madt.c platform/fadt.c platform/mptable.c tests/unit/host.c
/*
 * Any bytes as firmware tables. A list of pieces of the input becomes tables with right lengths and checksums, found
 * through a right root, so that their content is reached; or the first MiB is the input as it is.
 */
#include <stdlib.h>
#include <string.h>

#include "../../hypervisor/platform/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
extern bool host_quiet;

#define SIZE 0x101000u
#define RSDP 0xf0040u
#define ROOT 0xf1000u
#define TABLES 0xf2000u

static u8 *memory;

/* A mapping is a copy of its own: a read past its end is seen. */
static void *mapped[64];
static u32 nr_mapped;

const u8 *firmware_map(u64 at, size_t len) {
    u8 *copy;

    if (at >= SIZE || len > SIZE - at)
        return NULL;
    if (nr_mapped == 64 || len > 0x2000)
        return memory + at;
    copy = malloc(len ? len : 1);
    memcpy(copy, memory + at, len);
    mapped[nr_mapped++] = copy;
    return copy;
}

static void put(u32 at, u64 v, u32 n) {
    memcpy(memory + at, &v, n);
}

static void fix_sum(u32 at, u32 len, u32 sum_at) {
    u8 sum = 0;

    memory[at + sum_at] = 0;
    for (u32 i = 0; i < len; i++)
        sum = (u8)(sum + memory[at + i]);
    memory[at + sum_at] = (u8)-sum;
}

static const char signatures[4][5] = {"APIC", "FACP", "HPET", "DSDT"};

/* A table of the given content at `at`; its length. */
static u32 write_table(u32 at, u32 kind, const u8 *content, u32 len) {
    memset(memory + at, 0, 36);
    memcpy(memory + at + 36, content, len);
    memcpy(memory + at, signatures[kind], 4);
    put(at + 4, len + 36, 4);
    memory[at + 8] = (u8)len;
    if (kind == 1 && len >= 8)
        put(at + 40, TABLES, 4); /* its DSDT: the first table */
    fix_sum(at, len + 36, 9);
    return len + 36;
}

static void write_tables(const u8 *data, size_t size) {
    u32 n = 0, at = TABLES;

    memcpy(memory + RSDP, "RSD PTR ", 8);
    memory[RSDP + 15] = 2;
    put(RSDP + 16, ROOT, 4);
    put(RSDP + 24, ROOT, 8);
    fix_sum(RSDP, 20, 8);
    fix_sum(RSDP, 36, 32);
    while (size >= 2 && n < 16) {
        u32 len = data[1] < size - 2 ? data[1] : (u32)size - 2, kind = n ? data[0] & 3 : 3;

        put(ROOT + 36 + n++ * 8, at, 8);
        at += (write_table(at, kind, data + 2, len) + 15) & ~15u;
        data += 2 + len;
        size -= 2 + len;
    }
    memcpy(memory + ROOT, "XSDT", 4);
    put(ROOT + 4, 36 + n * 8, 4);
    fix_sum(ROOT, 36 + n * 8, 9);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct platform_info info;

    host_quiet = true;
    memory = calloc(1, SIZE);
    memset(&info, 0, sizeof(info));
    nr_mapped = 0;
    if (size && data[0] & 1)
        memcpy(memory + RSDP, data + 1, size - 1 < SIZE - RSDP ? size - 1 : SIZE - RSDP);
    else if (size)
        write_tables(data + 1, size - 1);
    acpi_init(RSDP, &info);
    mptable_init(&info);
    if (info.nr_cpus > MAX_CPUS || info.nr_ioapics > PLATFORM_MAX_IOAPICS)
        abort();
    while (nr_mapped)
        free(mapped[--nr_mapped]);
    free(memory);
    return 0;
}
