// SPDX-License-Identifier: MIT
/*
 * The watchdog over stuck CPUs. Interrupts are always off in the hypervisor, so a CPU that does not come through its
 * run loop any more can only be found by another one. Each CPU looks at all others now and then: from a timer, and
 * while it waits for a lock or for others to leave their guests, so that a stuck CPU's victims look as well.
 *
 * It must never be wrong, whatever an outer host does with our (virtual) CPUs: time alone proves nothing. What counts
 * is looks, of which one is made in a period however late it comes, so that they stand still when the machine does; and
 * answers: a CPU without progress in some looks in a row is sent an NMI at each further one, which it can only take
 * while it runs itself. The suspect itself counts how often it was asked and still had not gone on, and then panics on
 * the spot: its registers are at hand. One that does not even take NMIs is given two minutes of looks.
 */
#include "internal.h"

#include <pv/platform.h>
#include <pv/time.h>

#define LOOK_NS (DEBUG ? TIME_MS(500) : TIME_SEC(1))
#define SUSPICIOUS 4 /* looks */
#define CONVINCING 6 /* answers after that */
#define HOPELESS 120 /* looks since the last one */

static struct watch {
    u64 next;     /* time of the next look; whoever moves it on makes that look */
    u64 progress; /* as it was at the last look */
    u32 looks;    /* in a row that found it so */
    u32 answers;  /* taken NMIs, meanwhile */
    u32 silent;   /* looks since the last of them, or since the first look in the row */
    u64 wanted;   /* entries + 1 at which another CPU waits for this one to come out of its guest */
} watches[MAX_CPUS];

static struct timer timers[MAX_CPUS];

static u64 progress_of(const struct cpu *c) {
    return READ_ONCE(c->entries) + READ_ONCE(c->rounds);
}

/* In a guest, or asleep, a CPU owes nobody progress, unless it was told to come out. */
static bool owes_progress(const struct cpu *c, const struct watch *w) {
    if (READ_ONCE(c->in_guest))
        return READ_ONCE(w->wanted) == READ_ONCE(c->entries) + 1;
    return !READ_ONCE(c->idle) && progress_of(c); /* not while it still boots */
}

static bool claim_look(struct watch *w) {
    u64 now = time_now(), next = READ_ONCE(w->next);

    return now >= next &&
           __atomic_compare_exchange_n(&w->next, &next, now + LOOK_NS, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

static void look_at(struct cpu *c, struct watch *w) {
    u64 progress = progress_of(c);

    if (!owes_progress(c, w) || progress != w->progress) {
        WRITE_ONCE(w->looks, 0);
        WRITE_ONCE(w->answers, 0);
        WRITE_ONCE(w->silent, 0);
        WRITE_ONCE(w->progress, progress);
        return;
    }
    WRITE_ONCE(w->looks, w->looks + 1);
    WRITE_ONCE(w->silent, w->silent + 1);
    if (w->looks >= SUSPICIOUS)
        apic_send_nmi(c->apic_id);
    if (READ_ONCE(w->silent) >= HOPELESS)
        panic("CPU %u is stuck and takes no NMI", c->id);
}

void cpu_look_at_others(struct cpu *awaited) {
    struct cpu *self = this_cpu();

    if (awaited)
        WRITE_ONCE(watches[awaited->id].wanted, READ_ONCE(awaited->entries) + 1);
    for (u32 i = 0; i < nr_cpus; i++)
        if (cpus[i] != self && READ_ONCE(cpus[i]->online) && claim_look(&watches[i]))
            look_at(cpus[i], &watches[i]);
}

void stuck_answer(const struct regs *r) {
    struct cpu *c = this_cpu();
    struct watch *w = &watches[c->id];

    if (READ_ONCE(w->looks) < SUSPICIOUS || !owes_progress(c, w) || progress_of(c) != READ_ONCE(w->progress))
        return;
    WRITE_ONCE(w->silent, 0);
    if (__atomic_add_fetch(&w->answers, 1, __ATOMIC_SEQ_CST) >= CONVINCING)
        panic_at(r, "CPU %u is stuck%s", c->id, READ_ONCE(c->in_guest) ? ": it does not leave its guest" : "");
}

static void look(void *arg) {
    cpu_look_at_others(NULL);
    timer_set(arg, this_cpu()->id, time_now() + LOOK_NS);
}

void debug_watch_cpus(void) {
    for (u32 i = 0; nr_cpus > 1 && i < nr_cpus; i++) {
        timer_init(&timers[i], look, &timers[i]);
        timer_set(&timers[i], i, time_now() + LOOK_NS);
    }
}
