// SPDX-License-Identifier: MIT
/*
 * The local APIC, in xAPIC (memory mapped) or x2APIC (MSR) mode: set-up, interrupts to other CPUs, end of interrupt,
 * and the one-shot timer, by TSC deadline where the CPU has it, else by its own counter. Each CPU touches its own only.
 */
#include "internal.h"
#include <pv/regs.h>
#include <pv/time.h>
#include <pv/x86.h>

enum apic_reg {
    APIC_ID = 0x20,
    APIC_TPR = 0x80,
    APIC_EOI = 0xb0,
    APIC_LDR = 0xd0,
    APIC_DFR = 0xe0,
    APIC_SVR = 0xf0,
    APIC_ESR = 0x280,
    APIC_ICR = 0x300,
    APIC_ICR_HIGH = 0x310,
    APIC_LVT_TIMER = 0x320,
    APIC_LVT_THERMAL = 0x330,
    APIC_LVT_PERF = 0x340,
    APIC_LVT_LINT0 = 0x350,
    APIC_LVT_LINT1 = 0x360,
    APIC_LVT_ERROR = 0x370,
    APIC_TIMER_INIT = 0x380,
    APIC_TIMER_COUNT = 0x390,
    APIC_TIMER_DIVIDE = 0x3e0,
    APIC_VERSION = 0x30,
};

#define APIC_BASE_X2 BIT(10)
#define APIC_BASE_ENABLE BIT(11)
#define SVR_ENABLE 0x100
#define LVT_MASKED (1u << 16)
#define LVT_DEADLINE (2u << 17)
#define LVT_NMI (4u << 8)
#define DIVIDE_BY_1 0xb
#define ICR_FIXED 0x0000
#define ICR_NMI 0x0400
#define ICR_INIT 0x0500
#define ICR_STARTUP 0x0600
#define ICR_PENDING 0x1000
#define ICR_ASSERT 0x4000

/* The counter runs at up to a few GHz and has 32 bits: later deadlines are approached in steps of this. */
#define MAX_STEP_NS 2000000000ul

static volatile u8 *xapic; /* NULL: x2APIC mode */
u64 apic_timer_khz;

static u32 apic_read(enum apic_reg reg) {
    return xapic ? mmio_read32(xapic + reg) : (u32)rdmsr(MSR_X2APIC + (reg >> 4));
}

static void apic_write(enum apic_reg reg, u32 value) {
    if (xapic)
        mmio_write32(xapic + reg, value);
    else
        wrmsr(MSR_X2APIC + (reg >> 4), value);
}

void apic_detect(void) {
    u64 base = rdmsr(MSR_APIC_BASE);
    u32 regs[4];

    if (!x86_features.x2apic && !xapic)
        xapic = mmio_map(maddr(base & 0x000ffffffffff000ul), PAGE_SIZE);
    cpuid(1, 0, regs);
    platform.boot_apic_id = regs[1] >> 24;
    if (base & APIC_BASE_X2)
        platform.boot_apic_id = (u32)rdmsr(MSR_X2APIC + (APIC_ID >> 4));
}

static void enable_mode(void) {
    u64 base = rdmsr(MSR_APIC_BASE);
    if (!(base & APIC_BASE_ENABLE))
        wrmsr(MSR_APIC_BASE, base |= APIC_BASE_ENABLE);
    if (!xapic && !(base & APIC_BASE_X2))
        wrmsr(MSR_APIC_BASE, base | APIC_BASE_X2);
}

static void mask_local_sources(void) {
    u32 max_lvt = apic_read(APIC_VERSION) >> 16 & 0xff;

    apic_write(APIC_LVT_LINT0, LVT_MASKED); /* the 8259 stays silent */
    apic_write(APIC_LVT_LINT1, LVT_NMI);
    if (max_lvt >= 3)
        apic_write(APIC_LVT_ERROR, LVT_MASKED);
    if (max_lvt >= 4)
        apic_write(APIC_LVT_PERF, LVT_MASKED);
    if (max_lvt >= 5)
        apic_write(APIC_LVT_THERMAL, LVT_MASKED);
}

void apic_init_cpu(void) {
    enable_mode();
    if (xapic) { /* flat logical mode; only physical destinations are used */
        apic_write(APIC_DFR, ~0u);
        apic_write(APIC_LDR, 0);
    }
    apic_write(APIC_TPR, 0);
    apic_write(APIC_SVR, SVR_ENABLE | VEC_SPURIOUS);
    mask_local_sources();
    if (x86_features.tsc_deadline) {
        apic_write(APIC_LVT_TIMER, LVT_DEADLINE | VEC_TIMER);
        __asm__ volatile("mfence" ::: "memory"); /* the mode is set before the first write to the deadline */
    } else {
        apic_write(APIC_TIMER_DIVIDE, DIVIDE_BY_1);
        apic_write(APIC_LVT_TIMER, VEC_TIMER);
        apic_write(APIC_TIMER_INIT, 0);
    }
}

u32 apic_own_id(void) {
    return xapic ? apic_read(APIC_ID) >> 24 : apic_read(APIC_ID);
}

void apic_eoi(void) {
    apic_write(APIC_EOI, 0);
}

static void write_icr(u32 apic_id, u32 low) {
    if (!xapic) {
        /* WRMSR to the ICR does not order earlier stores: what the IPI tells of must be visible first. */
        __asm__ volatile("mfence; lfence" ::: "memory");
        wrmsr(MSR_X2APIC + (APIC_ICR >> 4), (u64)apic_id << 32 | low);
        return;
    }
    for (u32 i = 0; i < 100000 && (apic_read(APIC_ICR) & ICR_PENDING); i++)
        cpu_relax();
    apic_write(APIC_ICR_HIGH, apic_id << 24);
    apic_write(APIC_ICR, low);
}

void apic_send_ipi(u32 apic_id, u8 vector) {
    write_icr(apic_id, ICR_FIXED | ICR_ASSERT | vector);
}
void apic_send_nmi(u32 apic_id) {
    write_icr(apic_id, ICR_NMI | ICR_ASSERT);
}
void apic_send_init(u32 apic_id) {
    write_icr(apic_id, ICR_INIT | ICR_ASSERT);
}
void apic_send_startup(u32 apic_id, u8 page) {
    write_icr(apic_id, ICR_STARTUP | ICR_ASSERT | page);
}

/* --- timer --- */

void apic_timer_start_count(void) {
    apic_write(APIC_TIMER_DIVIDE, DIVIDE_BY_1);
    apic_write(APIC_LVT_TIMER, LVT_MASKED | VEC_TIMER);
    apic_write(APIC_TIMER_INIT, ~0u);
}

u32 apic_timer_count(void) {
    return apic_read(APIC_TIMER_COUNT);
}

static void program_deadline(u64 deadline_ns, u64 now) {
    u64 tsc = 0; /* disarms */
    if (deadline_ns != UINT64_MAX) {
        u64 step = deadline_ns > now ? MIN(deadline_ns - now, MAX_STEP_NS) : 0;
        tsc = time_ns_to_tsc(time_scale(), now + step);
    }
    wrmsr(MSR_TSC_DEADLINE, tsc);
}

static void program_counter(u64 deadline_ns, u64 now) {
    u64 count = 0; /* stops */
    if (deadline_ns != UINT64_MAX) {
        u64 step = deadline_ns > now ? MIN(deadline_ns - now, MAX_STEP_NS) : 0;
        count = MIN(step * apic_timer_khz / 1000000 + 1, 0xfffffffful);
    }
    apic_write(APIC_TIMER_INIT, (u32)count);
}

void apic_timer_program(u64 deadline_ns) {
    u64 now = time_now();
    if (x86_features.tsc_deadline)
        program_deadline(deadline_ns, now);
    else
        program_counter(deadline_ns, now);
}
