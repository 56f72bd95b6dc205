// SPDX-License-Identifier: MIT
/*
 * Starting the other CPUs, one by one: INIT, then STARTUP with the page of the trampoline. The trampoline and the
 * tables it runs on lie in four pages of low memory that boot must not have given to anyone.
 */
#include "internal.h"
#include "trampoline.h"
#include <pv/debug.h>
#include <pv/mm.h>
#include <pv/x86.h>

#define ARRIVE_US 20000 /* two STARTUPs; the second only reaches a CPU that missed the first */
#define ONLINE_US 1000000

extern const u8 trampoline_start[];
extern const u32 trampoline_size;

static struct trampoline_mailbox *mailbox(void) {
    return maddr_to_virt(maddr(TRAMPOLINE_ADDRESS + TRAMPOLINE_MAILBOX));
}

static u64 *low_table(u32 n) {
    return maddr_to_virt(maddr(TRAMPOLINE_ADDRESS + (n + 1) * PAGE_SIZE));
}

/* L4, L3, L2: the first 2 MiB at their own address, and the hypervisor's half of the address space. */
static void build_tables(const struct cpu *c) {
    u64 *l4 = low_table(0), *l3 = low_table(1), *l2 = low_table(2);

    for (u32 i = 0; i < 3; i++)
        clear_page(low_table(i));
    memcpy(l4 + 256, c->hyp_root + 256, PAGE_SIZE / 2);
    l4[0] = (TRAMPOLINE_ADDRESS + 2 * PAGE_SIZE) | PTE_P | PTE_W;
    l3[0] = (TRAMPOLINE_ADDRESS + 3 * PAGE_SIZE) | PTE_P | PTE_W;
    l2[0] = PTE_P | PTE_W | PTE_PSE;
}

static void prepare(struct cpu *c) {
    memcpy(maddr_to_virt(maddr(TRAMPOLINE_ADDRESS)), trampoline_start, trampoline_size);
    build_tables(c);
    *mailbox() = (struct trampoline_mailbox){
        .cr3 = virt_to_maddr(c->hyp_root).a,
        .stack = c->stack_top,
        .cpu = (u64)c,
        .entry = (u64)cpu_ap_main,
    };
}

static bool wait_flag(const volatile u32 *flag, u32 us) {
    u64 end = rdtsc() + us * tsc_khz / 1000;
    while (!*flag && rdtsc() < end)
        cpu_relax();
    return *flag;
}

static bool wait_online(struct cpu *c) {
    u64 end = rdtsc() + ONLINE_US * tsc_khz / 1000;
    while (!READ_ONCE(c->online) && rdtsc() < end)
        cpu_relax();
    return READ_ONCE(c->online);
}

static bool start_cpu(struct cpu *c) {
    const volatile u32 *arrived = &mailbox()->arrived;
    bool here = false;

    prepare(c);
    apic_send_init(c->apic_id);
    platform_delay_us(20);
    for (u32 tries = 0; tries < 2 && !here && !(DEBUG && debug_cpu_fails(c->apic_id)); tries++) {
        apic_send_startup(c->apic_id, TRAMPOLINE_ADDRESS >> PAGE_SHIFT);
        here = wait_flag(arrived, ARRIVE_US * (tries ? 10 : 1));
    }
    if (here && wait_online(c))
        return true;
    apic_send_init(c->apic_id); /* it must not wake up later in memory that has become something else */
    printk("CPU with APIC id %u does not start (%s)", c->apic_id, here ? "stuck" : "no answer");
    return false;
}

u32 platform_start_cpus(u32 max) {
    u32 online = 1;
    for (u32 i = 1; i < platform.nr_cpus && (!max || online < max); i++) {
        struct cpu *c = cpu_create(platform.cpu[i].apic_id, platform.cpu[i].acpi_id);
        if (!c) {
            printk("no memory for CPU with APIC id %u", platform.cpu[i].apic_id);
            break;
        }
        if (start_cpu(c)) {
            cpu_enlist(c);
            online++;
        }
    }
    return online;
}
