// SPDX-License-Identifier: MIT
// The order of locks: each CPU keeps a list of those it holds, and taking one that should have come before any of them
// panics with both names, whether or not another CPU was in the way this time.
#include "checks.h"

#define MAX_HELD 12

static const char *const names[] = {
    [LOCK_WORK] = "work lock",
    [LOCK_CONTROL] = "control lock",
    [LOCK_STORE] = "store lock",
    [LOCK_CHANNELS] = "channels lock",
    [LOCK_DOMAIN] = "domain.lock",
    [LOCK_EVTCHN_PAIR] = "event channel pair lock",
    [LOCK_EVTCHN_HANDLER] = "event channel handler lock",
    [LOCK_EVTCHN] = "evtchn_table.lock",
    [LOCK_GNTTAB] = "gnttab.lock",
    [LOCK_GNTTAB_FIND] = "gnttab finding lock",
    [LOCK_MM] = "domain.mm_lock",
    [LOCK_PAUSE] = "vcpu.pause_lock",
    [LOCK_PAGES] = "domain.page_lock",
    [LOCK_CLAIMS] = "claims lock",
    [LOCK_DOMAINS] = "list of domains",
    [LOCK_SLAB] = "slab lock",
    [LOCK_HEAP] = "heap lock",
    [LOCK_SCHED] = "scheduler queue",
    [LOCK_CONSOLE] = "console lock",
    [LOCK_TIMER] = "timer queue",
};
_Static_assert(ARRAY_SIZE(names) == NR_LOCK_CLASSES, "each class has a name");

struct held {
    const void *lock, *where;
    enum lock_class of_class;
};

static struct {
    u32 n;
    struct held lock[MAX_HELD];
} held[MAX_CPUS];

static bool holds_class(u32 cpu, enum lock_class c) {
    for (u32 i = 0; i < held[cpu].n; i++)
        if (held[cpu].lock[i].of_class == c)
            return true;
    return false;
}

/* Of these classes a CPU may hold two: ports' tables in any order under the pair lock, queues in order of CPUs. */
static bool may_take_second(u32 cpu, const struct held *h, const void *lock) {
    return (h->of_class == LOCK_EVTCHN && holds_class(cpu, LOCK_EVTCHN_PAIR)) ||
           (h->of_class == LOCK_SCHED && lock > h->lock);
}

void locks_may_take(const void *lock, enum lock_class of_class) {
    u32 cpu = this_cpu()->id;

    for (u32 i = 0; i < held[cpu].n; i++) {
        const struct held *h = &held[cpu].lock[i];

        if (h->of_class > of_class)
            panic("lock order: %s is taken while %s is held", names[of_class], names[h->of_class]);
        if (h->of_class == of_class && !may_take_second(cpu, h, lock))
            panic("lock order: a second %s is taken", names[of_class]);
    }
}

void locks_taken(const void *lock, enum lock_class of_class, const void *where) {
    u32 cpu = this_cpu()->id;

    ASSERT(held[cpu].n < MAX_HELD);
    held[cpu].lock[held[cpu].n++] = (struct held){lock, where, of_class};
}

void locks_released(const void *lock) {
    u32 cpu = this_cpu()->id, i = held[cpu].n;

    while (i > 0 && held[cpu].lock[i - 1].lock != lock)
        i--;
    if (!i)
        panic("lock %p is released by a CPU that does not hold it", lock);
    held[cpu].n--;
    for (i--; i < held[cpu].n; i++)
        held[cpu].lock[i] = held[cpu].lock[i + 1];
}

void locks_none_held(void) {
    const struct held *h = &held[this_cpu()->id].lock[0];

    if (held[this_cpu()->id].n)
        panic("%s is still held on the way out of the hypervisor", names[h->of_class]);
}

void locks_print(u32 cpu) {
    char where[SYMBOL_NAME_SIZE + 32];

    for (u32 i = 0; i < held[cpu].n && i < MAX_HELD; i++) {
        const struct held *h = &held[cpu].lock[i];

        debug_format_address(where, sizeof(where), (u64)h->where - 1);
        printk("  holds %s, taken at %s\n", names[h->of_class], where);
    }
}
