// SPDX-License-Identifier: MIT
/*
 * Stand-ins for the machine and for the rooms a unit test leaves out, all of them weak. Spinlocks are real, so tests
 * may use threads, each with its own host_cpu.
 */
#include "host.h"
#include <pv/control.h>
#include <pv/debug.h>
#include <pv/mm.h>

#define WEAK __attribute__((weak))

/* Not <stdlib.h> and <stdio.h>: their prototypes and those of pv/lib.h may differ. */
extern void *calloc(size_t n, size_t size);
extern void free(void *p);
extern char *getenv(const char *name);
extern void abort(void) __noreturn;
extern int vdprintf(int fd, const char *fmt, va_list ap);
extern int sched_yield(void);

u64 host_now;
_Thread_local u32 host_cpu;
bool host_quiet, host_preempt;
long host_heap_budget = -1;
long host_heap_live;
u32 host_fail_at;
jmp_buf *host_panic_to;

static u64 kicks;
static struct cpu cpu_array[MAX_CPUS];
static struct domain *domains[64];
WEAK struct cpu *cpus[MAX_CPUS];
WEAK u32 nr_cpus;

/* --- CPUs --- */
void host_set_cpus(u32 n) {
    nr_cpus = n;
    for (u32 i = 0; i < MAX_CPUS; i++) {
        cpu_array[i] = (struct cpu){.id = i, .online = i < n};
        cpus[i] = i < n ? &cpu_array[i] : NULL;
    }
}

u32 host_take_requests(u32 cpu) {
    return __atomic_exchange_n(&cpu_array[cpu].requests, 0, __ATOMIC_SEQ_CST);
}

WEAK struct cpu *this_cpu(void) {
    return &cpu_array[host_cpu];
}

WEAK void cpu_request(struct cpu *c, u32 bits) {
    __atomic_fetch_or(&c->requests, bits, __ATOMIC_SEQ_CST);
}

WEAK void cpu_flush_guests(u64 cpu_mask) {
    (void)cpu_mask;
}

WEAK void cpu_look_at_others(struct cpu *awaited) {
    (void)awaited;
}

WEAK u64 time_now(void) {
    return READ_ONCE(host_now);
}

/* --- spinlocks --- */
WEAK void spin_init(struct spinlock *l, enum lock_class of_class) {
    *l = (struct spinlock)SPINLOCK_INIT(of_class);
}

WEAK bool spin_trylock(struct spinlock *l) {
    u32 owner = __atomic_load_n(&l->owner, __ATOMIC_ACQUIRE);
    if (!__atomic_compare_exchange_n(&l->next, &owner, owner + 1, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
        return false;
    WRITE_ONCE(l->cpu, (s16)host_cpu);
    return true;
}

WEAK void spin_lock(struct spinlock *l) {
    u32 ticket = __atomic_fetch_add(&l->next, 1, __ATOMIC_SEQ_CST);
    if (READ_ONCE(l->cpu) == (s16)host_cpu && __atomic_load_n(&l->owner, __ATOMIC_ACQUIRE) != ticket)
        panic("spinlock taken twice");
    while (__atomic_load_n(&l->owner, __ATOMIC_ACQUIRE) != ticket)
        sched_yield();
    WRITE_ONCE(l->cpu, (s16)host_cpu);
}

WEAK void spin_unlock(struct spinlock *l) {
    if (l->cpu != (s16)host_cpu)
        panic("spinlock released by another");
    WRITE_ONCE(l->cpu, -1);
    __atomic_fetch_add(&l->owner, 1, __ATOMIC_RELEASE);
}

WEAK bool spin_held(const struct spinlock *l) {
    return READ_ONCE(l->cpu) == (s16)host_cpu;
}

/* --- messages, strings, heap --- */
WEAK void printk(const char *fmt, ...) {
    va_list ap;
    if (host_quiet)
        return;
    va_start(ap, fmt);
    vdprintf(2, fmt, ap);
    va_end(ap);
}

WEAK void panic(const char *fmt, ...) {
    va_list ap;
    if (host_panic_to)
        longjmp(*host_panic_to, 1);
    va_start(ap, fmt);
    vdprintf(2, fmt, ap);
    va_end(ap);
    abort();
}

WEAK size_t strlcpy(char *dst, const char *src, size_t size) {
    size_t len = strlen(src), n = len < size ? len : size - 1;
    if (size) {
        memcpy(dst, src, n);
        dst[n] = 0;
    }
    return len;
}

WEAK void *heap_alloc(size_t size) {
    if (!size || host_heap_budget == 0)
        return NULL;
    if (host_heap_budget > 0)
        host_heap_budget--;
    __atomic_fetch_add(&host_heap_live, 1, __ATOMIC_SEQ_CST);
    return calloc(1, size);
}

WEAK void heap_free(void *p) {
    if (p)
        __atomic_fetch_sub(&host_heap_live, 1, __ATOMIC_SEQ_CST);
    free(p);
}

/* --- what debug builds ask for --- */
WEAK bool debug_allocation_fails(void) {
    return host_fail_at && !--host_fail_at;
}

WEAK void debug_in_hypercall(bool in) {
    (void)in;
}
WEAK void debug_refused(const struct vcpu *v, u64 number, const u64 *arg, long rc) {
    (void)v, (void)number, (void)arg, (void)rc;
}
WEAK void debug_poison(void *p, size_t n) {
    memset(p, 0x5a, n);
}
WEAK void debug_check_poison(const void *p, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (((const u8 *)p)[i] != 0x5a)
            panic("free memory was written to");
}
WEAK void debug_poison_frames(struct page *pg, u64 n) {
    (void)pg, (void)n;
}
WEAK void debug_check_frames(const struct page *pg, u64 n) {
    (void)pg, (void)n;
}
WEAK void locks_may_take(const void *lock, enum lock_class of_class) {
    (void)lock, (void)of_class;
}
WEAK void locks_taken(const void *lock, enum lock_class of_class, const void *where) {
    (void)lock, (void)of_class, (void)where;
}
WEAK void locks_released(const void *lock) {
    (void)lock;
}

/* --- guest memory: a guest address is a host pointer; the first page faults --- */
WEAK int copy_to_vcpu(struct vcpu *v, gva_t dst, const void *src, size_t n) {
    (void)v;
    if (dst.a < PAGE_SIZE)
        return -EFAULT;
    memcpy((void *)dst.a, src, n);
    return 0;
}

WEAK int copy_from_vcpu(struct vcpu *v, void *dst, gva_t src, size_t n) {
    (void)v;
    if (src.a < PAGE_SIZE)
        return -EFAULT;
    memcpy(dst, (const void *)src.a, n);
    return 0;
}

WEAK int copy_to_guest(gva_t dst, const void *src, size_t n) {
    return copy_to_vcpu(NULL, dst, src, n);
}
WEAK int copy_from_guest(void *dst, gva_t src, size_t n) {
    return copy_from_vcpu(NULL, dst, src, n);
}
WEAK bool preempt_pending(void) {
    return host_preempt;
}

u64 host_random(u64 *seed) {
    u64 z = (*seed += 0x9e3779b97f4a7c15ul);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ul;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebul;
    return z ^ (z >> 31);
}

u32 host_choose(void *arg, u32 n) {
    return (u32)(host_random(&((struct host_choices *)arg)->seed) % n);
}

bool host_more(void *arg) {
    return ((struct host_choices *)arg)->left-- > 0;
}

u64 host_number(const char *name, u64 otherwise) {
    const char *s = getenv(name);
    u64 n = 0;

    for (; s && *s >= '0' && *s <= '9'; s++)
        n = n * 10 + (u64)(*s - '0');
    return n ? n : otherwise;
}

/* --- domains and vCPUs --- */
u64 host_take_kicks(void) {
    return __atomic_exchange_n(&kicks, 0, __ATOMIC_SEQ_CST);
}

WEAK void vcpu_pause_set(struct vcpu *v, enum vcpu_pause why) {
    __atomic_fetch_or(&v->pause, why, __ATOMIC_SEQ_CST);
}

WEAK void vcpu_pause_clear(struct vcpu *v, enum vcpu_pause why) {
    __atomic_fetch_and(&v->pause, ~(u32)why, __ATOMIC_SEQ_CST);
}

WEAK void vcpu_kick(struct vcpu *v) {
    __atomic_fetch_or(&kicks, BIT(v->id), __ATOMIC_SEQ_CST);
    vcpu_pause_clear(v, VCPU_BLOCKED);
}

WEAK bool vcpu_event_pending(const struct vcpu *v) {
    return v->info && v->info->evtchn_upcall_pending && !v->info->evtchn_upcall_mask;
}

WEAK struct domain *domain_by_id(domid_t id) {
    for (u32 i = 0; i < ARRAY_SIZE(domains); i++)
        if (domains[i] && domains[i]->id == id)
            return domains[i];
    return NULL;
}
WEAK struct domain *domain_get(domid_t id) {
    return domain_by_id(id);
}
WEAK void domain_put(struct domain *d) {
    (void)d;
}
/* --- the control domain --- */
WEAK bool control_memory_op(struct vcpu *v, u64 cmd, gva_t at, long *rc) {
    (void)v, (void)cmd, (void)at, (void)rc;
    return false;
}
WEAK u32 control_memory_map(const struct domain *d, const struct memory_range **range) {
    (void)d, (void)range;
    return 0;
}

WEAK void domain_print_vcpus(const struct domain *d) {
    (void)d;
}
WEAK void domain_crash(struct domain *d, const char *fmt, ...) {
    (void)fmt;
    d->dying = true;
}

struct domain *host_domain(domid_t id, u32 vcpus) {
    struct domain *d = calloc(1, sizeof(*d));
    d->id = id;
    d->nr_vcpus = vcpus;
    d->shared_info = calloc(1, PAGE_SIZE);
    spin_init(&d->lock, LOCK_DOMAIN);
    spin_init(&d->mm_lock, LOCK_MM);
    for (u32 i = 0; i < vcpus; i++) {
        d->vcpu[i] = calloc(1, sizeof(struct vcpu));
        *d->vcpu[i] = (struct vcpu){.domain = d, .id = i};
        d->vcpu[i]->cpu = &cpu_array[0];
        d->vcpu[i]->info = i < XEN_LEGACY_MAX_VCPUS ? &d->shared_info->vcpu_info[i] : NULL;
    }
    for (u32 i = 0; i < ARRAY_SIZE(domains); i++)
        if (!domains[i]) {
            domains[i] = d;
            break;
        }
    return d;
}

void host_domain_free(struct domain *d) {
    for (u32 i = 0; i < ARRAY_SIZE(domains); i++)
        if (domains[i] == d)
            domains[i] = NULL;
    for (u32 i = 0; i < d->nr_vcpus; i++)
        free(d->vcpu[i]);
    free(d->shared_info);
    free(d);
}
