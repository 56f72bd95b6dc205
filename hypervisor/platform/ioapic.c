// SPDX-License-Identifier: MIT
/*
 * Device interrupts: the IO-APICs, with every pin masked but those that platform_route_gsi() asked for, and the 8259s,
 * moved away from the exception vectors and masked for good.
 */
#include "internal.h"
#include <pv/x86.h>

#define IOAPIC_VERSION 1
#define IOAPIC_PIN(n) (0x10 + 2 * (n))
#define PIN_MASKED (1u << 16)
#define PIN_LEVEL (1u << 15)
#define PIN_ACTIVE_LOW (1u << 13)

enum madt_flag { POLARITY_MASK = 3, POLARITY_LOW = 3, TRIGGER_MASK = 3 << 2, TRIGGER_LEVEL = 3 << 2 };

#define MAX_PINS 120 /* what 8 bits of register number reach */

static volatile u8 *window[PLATFORM_MAX_IOAPICS];
static u32 routes[PLATFORM_MAX_IOAPICS][MAX_PINS]; /* the lower words of the pins' entries */
static bool ours[PLATFORM_MAX_IOAPICS][MAX_PINS];
/* Guards the pairs of registers; a pin is changed by one CPU at a time, callers see to that. */
static struct spinlock ioapic_lock = SPINLOCK_INIT(LOCK_DEVICE);

static u32 ioapic_read(u32 i, u8 reg) {
    spin_lock(&ioapic_lock);
    mmio_write32(window[i], reg);
    u32 value = mmio_read32(window[i] + 0x10);
    spin_unlock(&ioapic_lock);
    return value;
}

static void ioapic_write(u32 i, u8 reg, u32 value) {
    spin_lock(&ioapic_lock);
    mmio_write32(window[i], reg);
    mmio_write32(window[i] + 0x10, value);
    spin_unlock(&ioapic_lock);
}

static void init_one(u32 i) {
    struct platform_ioapic *io = &platform.ioapic[i];

    window[i] = mmio_map(maddr(io->address), PAGE_SIZE);
    io->nr_pins = MIN((ioapic_read(i, IOAPIC_VERSION) >> 16 & 0xff) + 1, MAX_PINS);
    if (i && !io->gsi_base) /* the MP tables do not tell */
        io->gsi_base = io[-1].gsi_base + io[-1].nr_pins;
    for (u32 pin = 0; pin < io->nr_pins; pin++) {
        ioapic_write(i, (u8)IOAPIC_PIN(pin), PIN_MASKED);
        ioapic_write(i, (u8)(IOAPIC_PIN(pin) + 1), 0);
    }
}

void ioapic_init(void) {
    for (u32 i = 0; i < platform.nr_ioapics; i++)
        init_one(i);
}

struct pin {
    u32 ioapic, number;
    u8 reg;
};

static bool find_pin(u32 gsi, struct pin *pin) {
    for (u32 i = 0; i < platform.nr_ioapics; i++) {
        const struct platform_ioapic *io = &platform.ioapic[i];
        if (gsi >= io->gsi_base && gsi - io->gsi_base < io->nr_pins) {
            *pin = (struct pin){i, gsi - io->gsi_base, (u8)IOAPIC_PIN(gsi - io->gsi_base)};
            return true;
        }
    }
    return false;
}

static void write_route(const struct pin *pin, u32 low) {
    routes[pin->ioapic][pin->number] = low;
    ioapic_write(pin->ioapic, pin->reg, low);
}

bool platform_set_gsi(u32 gsi, const struct platform_route *r) {
    struct pin pin;
    if (r->apic_id > 0xfe || !find_pin(gsi, &pin))
        return false;
    write_route(&pin, PIN_MASKED);
    ioapic_write(pin.ioapic, (u8)(pin.reg + 1), r->apic_id << 24);
    write_route(&pin, r->vector | (r->low ? PIN_ACTIVE_LOW : 0) | (r->level ? PIN_LEVEL : 0) | PIN_MASKED);
    return true;
}

void platform_move_gsi(u32 gsi, u32 apic_id) {
    struct pin pin;
    if (apic_id <= 0xfe && find_pin(gsi, &pin))
        ioapic_write(pin.ioapic, (u8)(pin.reg + 1), apic_id << 24);
}

void platform_mask_gsi(u32 gsi) {
    struct pin pin;
    if (find_pin(gsi, &pin))
        write_route(&pin, routes[pin.ioapic][pin.number] | PIN_MASKED);
}

void platform_unmask_gsi(u32 gsi) {
    struct pin pin;
    if (find_pin(gsi, &pin))
        write_route(&pin, routes[pin.ioapic][pin.number] & ~PIN_MASKED);
}

bool platform_has_gsi(u32 gsi) {
    struct pin pin;
    return find_pin(gsi, &pin);
}

bool platform_owns_gsi(u32 gsi) {
    struct pin pin;
    return find_pin(gsi, &pin) && ours[pin.ioapic][pin.number];
}

static struct platform_route route_by_flags(u16 madt_flags, u8 vector, u32 apic_id) {
    return (struct platform_route){vector, (madt_flags & TRIGGER_MASK) == TRIGGER_LEVEL,
                                   (madt_flags & POLARITY_MASK) == POLARITY_LOW, apic_id};
}

struct platform_route platform_default_route(u32 gsi) {
    for (u32 i = 0; i < ARRAY_SIZE(platform.isa); i++)
        if (platform.isa[i].gsi == gsi)
            return route_by_flags(platform.isa[i].flags, 0, 0);
    return (struct platform_route){.level = true, .low = true}; /* PCI's */
}

bool platform_route_isa_irq(u32 isa_irq, u8 vector, u32 apic_id) {
    const struct platform_isa_irq *irq = &platform.isa[isa_irq & 15];
    struct platform_route r = route_by_flags(irq->flags, vector, apic_id);
    struct pin pin;

    if (!platform_set_gsi(irq->gsi, &r) || !find_pin(irq->gsi, &pin))
        return false;
    ours[pin.ioapic][pin.number] = true;
    platform_unmask_gsi(irq->gsi);
    return true;
}

bool platform_read_ioapic(u64 address, u32 reg, u32 *value) {
    for (u32 i = 0; i < platform.nr_ioapics; i++) {
        if (platform.ioapic[i].address != address || reg > 0xff)
            continue;
        *value = ioapic_read(i, (u8)reg);
        return true;
    }
    return false;
}

/* Initialisation words: edge, cascade, ICW4 follows; vectors 0x20-0x2f; slave on line 2; 8086 mode. Then mask all. */
void pic_mask(void) {
    static const struct {
        u16 port;
        u8 value;
    } words[] = {
        {0x20, 0x11}, {0xa0, 0x11}, {0x21, 0x20}, {0xa1, 0x28}, {0x21, 0x04},
        {0xa1, 0x02}, {0x21, 0x01}, {0xa1, 0x01}, {0x21, 0xff}, {0xa1, 0xff},
    };
    for (u32 i = 0; i < ARRAY_SIZE(words); i++)
        outb(words[i].port, words[i].value);
}
