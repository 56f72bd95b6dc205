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

static volatile u8 *window[PLATFORM_MAX_IOAPICS];

static u32 ioapic_read(u32 i, u8 reg) {
    mmio_write32(window[i], reg);
    return mmio_read32(window[i] + 0x10);
}

static void ioapic_write(u32 i, u8 reg, u32 value) {
    mmio_write32(window[i], reg);
    mmio_write32(window[i] + 0x10, value);
}

static void init_one(u32 i) {
    struct platform_ioapic *io = &platform.ioapic[i];

    window[i] = mmio_map(maddr(io->address), PAGE_SIZE);
    io->nr_pins = (ioapic_read(i, IOAPIC_VERSION) >> 16 & 0xff) + 1;
    if (i && !io->gsi_base) /* the MP tables do not tell */
        io->gsi_base = io[-1].gsi_base + io[-1].nr_pins;
    for (u32 pin = 0; pin < io->nr_pins && pin < 120; pin++) {
        ioapic_write(i, (u8)IOAPIC_PIN(pin), PIN_MASKED);
        ioapic_write(i, (u8)(IOAPIC_PIN(pin) + 1), 0);
    }
}

void ioapic_init(void) {
    for (u32 i = 0; i < platform.nr_ioapics; i++)
        init_one(i);
}

/* The IO-APIC of a GSI, -1: none. */
static int find_ioapic(u32 gsi) {
    for (u32 i = 0; i < platform.nr_ioapics; i++) {
        const struct platform_ioapic *io = &platform.ioapic[i];
        if (gsi >= io->gsi_base && gsi - io->gsi_base < io->nr_pins)
            return (int)i;
    }
    return -1;
}

bool platform_route_gsi(u32 gsi, u16 madt_flags, u8 vector, u32 apic_id) {
    int i = find_ioapic(gsi);
    if (i < 0 || apic_id > 0xfe)
        return false;

    u8 reg = (u8)IOAPIC_PIN(gsi - platform.ioapic[i].gsi_base);
    u32 low = vector;
    if ((madt_flags & POLARITY_MASK) == POLARITY_LOW)
        low |= PIN_ACTIVE_LOW;
    if ((madt_flags & TRIGGER_MASK) == TRIGGER_LEVEL)
        low |= PIN_LEVEL;
    ioapic_write((u32)i, reg, PIN_MASKED);
    ioapic_write((u32)i, (u8)(reg + 1), apic_id << 24);
    ioapic_write((u32)i, reg, low);
    return true;
}

bool platform_route_isa_irq(u32 isa_irq, u8 vector, u32 apic_id) {
    const struct platform_isa_irq *irq = &platform.isa[isa_irq & 15];
    return platform_route_gsi(irq->gsi, irq->flags, vector, apic_id);
}

void platform_mask_gsi(u32 gsi) {
    int i = find_ioapic(gsi);
    if (i >= 0)
        ioapic_write((u32)i, (u8)IOAPIC_PIN(gsi - platform.ioapic[i].gsi_base), PIN_MASKED);
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
