// SPDX-License-Identifier: MIT
/*
 * One CPU's queue: its virtual time, who is owed what, who is best. Everything is computed by walking the list: a CPU
 * has a few entities, 200 at the very most, and what is computed anew cannot drift.
 */
#include "internal.h"

/* The most advanced virtual time of any queue, roughly: where an empty queue starts again. Read and written racily. */
static u64 newest_vtime;

void queue_charge(struct queue *q, u64 now) {
    struct sched_entity *e = q->curr;
    ASSERT(spin_held(&q->lock));
    if (now <= q->charged_at) /* the clocks of CPUs may differ a little */
        return;
    u64 ns = now - q->charged_at;
    WRITE_ONCE(q->charged_at, now);
    if (!e) {
        q->idle_ns += ns;
        return;
    }
    e->run_ns += ns;
    ns = MIN(ns, CHARGE_MAX);
    e->vruntime += virtual_ns(e, ns);
    if (sched_is_capped(e))
        e->cap_left -= (s64)ns;
}

static s64 weighted_distance(const struct queue *q, const struct sched_entity *e) {
    return (s64)(e->vruntime - q->vtime) * (s64)e->weight;
}

/*
 * V: the weighted average of vruntime, rounded down, so the entity with the least vruntime is always eligible. The
 * products are (ns of lag) << 16, and lag is bounded but for what curr ran since the last call: no overflow.
 */
u64 queue_vtime(struct queue *q) {
    struct sched_entity *e;
    if (!q->load)
        return q->vtime;
    s64 sum = q->curr ? weighted_distance(q, q->curr) : 0;
    list_for_each(e, &q->waiting, link) sum += weighted_distance(q, e);
    s64 load = (s64)q->load, step = sum / load;
    if (sum % load < 0)
        step--;
    WRITE_ONCE(q->vtime, q->vtime + (u64)step);
    if (vtime_before(READ_ONCE(newest_vtime), q->vtime))
        WRITE_ONCE(newest_vtime, q->vtime);
    return q->vtime;
}

s64 queue_lag(struct queue *q, const struct sched_entity *e) {
    return (s64)(queue_vtime(q) - e->vruntime);
}

static s64 lag_clamp(const struct sched_entity *e, s64 lag, u64 max_ns) {
    s64 max = (s64)virtual_ns(e, max_ns);
    return MAX(MIN(lag, max), -max);
}

/* An empty queue's time stood still; it goes on where the others are. */
static u64 queue_join_vtime(struct queue *q) {
    u64 newest = READ_ONCE(newest_vtime);
    if (!q->load && vtime_before(q->vtime, newest))
        WRITE_ONCE(q->vtime, newest);
    return queue_vtime(q);
}

static void queue_insert(struct queue *q, struct sched_entity *e) {
    list_add_tail(&q->waiting, &e->link);
    WRITE_ONCE(q->nr_waiting, q->nr_waiting + 1);
    WRITE_ONCE(q->load, q->load + e->weight);
    e->state = SCHED_QUEUED;
}

static void queue_extract(struct queue *q, struct sched_entity *e) {
    if (q->curr == e) {
        WRITE_ONCE(q->curr, NULL);
    } else {
        list_del(&e->link);
        WRITE_ONCE(q->nr_waiting, q->nr_waiting - 1);
    }
    WRITE_ONCE(q->load, q->load - e->weight);
}

/*
 * What it owes, it has paid off by the share it did not use meanwhile. Joining moves V towards the newcomer: its
 * distance is made greater by as much, so that its lag after joining is what it was.
 */
void queue_join(struct queue *q, struct sched_entity *e, u64 request, u64 now) {
    u64 v = queue_join_vtime(q);
    u64 away = now > e->left_at ? MIN(now - e->left_at, CHARGE_MAX) : 0;
    s64 lag = e->lag;
    if (lag < 0)
        lag = MIN(0, lag + (s64)((away << VIRTUAL_SHIFT) / (q->load + e->weight)));
    e->boosted = request == SCHED_WAKE_SLICE && lag >= 0;
    if (q->load)
        lag += lag * (s64)e->weight / (s64)q->load;
    e->vruntime = v - (u64)lag;
    e->deadline = e->vruntime + virtual_ns(e, request);
    queue_insert(q, e);
}

void queue_leave(struct queue *q, struct sched_entity *e, u64 now) {
    e->lag = lag_clamp(e, queue_lag(q, e), LAG_MAX);
    e->left_at = now;
    queue_extract(q, e);
}

void queue_move(struct queue *from, struct queue *to, u32 to_cpu, struct sched_entity *e) {
    u64 rest = e->deadline - e->vruntime;
    queue_extract(from, e);
    u64 v = queue_join_vtime(to);
    e->vruntime = v - (u64)lag_clamp(e, (s64)(v - e->vruntime), LAG_MAX_MOVE);
    e->deadline = e->vruntime + rest;
    /* Whoever locks the other queue because of this sees that the entity has left its old one. */
    __atomic_store_n(&e->cpu, to_cpu, __ATOMIC_RELEASE);
    queue_insert(to, e);
}

/* Of those waiting the one that goes first. A boosted one was eligible when it came. */
struct sched_entity *queue_best(struct queue *q, bool eligible_only) {
    struct sched_entity *e, *best = NULL;
    u64 v = queue_vtime(q);
    list_for_each(e, &q->waiting, link) {
        if (eligible_only && !e->boosted && vtime_before(v, e->vruntime))
            continue;
        if (!best || queue_precedes(e, best))
            best = e;
    }
    return best;
}

/* Lag and what is left of the request are kept as service, so in virtual time they change with the weight. */
void queue_set_weight(struct queue *q, struct sched_entity *e, u32 weight) {
    s64 lag = lag_clamp(e, queue_lag(q, e), LAG_MAX);
    s64 rest = lag_clamp(e, (s64)(e->deadline - e->vruntime), SCHED_SLICE);
    s64 was = e->weight, is = weight;
    WRITE_ONCE(q->load, q->load - e->weight + weight);
    WRITE_ONCE(e->weight, weight);
    e->vruntime = q->vtime - (u64)(lag * was / is);
    e->deadline = e->vruntime + (u64)(rest * was / is);
}
