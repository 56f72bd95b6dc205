// SPDX-License-Identifier: MIT
// Faults of our own, made on purpose: fault=NAME[,CPU] on the command line of a debug build. The tests see that each is
// reported as it should be.
#include "checks.h"

#include <pv/boot.h>
#include <pv/domain.h>
#include <pv/mm.h>
#include <pv/pte.h>
#include <pv/time.h>

#define DELAY_NS TIME_MS(500)

static struct timer timers[2];
static u32 partners;
static u64 table_of_ours[512] __aligned(PAGE_SIZE);

static void __attribute__((noinline)) fault_null(void) {
    volatile u64 address = 8;

    *(volatile u32 *)address = 1;
}

static void fault_assert(void) {
    ASSERT(time_now() == 0);
}

/* The report itself faults: it looks at the vCPU. */
static void fault_double(void) {
    this_cpu()->current = (struct vcpu *)0x100;
    panic("fault=double");
}

static void fault_locks(void) {
    struct domain *d = domain_next(NULL);

    spin_lock(&d->mm_lock);
    spin_lock(&d->page_lock);
    fault_null();
}

static void fault_order(void) {
    struct domain *d = domain_next(NULL);

    spin_lock(&d->mm_lock);
    spin_lock(&d->lock);
}

static void fault_second(void) {
    spin_lock(&domain_next(NULL)->mm_lock);
    spin_lock(&domain_next(domain_next(NULL))->mm_lock);
}

static void fault_held(void) {
    spin_lock(&domain_next(NULL)->lock);
}

static void fault_release(void) {
    spin_unlock(&domain_next(NULL)->lock);
}

static void fault_freed(void) {
    struct page *pg = heap_alloc_pages(0);

    heap_free_pages(pg, 0);
    ((u64 *)page_to_virt(pg))[7] = 0x1234;
    heap_alloc_pages(0);
}

static void fault_object(void) {
    u64 *object = heap_alloc(64);

    heap_free(object);
    object[5] = 0x1234;
    heap_alloc(64);
}

static void fault_list(void) {
    static struct list head = LIST_INIT(head), a, b;

    list_add(&head, &a);
    list_add(&head, &b);
    a.prev = &head;
    list_del(&b);
}

static void fault_spin(void) {
    for (volatile u32 i = 0;; i++)
        continue;
}

static void fault_hold(void) {
    spin_lock(&domain_next(NULL)->lock);
    fault_spin();
}

/* CPU 1 takes no interrupts any more; CPU 0 waits for it. */
static void fault_deaf(void) {
    if (this_cpu()->id == 1) {
        __asm__ volatile("movq %0, %%cr8" ::"r"(15ul));
        return;
    }
    while (!READ_ONCE(cpus[1]->in_guest))
        continue;
    cpu_flush_guests(BIT(1));
}

static struct page *some_frame(void) {
    return &frame_table[domain_next(NULL)->page_list];
}

static void fault_reference(void) {
    page_get(some_frame(), domain_next(NULL));
}

static void fault_use(void) {
    __atomic_add_fetch(&some_frame()->type, 1, __ATOMIC_SEQ_CST);
}

/* A guest's L4 leads to a frame of the hypervisor's. */
static void fault_entry(void) {
    u64 *table = mfn_to_virt(domain_next(NULL)->vcpu[0]->base);

    table[500] = pte_make(virt_to_mfn(table_of_ours), PTE_P);
}

static void fault_lost(void) {
    domain_next(NULL)->tot_pages++;
}

/* What is remembered of walks, without harm to whoever uses it meanwhile. */
static void fault_walk(void) {
    for (u32 c = 0; c < nr_cpus; c++)
        for (u32 i = 0; i < NR_WALKS; i++)
            cpus[c]->walks[i].set ^= PTE_NX;
}

static u64 __attribute__((noinline)) recurse(volatile u64 *above) {
    volatile u64 room[128] = {*above};

    return room[0] ? recurse(room) + room[1] : 0;
}

static void fault_stack(void) {
    volatile u64 one = 1;

    printk("%lx", recurse(&one));
}

static const struct {
    const char *name;
    void (*fn)(void);
} faults[] = {
    {"reference", fault_reference}, {"use", fault_use},       {"entry", fault_entry},   {"lost", fault_lost},
    {"walk", fault_walk},           {"spin", fault_spin},     {"hold", fault_hold},     {"deaf", fault_deaf},
    {"null", fault_null},           {"assert", fault_assert}, {"double", fault_double}, {"freed", fault_freed},
    {"object", fault_object},       {"list", fault_list},     {"locks", fault_locks},   {"stack", fault_stack},
    {"order", fault_order},         {"second", fault_second}, {"held", fault_held},     {"release", fault_release},
};

/* Two CPUs go at once: each waits for the other. */
static void fire(void *arg) {
    if (__atomic_load_n(&partners, __ATOMIC_SEQ_CST)) {
        __atomic_sub_fetch(&partners, 1, __ATOMIC_SEQ_CST);
        while (__atomic_load_n(&partners, __ATOMIC_SEQ_CST))
            continue;
    }
    (*(void (*const *)(void))arg)();
}

static void set(u32 which, u32 fault, u32 cpu) {
    timer_init(&timers[which], fire, (void *)&faults[fault].fn);
    timer_set(&timers[which], cpu, time_now() + DELAY_NS);
}

/* NAME,both: on the first two CPUs at once. */
void faults_start(void) {
    const char *value, *cpu;
    int length = boot_option("fault", &value);

    for (u32 i = 0; length > 0 && i < ARRAY_SIZE(faults); i++) {
        if (strncmp(value, faults[i].name, strlen(faults[i].name)))
            continue;
        cpu = value + strlen(faults[i].name);
        if (*cpu++ != ',') {
            set(0, i, 0);
        } else if (!strncmp(cpu, "both", 4)) {
            partners = 2;
            set(0, i, 0);
            set(1, i, 1);
        } else {
            set(0, i, (u32)MIN(strtoull(cpu, NULL, 10), nr_cpus - 1ull));
        }
    }
}
