// SPDX-License-Identifier: MIT
/*
 * Which device memory the control domain may not map: the registers of local APICs and IO-APICs. Everything else that
 * is not RAM is a device's, or nobody's.
 */
#include <pv/dom0.h>
#include <pv/platform.h>

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
