// SPDX-License-Identifier: MIT
/*
 * Timers: for each CPU a pairing heap made of the timers themselves, so that setting one never needs memory. The first
 * child, next sibling, previous-sibling-or-parent form allows any timer to be taken out. Nothing recurses.
 */
#include <pv/time.h>
#include <pv/cpu.h>

struct timer_queue {
    struct spinlock lock;
    struct timer *root;
    struct timer *running; /* whose callback runs, or NULL; only to be compared */
} __aligned(64);

static struct timer_queue queues[MAX_CPUS] = {[0 ... MAX_CPUS - 1] = {.lock = SPINLOCK_INIT(LOCK_TIMER)}};

/* --- the heap --- */

/* Joins two heaps whose roots have no siblings; either may be NULL. */
static struct timer *heap_meld(struct timer *a, struct timer *b) {
    if (!a || !b)
        return a ? a : b;
    if (b->expires < a->expires) {
        struct timer *t = a;
        a = b;
        b = t;
    }
    b->prev = a;
    b->next = a->child;
    if (a->child)
        a->child->prev = b;
    a->child = b;
    return a;
}

/* Makes one heap of a list of siblings: melds them in pairs from the left, then the pairs into one. */
static struct timer *heap_merge_siblings(struct timer *first) {
    struct timer *pairs = NULL, *all = NULL;
    while (first) {
        struct timer *a = first, *b = a->next;
        first = b ? b->next : NULL;
        a->next = a->prev = NULL;
        if (b)
            b->next = b->prev = NULL;
        a = heap_meld(a, b);
        a->next = pairs;
        pairs = a;
    }
    while (pairs) {
        struct timer *a = pairs;
        pairs = a->next;
        a->next = NULL;
        all = heap_meld(all, a);
    }
    return all;
}

static void heap_remove(struct timer_queue *q, struct timer *t) {
    struct timer *below = heap_merge_siblings(t->child);
    if (t == q->root) {
        q->root = below;
    } else {
        if (t->prev->child == t)
            t->prev->child = t->next;
        else
            t->prev->next = t->next;
        if (t->next)
            t->next->prev = t->prev;
        q->root = heap_meld(q->root, below);
    }
    t->child = t->next = t->prev = NULL;
    t->queued = false;
}

static void heap_insert(struct timer_queue *q, struct timer *t) {
    t->child = t->next = t->prev = NULL;
    t->queued = true;
    q->root = heap_meld(q->root, t);
}

/* --- timers --- */

/* Locks the queue a timer belongs to, which may change until its lock is held. */
static struct timer_queue *timer_lock_queue(const struct timer *t) {
    for (;;) {
        u32 cpu = __atomic_load_n(&t->cpu, __ATOMIC_ACQUIRE);
        spin_lock(&queues[cpu].lock);
        if (__atomic_load_n(&t->cpu, __ATOMIC_ACQUIRE) == cpu)
            return &queues[cpu];
        spin_unlock(&queues[cpu].lock);
    }
}

void timer_init(struct timer *t, void (*fn)(void *arg), void *arg) {
    *t = (struct timer){.fn = fn, .arg = arg, .expires = TIME_NEVER};
}

void timer_set(struct timer *t, u32 cpu, u64 expires_ns) {
    struct timer_queue *q;
    ASSERT(cpu < MAX_CPUS);
    for (;;) {
        q = timer_lock_queue(t);
        if (t->queued)
            heap_remove(q, t);
        if (t->cpu == cpu)
            break;
        /* Whoever locks the other queue because of this sees that the timer has left its old one. */
        __atomic_store_n(&t->cpu, cpu, __ATOMIC_RELEASE);
        spin_unlock(&q->lock);
    }
    t->expires = expires_ns;
    heap_insert(q, t);
    bool earliest = q->root == t;
    spin_unlock(&q->lock);
    if (earliest && cpus[cpu])
        cpu_request(cpus[cpu], CPU_REQ_TIMER);
}

/* An interrupt that is programmed for a cancelled timer comes for nothing, once. That is cheaper than a request. */
void timer_cancel(struct timer *t) {
    struct timer_queue *q = timer_lock_queue(t);
    if (t->queued)
        heap_remove(q, t);
    spin_unlock(&q->lock);
}

/* A callback may move its timer to another queue, so all CPUs are looked at. */
void timer_cancel_sync(struct timer *t) {
    u32 rounds = 0;

    timer_cancel(t);
    for (u32 i = 0; i < MAX_CPUS; i++) {
        if (cpus[i] == this_cpu())
            continue;
        while (__atomic_load_n(&queues[i].running, __ATOMIC_ACQUIRE) == t) {
            timer_cancel(t);
            cpu_wait(&rounds, NULL);
        }
    }
    timer_cancel(t);
}

bool timer_is_set(const struct timer *t) {
    struct timer_queue *q = timer_lock_queue(t);
    bool set = t->queued;
    spin_unlock(&q->lock);
    return set;
}

void timer_run_expired(u32 cpu, u64 now) {
    struct timer_queue *q = &queues[cpu];
    spin_lock(&q->lock);
    while (q->root && q->root->expires <= now) {
        struct timer *t = q->root;
        void (*fn)(void *arg) = t->fn;
        void *arg = t->arg;
        heap_remove(q, t);
        q->running = t;
        spin_unlock(&q->lock);
        fn(arg);
        __atomic_store_n(&q->running, NULL, __ATOMIC_RELEASE);
        spin_lock(&q->lock);
    }
    spin_unlock(&q->lock);
}

u64 timer_next(u32 cpu) {
    struct timer_queue *q = &queues[cpu];
    spin_lock(&q->lock);
    u64 next = q->root ? q->root->expires : TIME_NEVER;
    spin_unlock(&q->lock);
    return next;
}
