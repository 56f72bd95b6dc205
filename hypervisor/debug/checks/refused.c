// SPDX-License-Identifier: MIT
// What the debug build writes down of refused hypercalls: which guest asked for what, and what it was told. Guests can
// ask as often as they like, so only so many lines go out in a second.
#include "checks.h"

#include <pv/domain.h>

#define BURST 32 /* at once */
#define PER_SECOND 8

static struct {
    u64 since; /* ns: lines until then have been earned */
    u32 left_out;
} limit;

/* A line may go out. Two CPUs that ask at the same time may both be told yes, or no. */
static bool allowed(void) {
    u64 now = time_now(), cost = TIME_SEC(1) / PER_SECOND, since = READ_ONCE(limit.since);

    if (now > since + BURST * cost)
        since = now - BURST * cost;
    if (since + cost > now)
        return false;
    WRITE_ONCE(limit.since, since + cost);
    return true;
}

void debug_refused(const struct vcpu *v, u64 number, const u64 *arg, long rc) {
    u32 left_out;

    if (!allowed()) {
        __atomic_add_fetch(&limit.left_out, 1, __ATOMIC_RELAXED);
        return;
    }
    left_out = __atomic_exchange_n(&limit.left_out, 0, __ATOMIC_RELAXED);
    if (left_out)
        printk("debug: %u refusals more\n", left_out);
    printk("debug: guest %s vCPU %u: hypercall %lu (%lx, %lx, %lx, %lx): %ld\n", v->domain->name, v->id, number, arg[0],
           arg[1], arg[2], arg[3], rc);
}
