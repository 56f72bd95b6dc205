// SPDX-License-Identifier: MIT
// The control domain's view of physical memory: the machine's memory map as the loader gave it, and which frames beside
// RAM it may map: registers of devices, firmware's tables. RAM it has only as any other domain, frame by frame.
#include "internal.h"

#include <pv/boot.h>
#include <pv/domain.h>
#include <pv/mm.h>
#include <pv/platform.h>

/* One entry of the map as the ABI has it: that of the firmware's E820 call. */
struct e820_entry {
    u64 start, size;
    u32 type;
} __packed;

long dom0_machine_memory_map(struct vcpu *v, gva_t at) {
    struct xen_memory_map m;
    u32 n;

    (void)v;
    if (copy_from_guest(&m, at, sizeof(m)))
        return -EFAULT;
    n = MIN(m.nr_entries, boot_info.nr_ranges);
    for (u32 i = 0; i < n; i++) {
        const struct boot_range *r = &boot_info.range[i];
        struct e820_entry e = {r->start, r->end - r->start, r->type};

        if (copy_to_guest(gva((u64)m.buffer.p + i * sizeof(e)), &e, sizeof(e)))
            return -EFAULT;
    }
    m.nr_entries = n;
    return copy_to_guest(at, &m, sizeof(m)) ? -EFAULT : 0;
}

/* The first megabyte is nobody's memory: firmware and kernels look for old tables there. */
static bool touches_ram(u64 start) {
    if (start < MiB(1))
        return false;
    for (u32 i = 0; i < boot_info.nr_ranges; i++) {
        const struct boot_range *r = &boot_info.range[i];

        if (r->ram && start < r->end && start + PAGE_SIZE > r->start)
            return true;
    }
    return false;
}

/* The frames at which processors take messages for interrupts, whatever their local APICs' own address is. */
#define MESSAGES_FIRST 0xfee00ul
#define MESSAGES_LAST 0xfeefful

bool dom0_mfn_forbidden(mfn_t m) {
    if (m.n >= MESSAGES_FIRST && m.n <= MESSAGES_LAST)
        return true;
    if (platform.lapic_address && m.n == platform.lapic_address >> PAGE_SHIFT)
        return true;
    for (u32 i = 0; i < platform.nr_ioapics; i++)
        if (m.n == platform.ioapic[i].address >> PAGE_SHIFT)
            return true;
    return false;
}

bool dom0_is_device(mfn_t m) {
    return m.n < 1ul << (platform.phys_bits - PAGE_SHIFT) && !touches_ram(m.n << PAGE_SHIFT) && !dom0_mfn_forbidden(m);
}

static bool may_map_device(const struct domain *d, mfn_t m) {
    return d->is_control && dom0_is_device(m);
}

void dom0_init(void) {
    mm_may_map_device = may_map_device;
    evtchn_pirq_hooks = &dom0_pirq_hooks;
}
