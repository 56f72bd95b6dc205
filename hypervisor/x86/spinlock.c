// SPDX-License-Identifier: MIT
// Ticket locks. They know their holder, so that functions can assert the locks they expect; a CPU that waits for a lock
// it holds itself is a bug of ours and panics at once.
#include <pv/x86.h>
#include <pv/debug.h>
#include <pv/lib.h>

void spin_init(struct spinlock *l, enum lock_class of_class) {
    *l = (struct spinlock)SPINLOCK_INIT(of_class);
}

static __attribute__((noinline)) void wait_for(struct spinlock *l, u32 ticket, int self) {
    u32 rounds = 0;

    if (READ_ONCE(l->cpu) == self)
        panic("lock %p: CPU %d waits for itself", (void *)l, self);
    while (__atomic_load_n(&l->owner, __ATOMIC_ACQUIRE) != ticket)
        cpu_wait(&rounds, NULL);
}

void spin_lock(struct spinlock *l) {
    int self = (int)this_cpu()->id;
    u32 ticket;

    if (DEBUG)
        locks_may_take(l, l->of_class);
    ticket = __atomic_fetch_add(&l->next, 1, __ATOMIC_ACQUIRE);
    if (unlikely(READ_ONCE(l->owner) != ticket))
        wait_for(l, ticket, self);
    WRITE_ONCE(l->cpu, (s16)self);
    if (DEBUG)
        locks_taken(l, l->of_class, __builtin_return_address(0));
}

/* Out of order as well: who does not wait is in nobody's way. */
bool spin_trylock(struct spinlock *l) {
    u32 owner = __atomic_load_n(&l->owner, __ATOMIC_ACQUIRE), expected = owner;

    if (!__atomic_compare_exchange_n(&l->next, &expected, owner + 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
        return false;
    WRITE_ONCE(l->cpu, (s16)this_cpu()->id);
    if (DEBUG)
        locks_taken(l, l->of_class, __builtin_return_address(0));
    return true;
}

void spin_unlock(struct spinlock *l) {
    if (DEBUG)
        locks_released(l);
    WRITE_ONCE(l->cpu, -1);
    __atomic_store_n(&l->owner, l->owner + 1, __ATOMIC_RELEASE);
}

bool spin_held(const struct spinlock *l) {
    return READ_ONCE(l->cpu) == (int)this_cpu()->id;
}
