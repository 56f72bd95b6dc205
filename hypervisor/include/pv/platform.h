/* SPDX-License-Identifier: MIT */
/*
 * platform: the machine around the CPU cores: ACPI tables, local APICs and IO-APICs, the clock, starting the other
 * CPUs, the UART's ports, power off and reboot. QEMU's q35, pc and microvm machines are what it is tested on.
 *
 * Order of calls at boot. BSP:
 *     platform_init(rsdp)          memory and direct map ready; reads ACPI (or MP) tables, masks the 8259s, IO-APICs
 *     cpu_create(platform.boot_apic_id, ...) by boot, this_cpu() works from here on
 *     apic_init_cpu()              IDT loaded
 *     platform_init_time()         5-10 ms unless CPUID tells the frequencies; time_now() is valid afterwards
 *     platform_route_irq(...)      as the console asks
 *     platform_start_cpus()        last
 * AP: cpu_ap_main(c) with its own stack and c->hyp_root loaded, IF=0, no IDT, and flat segments of a GDT that is no
 * longer mapped: it loads its GDT, IDT and TSS, calls apic_init_cpu(), then sets c->online, which platform_start_cpus()
 * waits for. Physical 0x8000-0xbfff must be RAM that belongs to nobody: the CPUs start there.
 */
#ifndef PV_PLATFORM_H
#define PV_PLATFORM_H

#include <pv/cpu.h>
#include <pv/types.h>

/* --- what was found; constant after platform_init() --- */
#define PLATFORM_MAX_IOAPICS 8

struct platform_ioapic {
    u32 id, gsi_base, nr_pins;
    u64 address;
};

/* An ISA interrupt line that is not identity mapped to its GSI; flags as in the MADT (polarity, trigger). */
struct platform_isa_irq {
    u32 gsi;
    u16 flags;
};

/* A window through which PCI configuration space is memory (ACPI's MCFG): 1 MiB a bus, bus 0 of the segment at address.
 */
#define PLATFORM_MAX_MMCFGS 8
struct platform_mmcfg {
    u64 address;
    u16 segment;
    u8 start_bus, end_bus;
};

struct platform_cpu_id {
    u32 apic_id, acpi_id;
};

/* A register of ACPI's generic address form; size 0: absent. */
struct platform_reg {
    bool port; /* I/O port, else memory */
    u8 size;   /* bytes */
    u64 address;
};

struct platform_info {
    u64 rsdp; /* machine address, 0: no ACPI */
    u32 boot_apic_id;
    u32 nr_cpus; /* usable CPUs listed, the boot CPU first */
    struct platform_cpu_id cpu[MAX_CPUS];
    u32 nr_ioapics;
    struct platform_ioapic ioapic[PLATFORM_MAX_IOAPICS];
    struct platform_isa_irq isa[16];
    u32 nr_mmcfgs;
    struct platform_mmcfg mmcfg[PLATFORM_MAX_MMCFGS];
    u64 lapic_address;
    u16 pm_timer_port; /* 0: none */
    bool pm_timer_32bit;
    u64 hpet_address; /* 0: none */
    struct platform_reg reset, sleep_control, pm1a, pm1b, smi_command;
    u8 reset_value, slp_typ_a, slp_typ_b, acpi_enable;
    bool have_s5;
    bool no_legacy; /* the FADT says that there are no 8042, no RTC... (microvm) */
    u16 sci_gsi;
    u8 phys_bits; /* of a machine address */
};
extern struct platform_info platform;

/* BSP, once, with the direct map up. rsdp: from the boot protocol, 0: look for it. Never fails: what is missing is
 * reported once and done without. */
void platform_init(maddr_t rsdp);

/* --- local APIC (any CPU, own state only) --- */
void apic_init_cpu(void);
u32 apic_own_id(void);
void apic_send_ipi(u32 apic_id, u8 vector);
void apic_send_nmi(u32 apic_id);
void apic_eoi(void);
/* This CPU's one-shot interrupt VEC_TIMER at time_now() == deadline_ns; in the past: at once; UINT64_MAX: none. */
void apic_timer_program(u64 deadline_ns);

/* --- device interrupts --- */
/* Routes an ISA interrupt line, as ACPI's overrides say, to a vector of one CPU, unmasked, for the hypervisor's own
 * use; false: no IO-APIC has it. */
bool platform_route_isa_irq(u32 isa_irq, u8 vector, u32 apic_id);

struct platform_route {
    u8 vector;
    bool level, low; /* else edge, active high */
    u32 apic_id;
};
/* By GSI. One caller at a time for one GSI. A new route is masked; false: there is no such line, or it cannot reach
 * that CPU. The others do nothing then. */
bool platform_set_gsi(u32 gsi, const struct platform_route *r);
void platform_move_gsi(u32 gsi, u32 apic_id);
void platform_mask_gsi(u32 gsi);
void platform_unmask_gsi(u32 gsi);
bool platform_has_gsi(u32 gsi);
bool platform_owns_gsi(u32 gsi); /* routed by platform_route_isa_irq() */
/* What kind of line it is as far as the MADT tells; vector and CPU are 0. */
struct platform_route platform_default_route(u32 gsi);
/* A register of the IO-APIC at this machine address; false: none there, or no such register. */
bool platform_read_ioapic(u64 address, u32 reg, u32 *value);

/* --- I/O ports and PCI configuration space; any CPU --- */
/* size: 1, 2 or 4. */
u32 platform_port_read(u16 port, u32 size);
void platform_port_write(u16 port, u32 size, u32 value);

struct pci_address {
    u16 seg;
    u8 bus, devfn;
};
/* All ones, of the size asked for, where there is nothing. Locks: pci_lock, inside. */
u32 pci_read(struct pci_address a, u32 reg, u32 size);
void pci_write(struct pci_address a, u32 reg, u32 size, u32 value);
/* A device's registers; NULL: out of reach, or no memory for tables. Lives for ever. */
void *pci_map_memory(u64 address, size_t size);

/* --- time; time_now() is declared in <pv/time.h> and lives here --- */
void platform_init_time(void);
extern u64 tsc_khz;
extern u64 apic_timer_khz;
/* Seconds since 1970 by the battery clock, 0: there is none. About 1 ms at worst. */
u64 platform_read_rtc(void);
/* Busy wait; before platform_init_time() it is only roughly right. */
void platform_delay_us(u32 us);

/* --- other CPUs --- */
/* Starts all CPUs listed, up to max (0: no limit), one by one; each is given 200 ms. Returns the number online. */
u32 platform_start_cpus(u32 max);
/* Provided by x86: a struct cpu with stack and roots, of the next number (NULL: out of memory); what makes it one of
 * cpus[], once it runs: nobody waits for a CPU that did not start, or gives it work; and where an AP begins its life in
 * C. */
struct cpu *cpu_create(u32 apic_id, u32 acpi_id);
void cpu_enlist(struct cpu *c);
void cpu_ap_main(struct cpu *c) __noreturn;

/* --- the end --- */
void platform_power_off(void) __noreturn;
void platform_reboot(void) __noreturn;

/* --- the serial port's registers, for the console --- */
struct uart_ops;
extern const struct uart_ops platform_uart_ops;
bool platform_has_debug_port(void); /* port 0xe9 of QEMU and Bochs */
void platform_debug_port_write(char c);

#endif
