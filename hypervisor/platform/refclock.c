// SPDX-License-Identifier: MIT
/*
 * Counters of known rate: the ACPI PM timer, the HPET, and channel 2 of the PIT, in this order; and the frequencies
 * that CPUID may tell, which make measuring unnecessary.
 */
#include "internal.h"
#include <pv/x86.h>

#define PM_TIMER_HZ 3579545
#define PIT_HZ 1193182
#define FEMTO_PER_SEC 1000000000000000ul

enum hpet_reg { HPET_CAPS = 0x000, HPET_PERIOD = 0x004, HPET_CONFIG = 0x010, HPET_COUNTER = 0x0f0 };
#define HPET_MAX_PERIOD 100000000 /* fs, by its specification */

enum pit_port { PIT_CHANNEL2 = 0x42, PIT_COMMAND = 0x43, PIT_GATE = 0x61 };
#define PIT_CH2_MODE0 0xb0 /* low byte then high byte, count down once */
#define PIT_CH2_LATCH 0x80
#define GATE_ON 0x01
#define SPEAKER_ON 0x02

static volatile u8 *hpet;

static u64 pm_timer_read(void) {
    return inl(platform.pm_timer_port);
}
static u64 hpet_read(void) {
    return mmio_read32(hpet + HPET_COUNTER);
}

static u64 pit_read(void) {
    outb(PIT_COMMAND, PIT_CH2_LATCH);
    u64 low = inb(PIT_CHANNEL2);
    return 0xffff - (low | (u64)inb(PIT_CHANNEL2) << 8);
}

static void pit_start(void) {
    outb(PIT_GATE, (u8)((inb(PIT_GATE) & ~SPEAKER_ON) | GATE_ON));
    outb(PIT_COMMAND, PIT_CH2_MODE0);
    outb(PIT_CHANNEL2, 0xff);
    outb(PIT_CHANNEL2, 0xff);
}

static u64 hpet_start(void) {
    hpet = mmio_map(maddr(platform.hpet_address), PAGE_SIZE);
    u32 period = mmio_read32(hpet + HPET_PERIOD);
    if (!period || period > HPET_MAX_PERIOD)
        return 0;
    mmio_write32(hpet + HPET_CONFIG, mmio_read32(hpet + HPET_CONFIG) | 1);
    return FEMTO_PER_SEC / period;
}

/* Does it count at all? 10000 reads take longer than one tick of any of them. */
static bool advances(const struct ref_clock *ref) {
    u64 first = ref->read();
    for (u32 i = 0; i < 10000; i++)
        if (ref->read() != first)
            return true;
    return false;
}

bool ref_clock_find(struct ref_clock *ref) {
    if (platform.pm_timer_port) {
        *ref = (struct ref_clock){"ACPI PM timer", PM_TIMER_HZ, 0xffffff, pm_timer_read};
        if (advances(ref))
            return true;
    }
    u64 hpet_hz = platform.hpet_address ? hpet_start() : 0;
    if (hpet_hz) {
        *ref = (struct ref_clock){"HPET", hpet_hz, 0xffffffff, hpet_read};
        if (advances(ref))
            return true;
    }
    pit_start();
    *ref = (struct ref_clock){"PIT", PIT_HZ, 0xffff, pit_read};
    return advances(ref);
}

static bool told_by_hypervisor(u64 *tsc, u64 *apic) {
    static const char *const vouchers[] = {"KVMKVMKVM\0\0\0", "VMwareVMware"};
    u32 r[4], name[4] = {0};

    cpuid(1, 0, r);
    if (!(r[2] & BIT(31))) /* not under a hypervisor */
        return false;
    cpuid(0x40000000, 0, r);
    memcpy(name, &r[1], 12);
    for (u32 i = 0; i < ARRAY_SIZE(vouchers); i++) {
        if (memcmp(name, vouchers[i], 12) != 0 || r[0] < 0x40000010)
            continue;
        cpuid(0x40000010, 0, r);
        *tsc = r[0];
        *apic = r[1];
        return r[0] != 0;
    }
    return false;
}

/* Leaf 0x15: TSC / crystal = ebx / eax, crystal in Hz in ecx; where ecx is 0, leaf 0x16's base frequency tells it. */
static void told_by_cpu(u64 *tsc, u64 *apic) {
    u32 r[4], base[4] = {0};

    cpuid(0, 0, r);
    u32 max = r[0];
    if (max < 0x15)
        return;
    cpuid(0x15, 0, r);
    if (!r[0] || !r[1])
        return;
    if (max >= 0x16)
        cpuid(0x16, 0, base);
    u64 crystal_khz = r[2] ? r[2] / 1000 : (u64)(base[0] & 0xffff) * 1000 * r[0] / r[1];
    *apic = crystal_khz;
    *tsc = crystal_khz * r[1] / r[0];
}

void cpuid_frequencies(u64 *tsc, u64 *apic) {
    *tsc = *apic = 0;
    if (!told_by_hypervisor(tsc, apic))
        told_by_cpu(tsc, apic);
}
