// SPDX-License-Identifier: MIT
/*
 * The TSC as the machine's clock: its frequency, and that of the local APIC's timer, told by CPUID or measured in one
 * window of 10 ms; time_now(), and the wall clock at boot.
 */
#include "internal.h"
#include <pv/time.h>
#include <pv/x86.h>

#define WINDOW_MS 10
#define GUESS_KHZ 2000000
#define MAX_PROBES 8

u64 tsc_khz;
static u64 boot_tsc;
static bool ready;

/* All counters at one moment, as near as it gets. */
struct sample {
    u64 tsc, ref, apic;
};

/* The reading between two close readings of the TSC, the best of a few: an interruption of the (virtual) CPU by
 * something outside would show as a wide gap. */
static struct sample take_sample(const struct ref_clock *ref) {
    struct sample best = {0};
    u64 best_gap = UINT64_MAX;

    for (u32 i = 0; i < MAX_PROBES; i++) {
        u64 before = rdtsc();
        struct sample s = {.ref = ref->read(), .apic = ~apic_timer_count()};
        u64 gap = rdtsc() - before;
        if (gap < best_gap) {
            best_gap = gap;
            s.tsc = before + gap / 2;
            best = s;
        }
    }
    return best;
}

static void measure(const struct ref_clock *ref) {
    apic_timer_start_count();
    struct sample a = take_sample(ref);
    while (((ref->read() - a.ref) & ref->mask) < ref->hz * WINDOW_MS / 1000)
        cpu_relax();
    struct sample b = take_sample(ref);

    u64 ticks = (b.ref - a.ref) & ref->mask;
    if (!tsc_khz)
        tsc_khz = (b.tsc - a.tsc) * (ref->hz / 100) / (ticks * 10);
    if (!apic_timer_khz)
        apic_timer_khz = (u64)(u32)(b.apic - a.apic) * (ref->hz / 100) / (ticks * 10);
}

static const char *find_frequencies(void) {
    struct ref_clock ref;

    cpuid_frequencies(&tsc_khz, &apic_timer_khz);
    if (tsc_khz && (apic_timer_khz || x86_features.tsc_deadline))
        return "CPUID";
    if (ref_clock_find(&ref)) {
        measure(&ref);
        return ref.name;
    }
    if (!tsc_khz)
        tsc_khz = GUESS_KHZ;
    if (!apic_timer_khz)
        apic_timer_khz = GUESS_KHZ / 2;
    return "a guess: no PM timer, HPET or PIT works";
}

void platform_init_time(void) {
    struct tsc_scale scale;

    boot_tsc = rdtsc();
    const char *source = find_frequencies();
    time_scale_init(&scale, (u32)tsc_khz, boot_tsc, 0);
    time_set_scale(&scale);
    ready = true;
    apic_init_cpu(); /* the timer again as it should be */
    printk("TSC %lu.%03lu MHz by %s", tsc_khz / 1000, tsc_khz % 1000, source);

    u64 now_sec = platform_read_rtc();
    u64 now = time_now();
    if (now_sec)
        time_set_wallclock(now_sec - now / TIME_SEC(1), 0);
}

u64 time_now(void) {
    return likely(ready) ? time_tsc_to_ns(time_scale(), rdtsc()) : 0;
}

u64 time_tsc_now(void) {
    return rdtsc();
}

void platform_delay_us(u32 us) {
    if (!tsc_khz) {
        for (u32 i = 0; i < us; i++)
            outb(0x80, 0); /* the ISA bus takes about 1 us for it */
        return;
    }
    u64 end = rdtsc() + us * tsc_khz / 1000;
    while (rdtsc() < end)
        cpu_relax();
}
