/* SPDX-License-Identifier: MIT */
/*
 * What the files of the sched room share. queue.c: one queue and its virtual time; balance.c: which queue; sched.c: the
 * transitions of an entity and the choice of the next one.
 *
 * Virtual time is ns << 16 divided by the weight, and wraps: compare by the sign of the difference.
 */
#ifndef SCHED_INTERNAL_H
#define SCHED_INTERNAL_H

#include <pv/sched.h>
#include <pv/cpu.h>

#define VIRTUAL_SHIFT 16
#define CHARGE_MAX BIT(40)               /* ns charged to virtual time at once: only ever reached alone on a CPU */
#define LAG_MAX SCHED_SLICE              /* ns an entity may be owed, or owe, over sleep */
#define LAG_MAX_MOVE (4 * SCHED_SLICE)   /* the same when moved between queues */
#define MOVE_THRESHOLD (2 * SCHED_SLICE) /* ns that another queue must be ahead to be given an entity */

struct queue {
    struct spinlock lock;
    struct sched_entity *curr; /* RUNNING; NULL: idle */
    struct list waiting;       /* QUEUED; unsorted: a CPU has few */
    struct list parked;        /* PARKED */
    u32 nr_waiting;
    u64 load;       /* weights of curr and waiting */
    u64 vtime;      /* V when last computed */
    u64 charged_at; /* curr is charged up to here */
    u64 picked_at;  /* when curr became it */
    u64 idle_ns;    /* without a curr, up to charged_at */
    u64 balanced_at;
} __aligned(64);

struct queue *sched_queue(u32 cpu);
/* Locks the queue an entity belongs to. */
struct queue *sched_lock_entity(const struct sched_entity *e);
bool sched_allows(const struct sched_entity *e, u32 cpu);
/* Is it one of its better CPUs? */
bool sched_prefers(const struct sched_entity *e, u32 cpu);
void sched_lock_both(u32 a, u32 b);
void sched_unlock_both(u32 a, u32 b);

static inline bool vtime_before(u64 a, u64 b) {
    return (s64)(a - b) < 0;
}
/* ns of service in virtual time; ns up to CHARGE_MAX. */
static inline u64 virtual_ns(const struct sched_entity *e, u64 ns) {
    return (ns << VIRTUAL_SHIFT) / e->weight;
}
static inline bool sched_is_capped(const struct sched_entity *e) {
    return e->cap > 0 && e->cap < 100;
}

/* --- queue.c: the queue's lock is held --- */
void queue_charge(struct queue *q, u64 now);
u64 queue_vtime(struct queue *q);
/* Virtual time owed to an entity of this queue. */
s64 queue_lag(struct queue *q, const struct sched_entity *e);
/* To waiting, with its kept lag and a fresh request. */
void queue_join(struct queue *q, struct sched_entity *e, u64 request, u64 now);
/* From waiting or from being curr; keeps the lag. The state is the caller's to set. */
void queue_leave(struct queue *q, struct sched_entity *e, u64 now);
/* Between waiting lists, keeping vruntime within bounds; both locks held. */
void queue_move(struct queue *from, struct queue *to, u32 to_cpu, struct sched_entity *e);
/* Does a go before b, both eligible? */
static inline bool queue_precedes(const struct sched_entity *a, const struct sched_entity *b) {
    return a->boosted != b->boosted ? a->boosted : vtime_before(a->deadline, b->deadline);
}
struct sched_entity *queue_best(struct queue *q, bool eligible_only);
void queue_set_weight(struct queue *q, struct sched_entity *e, u32 weight);

/* --- balance.c: no queue lock is held --- */
u32 balance_choose_cpu(const struct sched_entity *e);
void balance_offer(const struct sched_entity *e);
bool balance_steal(u32 cpu, u64 now);
void balance_push(u32 cpu, u64 now);

#endif
