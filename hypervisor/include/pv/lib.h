/* SPDX-License-Identifier: MIT */
/*
 * lib: what has no state and touches no hardware: strings, formatting, lists, bitmaps, spinlocks, and the three
 * reactions to errors (see docs/tour.md): an errno, domain_crash() and panic().
 */
#ifndef PV_LIB_H
#define PV_LIB_H

#include <stdarg.h>
#include <pv/types.h>

/* `make DEBUG=1`. An ordinary constant: releases leave out what `if (DEBUG)` guards. */
#ifndef PV_DEBUG
#define PV_DEBUG 0
#endif
enum { DEBUG = PV_DEBUG };

/* --- strings (the compiler calls the mem* family by itself) --- */
void *memcpy(void *dst, const void *src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t max);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
char *strchr(const char *s, int c);
/* Copies at most size-1 bytes and always terminates; returns strlen(src). */
size_t strlcpy(char *dst, const char *src, size_t size);
/* Formats: %d %i %u %x %X %p %s %c %% with flags 0 - and width, precision for %s, lengths l ll z h hh. Always
 * terminates; returns the length the whole text would have. */
int vsnprintf(char *buf, size_t size, const char *fmt, va_list ap);
int snprintf(char *buf, size_t size, const char *fmt, ...) __printf(3, 4);
/* Decimal, or 0x hexadecimal; *end is set to the first character not used. */
unsigned long long strtoull(const char *s, char **end, int base);

static inline void clear_page(void *p) {
    memset(p, 0, PAGE_SIZE);
}

/* --- messages and failures --- */
/* A line for the host's log and console; may be called with any lock held but the console's. */
void printk(const char *fmt, ...) __printf(1, 2);
/* Our own invariant broke: report and stop the machine. Nothing a guest controls may lead here. */
void panic(const char *fmt, ...) __printf(1, 2) __noreturn;
#define BUG_ON(cond)                                                                                                   \
    do {                                                                                                               \
        if (unlikely(cond))                                                                                            \
            panic("%s:%d: %s", __FILE__, __LINE__, #cond);                                                             \
    } while (0)
#define ASSERT(cond) BUG_ON(!(cond))
/* For checks that a release has no time for. */
#define DEBUG_ASSERT(cond) BUG_ON(DEBUG && !(cond))

/* --- doubly linked lists with a sentinel head --- */
struct list {
    struct list *next, *prev;
};
#define LIST_INIT(name)                                                                                                \
    { &(name), &(name) }
static inline void list_init(struct list *l) {
    l->next = l->prev = l;
}
static inline bool list_empty(const struct list *l) {
    return l->next == l;
}
static inline void list_insert_between(struct list *n, struct list *prev, struct list *next) {
    DEBUG_ASSERT(prev->next == next && next->prev == prev);
    n->prev = prev;
    n->next = next;
    prev->next = n;
    next->prev = n;
}
static inline void list_add(struct list *head, struct list *n) {
    list_insert_between(n, head, head->next);
}
static inline void list_add_tail(struct list *head, struct list *n) {
    list_insert_between(n, head->prev, head);
}
static inline void list_del(struct list *n) {
    DEBUG_ASSERT(n->next->prev == n && n->prev->next == n);
    n->next->prev = n->prev;
    n->prev->next = n->next;
    list_init(n);
}
#define list_entry(ptr, type, member) container_of(ptr, type, member)
#define list_for_each(pos, head, member)                                                                               \
    for (pos = list_entry((head)->next, __typeof__(*pos), member); &pos->member != (head);                             \
         pos = list_entry(pos->member.next, __typeof__(*pos), member))
#define list_for_each_safe(pos, tmp, head, member)                                                                     \
    for (pos = list_entry((head)->next, __typeof__(*pos), member),                                                     \
        tmp = list_entry(pos->member.next, __typeof__(*pos), member);                                                  \
         &pos->member != (head); pos = tmp, tmp = list_entry(tmp->member.next, __typeof__(*pos), member))

/* --- bits in arrays of 64-bit words --- */
static inline bool bit_test(const u64 *map, u32 n) {
    return READ_ONCE(map[n / 64]) >> (n % 64) & 1;
}
static inline void bit_set(u64 *map, u32 n) {
    __atomic_fetch_or(&map[n / 64], BIT(n % 64), __ATOMIC_SEQ_CST);
}
static inline void bit_clear(u64 *map, u32 n) {
    __atomic_fetch_and(&map[n / 64], ~BIT(n % 64), __ATOMIC_SEQ_CST);
}
static inline bool bit_test_and_set(u64 *map, u32 n) {
    return __atomic_fetch_or(&map[n / 64], BIT(n % 64), __ATOMIC_SEQ_CST) >> (n % 64) & 1;
}
static inline bool bit_test_and_clear(u64 *map, u32 n) {
    return __atomic_fetch_and(&map[n / 64], ~BIT(n % 64), __ATOMIC_SEQ_CST) >> (n % 64) & 1;
}

/* --- spinlocks: ticket locks. The hypervisor runs with interrupts off, so there is one flavour only. --- */
/* The order in which locks are taken, outermost first; docs/locking.md says what each guards. Debug builds check it. */
enum lock_class {
    LOCK_WORK,
    LOCK_CONTROL,
    LOCK_STORE,
    LOCK_CHANNELS,
    LOCK_DOMAIN,
    LOCK_EVTCHN_PAIR,
    LOCK_EVTCHN_HANDLER,
    LOCK_EVTCHN,
    LOCK_GNTTAB,
    LOCK_GNTTAB_FIND,
    LOCK_MM,
    LOCK_PIRQ,
    LOCK_DEVICE,
    LOCK_PAUSE,
    LOCK_PAGES,
    LOCK_CLAIMS,
    LOCK_DOMAINS,
    LOCK_SLAB,
    LOCK_HEAP,
    LOCK_SCHED,
    LOCK_CONSOLE,
    LOCK_TIMER,
    NR_LOCK_CLASSES
};
struct spinlock {
    u32 next, owner;
    s16 cpu;      /* the holder, for assertions; -1 when free */
    u16 of_class; /* enum lock_class */
};
#define SPINLOCK_INIT(lock_class)                                                                                      \
    { 0, 0, -1, lock_class }
void spin_init(struct spinlock *l, enum lock_class of_class);
void spin_lock(struct spinlock *l);
bool spin_trylock(struct spinlock *l);
void spin_unlock(struct spinlock *l);
/* True if this CPU holds the lock: for ASSERT() in functions that expect it. */
bool spin_held(const struct spinlock *l);

#endif
