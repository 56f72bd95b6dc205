// SPDX-License-Identifier: MIT
/*
 * Switching the machine off and resetting it: by what ACPI describes, then by the ways that machines without ACPI (and
 * QEMU's in particular) understand. A microvm without ACPI has no off switch: it is reset, which QEMU's -no-reboot
 * makes an exit.
 */
#include "internal.h"
#include <pv/x86.h>

#define PM1_SCI_ENABLE 1
#define PM1_SLEEP_ENABLE (1 << 13)
#define SLEEP_CONTROL_ENABLE (1 << 5)
#define WAIT_US 50000

static void reg_write(const struct platform_reg *r, u32 value) {
    if (!r->size)
        return;
    if (!r->port) {
        volatile u8 *p = mmio_map(maddr(r->address & PAGE_MASK), PAGE_SIZE);
        p += r->address & (PAGE_SIZE - 1);
        if (r->size == 1)
            *p = (u8)value;
        else
            *(volatile u16 *)p = (u16)value;
    } else if (r->size == 1) {
        outb((u16)r->address, (u8)value);
    } else {
        outw((u16)r->address, (u16)value);
    }
}

static void __noreturn stop(void) {
    for (;;)
        cpu_halt_forever_insn();
}

/* An interrupt table without entries: the next exception has nowhere to go. */
static void triple_fault(void) {
    static const struct {
        u16 limit;
        u64 base;
    } __packed none;
    __asm__ volatile("lidt %0; int3" ::"m"(none));
}

void platform_reboot(void) {
    reg_write(&platform.reset, platform.reset_value);
    platform_delay_us(WAIT_US);
    outb(0xcf9, 0x02);
    outb(0xcf9, 0x06);
    platform_delay_us(WAIT_US);
    outb(0x64, 0xfe); /* the keyboard controller's reset line */
    platform_delay_us(WAIT_US);
    triple_fault();
    stop();
}

/* PM1 control registers obey only once the firmware has handed them over, which sets their bit SCI_EN. */
static void take_over_from_firmware(void) {
    if (!platform.pm1a.port || !platform.pm1a.size || !platform.smi_command.size || !platform.acpi_enable)
        return;
    if (inw((u16)platform.pm1a.address) & PM1_SCI_ENABLE)
        return;
    outb((u16)platform.smi_command.address, platform.acpi_enable);
    for (u32 i = 0; i < 1000 && !(inw((u16)platform.pm1a.address) & PM1_SCI_ENABLE); i++)
        platform_delay_us(300);
}

static void power_off_acpi(void) {
    if (!platform.have_s5)
        return;
    take_over_from_firmware();
    reg_write(&platform.sleep_control, (u32)platform.slp_typ_a << 2 | SLEEP_CONTROL_ENABLE);
    reg_write(&platform.pm1a, (u32)platform.slp_typ_a << 10 | PM1_SLEEP_ENABLE);
    reg_write(&platform.pm1b, (u32)platform.slp_typ_b << 10 | PM1_SLEEP_ENABLE);
    platform_delay_us(WAIT_US);
}

void platform_power_off(void) {
    power_off_acpi();
    if (!platform.rsdp) {
        outw(0x604, 0x2000); /* QEMU's q35 and pc, as their firmware sets them up */
        platform_delay_us(WAIT_US);
        platform_reboot();
    }
    printk("cannot switch the machine off by ACPI: halted");
    stop();
}
