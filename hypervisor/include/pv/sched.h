/* SPDX-License-Identifier: MIT */
/*
 * sched: which entity (vCPU) a physical CPU runs next, and until when. Weighted fair, by earliest eligible virtual
 * deadline first, with a queue for each CPU. Time is passed in, nothing is programmed here, and the only thing it
 * calls is cpu_request(CPU_REQ_RESCHED): the room is pure.
 *
 * How it works. An entity's vruntime grows by (time run / weight). The queue's virtual time V is the average of its
 * entities' vruntimes, by weight; V - vruntime is an entity's lag: the service it is owed. An entity with lag >= 0 is
 * eligible; of the eligible ones the earliest deadline runs, where deadline = vruntime at the start of a request +
 * (request / weight). A request is SCHED_SLICE, but SCHED_WAKE_SLICE after a wake-up; and for that first request an
 * entity that owes nothing is *boosted*: it goes before all that are not. So what sleeps often gets on soon, and yet
 * never gets more than its share, since lag is kept, bounded, over sleep.
 *
 *   SLEEPING --wake--> QUEUED --pick--> RUNNING --sleep--> SLEEPING (also from QUEUED and PARKED)
 *                        ^  ^--preempted----/ \--cap used up, at pick--> PARKED --next window--> QUEUED
 *                        \--switched_out-- HOMELESS <--affinity took its CPU away, at pick-- RUNNING
 *   any --remove--> GONE
 *
 * on_cpu is set by pick and cleared by sched_switched_out(): meanwhile the entity's context is (partly) in that CPU,
 * and no other CPU may run it whatever the state is: it is neither stolen nor moved.
 *
 * Locks: one spinlock for each queue; two of them are taken in order of CPU number, the lower first. An entity is
 * guarded by the lock of the queue its `cpu` names, and `cpu` changes only with that lock held. Queue locks are leaves
 * but for cpu_request(), which takes none. Any other lock may be held by callers.
 */
#ifndef PV_SCHED_H
#define PV_SCHED_H

#include <pv/lib.h>

#define SCHED_WEIGHT_DEFAULT 256
#define SCHED_WEIGHT_MAX 65535
#define SCHED_AFFINITY_ANY (~0ull)
#define SCHED_NO_SLICE UINT64_MAX
#define SCHED_SLICE 5000000ull       /* ns: the request of an entity that goes on running */
#define SCHED_WAKE_SLICE 500000ull   /* ns: the first request after a wake-up */
#define SCHED_GRANULARITY 250000ull  /* ns: what a picked entity gets before another may preempt it, unless set */
#define SCHED_CAP_WINDOW 20000000ull /* ns: a cap holds over each such window */

enum sched_state { SCHED_SLEEPING, SCHED_QUEUED, SCHED_RUNNING, SCHED_PARKED, SCHED_HOMELESS, SCHED_GONE };

struct sched_entity {
    struct list link; /* in its queue's waiting or parked list */
    enum sched_state state;
    u32 cpu;      /* the queue it belongs to */
    u32 weight;   /* 1 .. SCHED_WEIGHT_MAX */
    u32 cap;      /* percent of one CPU, 0 or >= 100: none */
    u64 affinity; /* CPUs it may run on */
    u64 soft;     /* those of them it had better run on; none: all are alike */
    bool on_cpu;  /* its context is in a CPU; atomic */
    bool yielded; /* passes over its turn once */
    bool boosted; /* woke up owing nothing: goes first until its request is done */
    u64 vruntime, deadline;
    s64 lag;        /* while not in the queue: virtual time owed */
    u64 left_at;    /* when it left the queue */
    u64 run_ns;     /* time run, up to the queue's last charge */
    s64 cap_left;   /* ns left in this window */
    u64 cap_window; /* when this window began */
};

/* Once, before anything else here. */
void sched_init(void);

/* Sleeping, with run time 0, at home anywhere. Weight and affinity are brought into range (an affinity without any CPU
 * counts as any). */
void sched_entity_init(struct sched_entity *e, u32 weight, u32 cap, u64 affinity);
/* Takes it out for good; calls on it have no effect from now on. False: a CPU still holds its context; that CPU was
 * asked to reschedule; call again until true before freeing it. */
bool sched_entity_remove(struct sched_entity *e, u64 now);

void sched_set_weight(struct sched_entity *e, u32 weight, u64 now);
void sched_set_cap(struct sched_entity *e, u32 cap, u64 now);
/* Moves it when it sits on a CPU outside; if it runs there, that CPU is asked to reschedule. */
void sched_set_affinity(struct sched_entity *e, u64 affinity, u64 now);
/* Takes effect when a CPU is chosen for it next. A CPU outside still takes it rather than be idle. */
void sched_set_soft_affinity(struct sched_entity *e, u64 soft);

/* Idempotent. wake: an idle CPU is preferred, its own one first. sleep: if it runs, its CPU is asked to reschedule. */
void sched_wake(struct sched_entity *e, u64 now);
void sched_sleep(struct sched_entity *e, u64 now);
/* (Not sched_yield: that is a function of libc.) The running entity lets all others of its CPU go first. The caller's
 * CPU is asked to reschedule. */
void sched_yield_entity(struct sched_entity *e, u64 now);

/*
 * Charges what ran on this CPU and chooses what runs next; NULL: idle. The CPU must call it again at *slice_end
 * (SCHED_NO_SLICE: no need), *also when idle* (a capped entity's next window), and whenever CPU_REQ_RESCHED is posted.
 * Having saved the previous entity's context, the CPU calls sched_switched_out() for it, unless pick returned the same
 * one; also when it goes idle. An entity woken before that comes back to this CPU and may be what the next pick
 * returns.
 */
struct sched_entity *sched_pick(u32 cpu, u64 now, u64 *slice_end);
void sched_switched_out(struct sched_entity *e, u64 now);

/* ns run so far, the current stretch included. peek: without a lock, for reports; it may be a moment off. */
u64 sched_cpu_time(struct sched_entity *e, u64 now);
u64 sched_peek_cpu_time(const struct sched_entity *e, u64 now);
/* ns a CPU had nothing to run. */
u64 sched_idle_time(u32 cpu, u64 now);

/* What a picked entity gets before another may preempt it, on all CPUs, from their next choice on. */
void sched_set_granularity(u64 ns);
u64 sched_granularity(void);

#endif
