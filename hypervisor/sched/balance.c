// SPDX-License-Identifier: MIT
/*
 * Balancing: which queue an entity belongs in. Three ways: a waking entity goes to an idle CPU if there is one; an idle
 * CPU takes a waiting entity from another; and a CPU where entities wait gives one to a less loaded CPU whose virtual
 * time is ahead, that is, whose entities get more than theirs. The last makes shares right over all CPUs (three equal
 * entities on two CPUs take turns at being alone). Other queues are first looked at without a lock: what is read then
 * only serves to choose where to look with the locks held.
 */
#include "internal.h"

static struct queue queues[MAX_CPUS];

struct queue *sched_queue(u32 cpu) {
    return &queues[cpu];
}

void sched_init(void) {
    for (u32 i = 0; i < MAX_CPUS; i++) {
        struct queue *q = &queues[i];
        memset(q, 0, sizeof(*q));
        spin_init(&q->lock, LOCK_SCHED);
        list_init(&q->waiting);
        list_init(&q->parked);
    }
}

struct queue *sched_lock_entity(const struct sched_entity *e) {
    for (;;) {
        u32 cpu = __atomic_load_n(&e->cpu, __ATOMIC_ACQUIRE);
        spin_lock(&queues[cpu].lock);
        if (__atomic_load_n(&e->cpu, __ATOMIC_ACQUIRE) == cpu)
            return &queues[cpu];
        spin_unlock(&queues[cpu].lock);
    }
}

void sched_lock_both(u32 a, u32 b) {
    spin_lock(&queues[MIN(a, b)].lock);
    spin_lock(&queues[MAX(a, b)].lock);
}

void sched_unlock_both(u32 a, u32 b) {
    spin_unlock(&queues[a].lock);
    spin_unlock(&queues[b].lock);
}

static bool looks_idle(u32 cpu) {
    return !READ_ONCE(queues[cpu].curr) && !READ_ONCE(queues[cpu].nr_waiting);
}

/* An affinity of absent CPUs only is as good as none. Read once: it may change meanwhile. */
static u64 allowed_cpus(const struct sched_entity *e) {
    u64 all = nr_cpus >= 64 ? ~0ul : BIT(nr_cpus) - 1, allowed = READ_ONCE(e->affinity) & all;
    return allowed ? allowed : all;
}

bool sched_allows(const struct sched_entity *e, u32 cpu) {
    return allowed_cpus(e) >> cpu & 1;
}

static u64 better_cpus(const struct sched_entity *e) {
    u64 allowed = allowed_cpus(e);
    return e->soft & allowed ? e->soft & allowed : allowed;
}

bool sched_prefers(const struct sched_entity *e, u32 cpu) {
    return better_cpus(e) >> cpu & 1;
}

static int find_idle_of(const struct sched_entity *e, u64 set) {
    for (u32 i = 0; set && i < nr_cpus; i++) {
        u32 cpu = (READ_ONCE(e->cpu) + i) % nr_cpus;
        if ((set >> cpu & 1) && looks_idle(cpu))
            return (int)cpu;
    }
    return -1;
}

/* An idle CPU, its own first, then the next after it, and better ones before all others; -1: none. */
static int find_idle(const struct sched_entity *e) {
    u64 better = better_cpus(e);
    int idle = find_idle_of(e, better);
    return idle >= 0 ? idle : find_idle_of(e, allowed_cpus(e) & ~better);
}

/* Without an idle CPU it stays where it was, unless it would be better off elsewhere even with its own weight there. */
u32 balance_choose_cpu(const struct sched_entity *e) {
    u64 allowed = better_cpus(e);
    int idle = find_idle(e);
    if (idle >= 0)
        return (u32)idle;
    u32 own = READ_ONCE(e->cpu);
    bool home = allowed >> own & 1;
    u32 best = home ? own : (u32)__builtin_ctzl(allowed);
    u64 margin = home ? READ_ONCE(e->weight) : 0;
    for (u32 cpu = 0; cpu < nr_cpus; cpu++)
        if ((allowed >> cpu & 1) && READ_ONCE(queues[cpu].load) + margin < READ_ONCE(queues[best].load)) {
            best = cpu;
            margin = 0;
        }
    return best;
}

/* An entity waits: an idle CPU may want to come and take it. */
void balance_offer(const struct sched_entity *e) {
    int idle = find_idle(e);
    if (idle >= 0 && (u32)idle != READ_ONCE(e->cpu))
        cpu_request(cpus[idle], CPU_REQ_RESCHED);
}

/* Of what waits in q and may go to cpu, the entity that had least, of those that would be better off there if any are.
 */
static struct sched_entity *find_movable(struct queue *q, u32 cpu) {
    struct sched_entity *e, *best = NULL;
    bool best_prefers = false;
    list_for_each(e, &q->waiting, link) {
        bool prefers = sched_prefers(e, cpu);
        if (__atomic_load_n(&e->on_cpu, __ATOMIC_ACQUIRE) || !sched_allows(e, cpu))
            continue;
        if (!best || (prefers == best_prefers ? vtime_before(e->vruntime, best->vruntime) : prefers)) {
            best = e;
            best_prefers = prefers;
        }
    }
    return best;
}

static bool steal_from(u32 cpu, u32 victim, u64 now) {
    sched_lock_both(cpu, victim);
    struct sched_entity *e = find_movable(&queues[victim], cpu);
    if (e) {
        queue_charge(&queues[victim], now);
        queue_move(&queues[victim], &queues[cpu], cpu, e);
    }
    sched_unlock_both(cpu, victim);
    return e;
}

bool balance_steal(u32 cpu, u64 now) {
    for (u32 i = 1; i < nr_cpus; i++) {
        u32 victim = (cpu + i) % nr_cpus;
        if (READ_ONCE(queues[victim].nr_waiting) && steal_from(cpu, victim, now))
            return true;
    }
    return false;
}

/* V of a queue by now, if what ran there since it was last computed went on. */
static u64 estimate_vtime(const struct queue *q, u64 now) {
    u64 at = READ_ONCE(q->charged_at), load = READ_ONCE(q->load);
    u64 ns = now > at ? MIN(now - at, CHARGE_MAX) : 0;
    return READ_ONCE(q->vtime) + (load ? (ns << VIRTUAL_SHIFT) / load : 0);
}

/* An idle queue, or the less loaded one that is most ahead of q; -1: none is ahead. */
static int find_ahead(const struct queue *q, u64 now) {
    int best = -1;
    u64 ahead = READ_ONCE(q->vtime);
    for (u32 cpu = 0; cpu < nr_cpus; cpu++) {
        const struct queue *other = &queues[cpu];
        u64 v = estimate_vtime(other, now);
        if (other == q)
            continue;
        if (looks_idle(cpu))
            return (int)cpu;
        if (READ_ONCE(other->load) >= READ_ONCE(q->load) || !vtime_before(ahead, v))
            continue;
        ahead = v;
        best = (int)cpu;
    }
    return best;
}

/* To an idle CPU always. */
static bool worth_moving(struct queue *from, u32 to_cpu, const struct sched_entity *e) {
    struct queue *to = &queues[to_cpu];
    if (!to->load)
        return true;
    s64 owed = (s64)(queue_vtime(to) - e->vruntime);
    return to->load < from->load && owed > (s64)virtual_ns(e, MOVE_THRESHOLD) && sched_prefers(e, to_cpu);
}

void balance_push(u32 cpu, u64 now) {
    struct queue *q = &queues[cpu];
    if (!READ_ONCE(q->nr_waiting) || now - q->balanced_at < SCHED_SLICE / 2)
        return;
    q->balanced_at = now;
    int to = find_ahead(q, now);
    if (to < 0)
        return;
    sched_lock_both(cpu, (u32)to);
    queue_charge(&queues[to], now);
    struct sched_entity *e = find_movable(q, (u32)to);
    bool moves = e && worth_moving(q, (u32)to, e);
    if (moves)
        queue_move(q, &queues[to], (u32)to, e);
    sched_unlock_both(cpu, (u32)to);
    if (moves)
        cpu_request(cpus[to], CPU_REQ_RESCHED);
}
