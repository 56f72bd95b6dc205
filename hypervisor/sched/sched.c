// SPDX-License-Identifier: MIT
/*
 * The transitions of an entity, each under the lock of its queue, and the choice of what a CPU runs next.
 */
#include "internal.h"

#define SLICE_MIN 50000ull /* ns: no timer sooner than this, whatever is left of a request or a cap */

static u64 granularity = SCHED_GRANULARITY; /* atomic */

static void request_resched(u32 cpu) {
    if (cpus[cpu])
        cpu_request(cpus[cpu], CPU_REQ_RESCHED);
}

static u32 weight_in_range(u32 weight) {
    return MIN(MAX(weight, 1u), (u32)SCHED_WEIGHT_MAX);
}

/* --- caps --- */

static u64 cap_budget(const struct sched_entity *e) {
    return SCHED_CAP_WINDOW / 100 * e->cap;
}

/* New windows bring budget, which pays old debt first and is not saved up beyond one window's worth. */
static void cap_refill(struct sched_entity *e, u64 now) {
    if (!sched_is_capped(e) || now < e->cap_window + SCHED_CAP_WINDOW)
        return;
    u64 windows = (now - e->cap_window) / SCHED_CAP_WINDOW;
    e->cap_window += windows * SCHED_CAP_WINDOW;
    s64 left = e->cap_left + (s64)(MIN(windows, 1000000ul) * cap_budget(e));
    e->cap_left = MIN(left, (s64)cap_budget(e));
}

static bool cap_used_up(const struct sched_entity *e) {
    return sched_is_capped(e) && e->cap_left <= 0;
}

/* -> PARKED; it is in no list. */
static void park(struct queue *q, struct sched_entity *e) {
    list_add_tail(&q->parked, &e->link);
    e->state = SCHED_PARKED;
}

/* PARKED -> QUEUED, for those whose next window has begun. */
static void unpark_due(struct queue *q, u64 now) {
    struct sched_entity *e, *next;
    list_for_each_safe(e, next, &q->parked, link) {
        cap_refill(e, now);
        if (cap_used_up(e))
            continue;
        list_del(&e->link);
        queue_join(q, e, SCHED_SLICE, now);
    }
}

/* --- into and out of queues --- */

void sched_entity_init(struct sched_entity *e, u32 weight, u32 cap, u64 affinity) {
    *e = (struct sched_entity){
        .state = SCHED_SLEEPING,
        .weight = weight_in_range(weight),
        .cap = cap,
        .affinity = affinity,
        .soft = SCHED_AFFINITY_ANY,
    };
    e->cap_left = sched_is_capped(e) ? (s64)cap_budget(e) : 0;
    list_init(&e->link);
}

/* In a list, or curr -> SLEEPING or GONE */
static void take_out(struct queue *q, struct sched_entity *e, enum sched_state to, u64 now) {
    queue_charge(q, now);
    if (e->state == SCHED_QUEUED || e->state == SCHED_RUNNING)
        queue_leave(q, e, now);
    else if (e->state == SCHED_PARKED)
        list_del(&e->link);
    e->state = to;
}

static bool is_done(const struct sched_entity *e) {
    return !vtime_before(e->vruntime, e->deadline);
}

/* Must q's CPU choose again, now that e waits there? Yes if e goes first, or ends its CPU's being alone. */
static bool should_preempt(struct queue *q, const struct sched_entity *e) {
    const struct sched_entity *curr = q->curr;
    if (!curr || q->nr_waiting == 1 || is_done(curr))
        return true;
    return (e->boosted || !vtime_before(queue_vtime(q), e->vruntime)) && queue_precedes(e, curr);
}

/* SLEEPING -> QUEUED or PARKED, on a queue it may use. */
static void put_in(struct queue *q, struct sched_entity *e, u64 request, u64 now) {
    queue_charge(q, now);
    cap_refill(e, now);
    if (cap_used_up(e))
        park(q, e);
    else
        queue_join(q, e, request, now);
    if (e->state == SCHED_PARKED || should_preempt(q, e)) /* parked: that CPU must know when to look again */
        request_resched(e->cpu);
}

static void wake(struct sched_entity *e, u64 request, u64 now) {
    u32 target = READ_ONCE(e->on_cpu) ? READ_ONCE(e->cpu) : balance_choose_cpu(e);
    for (;;) {
        struct queue *q = sched_lock_entity(e);
        bool there = e->cpu == target || e->on_cpu;
        if (e->state == SCHED_SLEEPING) {
            if (there)
                put_in(q, e, request, now);
            else
                __atomic_store_n(&e->cpu, target, __ATOMIC_RELEASE);
        } else {
            there = true; /* somebody else woke it, or it is gone */
        }
        spin_unlock(&q->lock);
        if (there)
            return;
    }
}

void sched_wake(struct sched_entity *e, u64 now) {
    wake(e, SCHED_WAKE_SLICE, now);
}

void sched_sleep(struct sched_entity *e, u64 now) {
    struct queue *q = sched_lock_entity(e);
    bool running = e->state == SCHED_RUNNING;
    if (e->state != SCHED_GONE && e->state != SCHED_SLEEPING)
        take_out(q, e, SCHED_SLEEPING, now);
    if (running)
        request_resched(e->cpu);
    spin_unlock(&q->lock);
}

bool sched_entity_remove(struct sched_entity *e, u64 now) {
    struct queue *q = sched_lock_entity(e);
    take_out(q, e, SCHED_GONE, now);
    bool held = e->on_cpu;
    if (held)
        request_resched(e->cpu);
    spin_unlock(&q->lock);
    return !held;
}

/* What spins for others would keep its place in front by running little: it is never owed more than the bound. And the
 * request of a wake-up is done: two that were boosted would hand the CPU to each other for ever. */
void sched_yield_entity(struct sched_entity *e, u64 now) {
    struct queue *q = sched_lock_entity(e);
    if (e->state == SCHED_RUNNING) {
        queue_charge(q, now);
        u64 least = queue_vtime(q) - virtual_ns(e, LAG_MAX);
        if (vtime_before(e->vruntime, least))
            e->vruntime = least;
        e->deadline = e->vruntime + virtual_ns(e, SCHED_SLICE);
        e->boosted = false;
        e->yielded = true;
        request_resched(e->cpu);
    }
    spin_unlock(&q->lock);
}

/* --- parameters --- */

void sched_set_weight(struct sched_entity *e, u32 weight, u64 now) {
    struct queue *q = sched_lock_entity(e);
    queue_charge(q, now);
    weight = weight_in_range(weight);
    if (e->state == SCHED_QUEUED || e->state == SCHED_RUNNING) {
        queue_set_weight(q, e, weight);
        request_resched(e->cpu);
    } else {
        e->lag = e->lag * (s64)e->weight / (s64)weight;
        WRITE_ONCE(e->weight, weight);
    }
    spin_unlock(&q->lock);
}

void sched_set_cap(struct sched_entity *e, u32 cap, u64 now) {
    struct queue *q = sched_lock_entity(e);
    queue_charge(q, now);
    e->cap = cap;
    e->cap_window = now;
    e->cap_left = sched_is_capped(e) ? (s64)cap_budget(e) : 0;
    request_resched(e->cpu); /* a parked one comes back, a running one gets an end of slice */
    spin_unlock(&q->lock);
}

void sched_set_affinity(struct sched_entity *e, u64 affinity, u64 now) {
    struct queue *q = sched_lock_entity(e);
    WRITE_ONCE(e->affinity, affinity);
    bool outside = !sched_allows(e, e->cpu);
    bool moves = outside && !e->on_cpu && (e->state == SCHED_QUEUED || e->state == SCHED_PARKED);
    if (moves)
        take_out(q, e, SCHED_SLEEPING, now);
    else if (outside && e->on_cpu)
        request_resched(e->cpu); /* and goes when it is switched out */
    spin_unlock(&q->lock);
    if (moves)
        wake(e, SCHED_SLICE, now);
}

void sched_set_soft_affinity(struct sched_entity *e, u64 soft) {
    struct queue *q = sched_lock_entity(e);
    e->soft = soft;
    spin_unlock(&q->lock);
}

void sched_set_granularity(u64 ns) {
    WRITE_ONCE(granularity, ns);
}

u64 sched_granularity(void) {
    return READ_ONCE(granularity);
}

/* --- times --- */

u64 sched_cpu_time(struct sched_entity *e, u64 now) {
    struct queue *q = sched_lock_entity(e);
    u64 ns = e->run_ns;
    if (q->curr == e && now > q->charged_at)
        ns += now - q->charged_at;
    spin_unlock(&q->lock);
    return ns;
}

u64 sched_peek_cpu_time(const struct sched_entity *e, u64 now) {
    const struct queue *q = sched_queue(READ_ONCE(e->cpu));
    u64 at = READ_ONCE(q->charged_at), ns = READ_ONCE(e->run_ns);
    return READ_ONCE(q->curr) == e && now > at ? ns + (now - at) : ns;
}

u64 sched_idle_time(u32 cpu, u64 now) {
    struct queue *q = sched_queue(cpu);
    spin_lock(&q->lock);
    queue_charge(q, now);
    u64 ns = q->idle_ns;
    spin_unlock(&q->lock);
    return ns;
}

/* --- choosing --- */

/* curr stops being a candidate if its cap is used up or its CPU was taken away. */
static void settle_current(struct queue *q, u32 cpu, u64 now) {
    struct sched_entity *e = q->curr;
    if (!e)
        return;
    cap_refill(e, now);
    if (!sched_allows(e, cpu)) {
        queue_leave(q, e, now);
        e->state = SCHED_HOMELESS;
    } else if (cap_used_up(e)) {
        queue_leave(q, e, now);
        park(q, e);
    }
}

static bool in_first_moment(const struct queue *q, u64 now) {
    return now - q->picked_at < sched_granularity();
}

/* curr's request is done: the next one is an ordinary one. It goes on only if it is not overdrawn. */
static bool renew_request(const struct queue *q, struct sched_entity *curr) {
    curr->deadline = curr->vruntime + virtual_ns(curr, SCHED_SLICE);
    curr->boosted = false;
    return !vtime_before(q->vtime, curr->vruntime);
}

/* curr keeps the CPU till its request is done, unless somebody eligible precedes it. */
static struct sched_entity *choose(struct queue *q, u64 now) {
    struct sched_entity *curr = q->curr, *best = queue_best(q, true);
    if (!curr)
        return best;
    if (curr->yielded) {
        curr->yielded = false;
        best = best ? best : queue_best(q, false);
        return best ? best : curr;
    }
    bool goes_on = !is_done(curr) || renew_request(q, curr);
    if (!best || in_first_moment(q, now))
        return curr;
    return goes_on && !queue_precedes(best, curr) ? curr : best;
}

/* RUNNING -> QUEUED for the one that had the CPU, QUEUED -> RUNNING for the next. */
static void switch_to(struct queue *q, struct sched_entity *next, u64 now) {
    struct sched_entity *prev = q->curr;
    if (prev == next)
        return;
    if (prev) {
        prev->state = SCHED_QUEUED;
        list_add_tail(&q->waiting, &prev->link);
    }
    list_del(&next->link);
    WRITE_ONCE(q->nr_waiting, q->nr_waiting - !prev);
    WRITE_ONCE(q->curr, next);
    q->picked_at = now;
    next->state = SCHED_RUNNING;
    next->yielded = false;
    __atomic_store_n(&next->on_cpu, true, __ATOMIC_RELEASE);
}

/* ns until curr's request is done, or its first moment over if somebody precedes it already. */
static u64 request_left(struct queue *q, u64 now) {
    const struct sched_entity *curr = q->curr, *best = queue_best(q, true);
    s64 rest = (s64)(curr->deadline - curr->vruntime);
    u64 ns = rest > 0 ? ((u64)rest * curr->weight >> VIRTUAL_SHIFT) + 1 : 0;
    if (best && queue_precedes(best, curr) && in_first_moment(q, now))
        ns = MIN(ns, q->picked_at + sched_granularity() - now);
    return ns;
}

/* When the choice may come out differently without anybody asking for it. */
static u64 slice_end(struct queue *q, u32 cpu, u64 now) {
    const struct sched_entity *e, *curr = q->curr;
    u64 ns = curr && q->nr_waiting ? request_left(q, now) : SCHED_NO_SLICE;
    if (curr && sched_is_capped(curr))
        ns = MIN(ns, (u64)MAX(curr->cap_left, 0));
    if (curr && !sched_allows(curr, cpu))
        ns = 0;
    list_for_each(e, &q->parked, link) ns =
        MIN(ns, e->cap_window + SCHED_CAP_WINDOW > now ? e->cap_window + SCHED_CAP_WINDOW - now : 0);
    return ns == SCHED_NO_SLICE ? ns : now + MAX(ns, SLICE_MIN);
}

struct sched_entity *sched_pick(u32 cpu, u64 now, u64 *end) {
    struct queue *q = sched_queue(cpu);
    spin_lock(&q->lock);
    queue_charge(q, now);
    unpark_due(q, now);
    settle_current(q, cpu, now);
    struct sched_entity *prev = q->curr, *next = choose(q, now);
    if (!next) {
        spin_unlock(&q->lock);
        (void)balance_steal(cpu, now);
        spin_lock(&q->lock);
        next = choose(q, now);
    }
    if (next)
        switch_to(q, next, now);
    *end = slice_end(q, cpu, now);
    spin_unlock(&q->lock);
    if (next == prev) /* else when the previous one is switched out: it may be the one to go */
        balance_push(cpu, now);
    return next;
}

/* It is on a queue of a CPU that it may not use, or, for that reason, on none. */
static bool must_move(const struct sched_entity *e, u32 cpu) {
    if (e->state == SCHED_HOMELESS)
        return true;
    return !sched_allows(e, cpu) && (e->state == SCHED_QUEUED || e->state == SCHED_PARKED);
}

static void move_to(struct sched_entity *e, u32 target, u64 now) {
    take_out(sched_queue(e->cpu), e, SCHED_SLEEPING, now);
    __atomic_store_n(&e->cpu, target, __ATOMIC_RELEASE);
    put_in(sched_queue(target), e, SCHED_SLICE, now);
}

/* Until on_cpu is cleared e->cpu is ours to change. Once the lock is released then, e may be removed and freed: so what
 * has to be done with it is done before. */
void sched_switched_out(struct sched_entity *e, u64 now) {
    u32 cpu = e->cpu, target = cpu;
    struct queue *q = sched_lock_entity(e);
    if (must_move(e, cpu))
        target = balance_choose_cpu(e);
    if (target != cpu) {
        spin_unlock(&q->lock);
        sched_lock_both(cpu, target);
    }
    if (must_move(e, cpu))
        move_to(e, target, now);
    __atomic_store_n(&e->on_cpu, false, __ATOMIC_RELEASE);
    if (e->state == SCHED_QUEUED && e->cpu == cpu)
        balance_offer(e);
    if (target != cpu)
        spin_unlock(&sched_queue(target)->lock);
    spin_unlock(&q->lock);
    balance_push(cpu, now);
}
