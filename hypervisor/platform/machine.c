// SPDX-License-Identifier: MIT
/* What was found of the machine, and the order in which it is looked for; the UART's and the debug port's I/O ports. */
#include "internal.h"
#include <pv/console.h>
#include <pv/mm.h>
#include <pv/x86.h>

#define DEBUG_PORT 0xe9

struct platform_info platform;

/* Firmware keeps its tables below 4 GiB: in RAM, which the direct map has, or in something else. */
const u8 *firmware_map(u64 at, size_t len) {
    if (at >= GiB(4) || len > GiB(4) - at)
        return NULL;
    u8 *p = maddr_to_virt(maddr(at));
    for (u64 page = ALIGN_DOWN((u64)p, PAGE_SIZE); page < (u64)p + len; page += PAGE_SIZE)
        if (!hyp_is_mapped(page))
            return mmio_map(maddr(at), len);
    return p;
}

static void set_isa_identity(void) {
    for (u32 i = 0; i < 16; i++)
        platform.isa[i].gsi = i;
}

void platform_init(maddr_t rsdp) {
    platform.phys_bits = x86_features.phys_bits;
    set_isa_identity();
    apic_detect();
    platform_add_cpu(&platform, platform.boot_apic_id, 0);
    if (!acpi_init(rsdp.a, &platform) && !mptable_init(&platform))
        printk("neither ACPI nor MP tables: one CPU, no device interrupts");
    pic_mask();
    ioapic_init();
    printk("%u CPUs, %u IO-APICs, %s", platform.nr_cpus, platform.nr_ioapics, x86_features.x2apic ? "x2APIC" : "xAPIC");
}

static u8 uart_port_read(u16 base, u8 reg) {
    return inb((u16)(base + reg));
}
static void uart_port_write(u16 base, u8 reg, u8 value) {
    outb((u16)(base + reg), value);
}
const struct uart_ops platform_uart_ops = {uart_port_read, uart_port_write};

bool platform_has_debug_port(void) {
    return inb(DEBUG_PORT) == DEBUG_PORT;
}
void platform_debug_port_write(char c) {
    outb(DEBUG_PORT, (u8)c);
}
