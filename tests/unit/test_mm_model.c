// SPDX-License-Identifier: MIT
// sources: tests/unit/mm_model.c tests/unit/mm_host.c mm/types.c mm/validate.c mm/update.c mm/domain_pages.c mm/heap.c
// sources: mm/tlb.c mm/descriptors.c mm/walk.c
/*
 * mm against its model. MM_SEED and MM_STEPS in the environment choose a run; the seed is printed.
 */
#include "mm_model.h"
#include <cmocka.h>

extern char *getenv(const char *name);
extern long time(long *t);

struct run {
    u64 seed, left;
};

static u32 pick(void *arg, u32 n) {
    return (u32)(host_random(&((struct run *)arg)->seed) % n);
}
static bool more(void *arg) {
    return ((struct run *)arg)->left-- > 0;
}

static u64 number(const char *name, u64 otherwise) {
    const char *s = getenv(name);
    u64 n = 0;

    for (; s && *s >= '0' && *s <= '9'; s++)
        n = n * 10 + (u64)(*s - '0');
    return n ? n : otherwise;
}

static void run_one(u64 seed, u64 steps) {
    struct run r = {.seed = seed, .left = steps};
    struct mm_model_stats stats;

    printk("seed %lu\n", seed);
    mm_model_run(pick, more, &r, &stats);
    printk("  %lu steps: %lu done, %lu refused, %lu restarts, %lu abandoned, %lu deaths, at most %lu frames\n",
           stats.steps, stats.done, stats.refused, stats.restarted, stats.abandoned, stats.deaths, stats.most_pages);
    assert_true(steps < 1000 || (stats.done > steps / 10 && stats.abandoned && stats.restarted));
}

static void the_same_every_time(void **state) {
    (void)state;
    for (u64 seed = 1; seed <= 4; seed++)
        run_one(seed, number("MM_STEPS", 5000));
}

static void another_every_time(void **state) {
    (void)state;
    run_one(number("MM_SEED", (u64)time(NULL)), number("MM_STEPS", 20000));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_every_time),
        cmocka_unit_test(another_every_time),
    };

    return cmocka_run_group_tests_name("mm_model", tests, NULL, NULL);
}
