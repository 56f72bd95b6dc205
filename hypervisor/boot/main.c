// SPDX-License-Identifier: MIT
// The boot CPU's way from the loader to the run loop.
#include <pv/boot.h>
#include <pv/boot_memory.h>
#include <pv/console.h>
#include <pv/debug.h>
#include <pv/gate.h>
#include <pv/launch_host.h>
#include <pv/lib.h>
#include <pv/mm.h>
#include <pv/platform.h>
#include <pv/run.h>
#include <pv/sched.h>
#include <pv/x86.h>

#include "internal.h"

#include <pv/gate_tables.h>

/* The boot CPU before cpu_create(): enough for this_cpu(), which locks ask for. */
static struct cpu early_cpu;
static u64 early_gate[3][512] __aligned(PAGE_SIZE);
static struct gate_const early_const __aligned(PAGE_SIZE);
extern u64 boot_l4[512];

static u64 physical(const void *p) {
    return (u64)p - HYP_TEXT_BASE;
}

u64 boot_gate_slot(void) {
    early_const.cpu = &early_cpu;
    early_gate[0][0] = physical(early_gate[1]) | PTE_P | PTE_W;
    early_gate[1][0] = physical(early_gate[2]) | PTE_P | PTE_W;
    early_gate[2][pt_slot(GATE_CONST, 1)] = physical(&early_const) | PTE_P | PTE_NX;
    return physical(early_gate[0]) | PTE_P | PTE_W;
}

static void read_loader(u32 kind, u64 info) {
    const void *block = maddr_to_virt(maddr(info));

    if (kind == BOOT_MULTIBOOT1)
        boot_read_multiboot1(block);
    else if (kind == BOOT_MULTIBOOT2)
        boot_read_multiboot2(block);
    else
        boot_read_pvh(block);
}

/* Act four, on the boot CPU's own stack and root: the rest of the machine, then guests. */
static void __noreturn boot_rest(struct cpu *c) {
    x86_init_cpu(c);
    apic_init_cpu();
    c->online = true;
    platform_init_time();
    console_start();
    platform_start_cpus((u32)0);
    debug_watch_cpus();
    printk("%u CPUs at %lu MHz, %lu KiB RAM, %lu KiB free\n", nr_cpus, tsc_khz / 1000, boot_memory_total >> 10,
           heap_free_count() << (PAGE_SHIFT - 10));
    if (DEBUG)
        debug_init_checks();
    launch_boot();
    printk("%u ms from entry to guests, %lu KiB free\n", (u32)(time_now() / 1000000),
           heap_free_count() << (PAGE_SHIFT - 10));
    if (DEBUG)
        debug_start_checks();
    run_loop();
}

static void __noreturn switch_stack(struct cpu *c) {
    write_cr3(virt_to_maddr(c->hyp_root).a);
    __asm__ volatile("movq %0, %%rsp\n\t"
                     "xorl %%ebp, %%ebp\n\t"
                     "pushq $0\n\t"
                     "jmp *%1" ::"r"(c->stack_top),
                     "r"(boot_rest), "D"(c)
                     : "memory");
    __builtin_unreachable();
}

void boot_main(u32 kind, u64 info) {
    struct cpu *c;

    boot_l4[GATE_SLOT] = boot_gate_slot();
    read_loader(kind, info);
    console_init(boot_info.command_line, &platform_uart_ops);
    debug_init();
    printk("Paravane %s, by %s\n", PARAVANE_VERSION, boot_info.loader);
    boot_report_unknown_options();
    sched_init();
    x86_detect_features();
    if (boot_option_off("pcid"))
        x86_features.pcid = false;
    boot_memory_init();
    boot_memory_finish();
    platform_init(maddr(boot_info.rsdp));
    gate_build_idt();
    gate_fast_path_off = boot_option_off("fastpath");
    c = cpu_create(platform.cpu[0].apic_id, platform.cpu[0].acpi_id);
    if (!c)
        panic("not enough memory for the boot CPU's tables");
    cpu_enlist(c);
    switch_stack(c);
}
