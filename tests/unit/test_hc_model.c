// SPDX-License-Identifier: MIT
// sources: tests/unit/hc_model*.c tests/unit/hc_stubs.c tests/unit/mm_host.c hypercall/*.c gnttab/*.c evtchn/*.c
// sources: mm/[!ms]*.c
/*
 * Hypercalls of three domains against their model. MODEL_SEEDS, MODEL_FIRST and MODEL_STEPS in the environment choose
 * how many runs, the first seed, and their length (make model); each seed is printed.
 */
#include "hc_model.h"
#include <cmocka.h>

static void run_one(u64 seed, u64 steps) {
    struct host_choices r = {.seed = seed, .left = steps};
    struct model_stats s;

    printk("seed %lu\n", seed);
    hc_model_run(host_choose, host_more, &r, &s);
    printk("  %lu steps: %lu kept translations, %lu done, %lu refused, %lu restarts, %lu abandoned, %lu mapped, %lu "
           "deaths, at most %lu frames\n",
           s.steps, s.kept, s.done, s.refused, s.restarted, s.abandoned, s.mapped, s.deaths, s.most_pages);
    assert_true(steps < 1000 ||
                (s.done > steps / 4 && s.refused > steps / 4 && s.abandoned && s.restarted > s.abandoned &&
                 s.mapped > steps / 100 && s.deaths && s.kept > steps / 50));
}

static void against_the_model(void **state) {
    u64 first = host_number("MODEL_FIRST", 1), seeds = host_number("MODEL_SEEDS", 6);

    (void)state;
    for (u64 i = 0; i < seeds; i++)
        run_one(first + i, host_number("MODEL_STEPS", 4000));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(against_the_model)};

    return cmocka_run_group_tests_name("hc_model", tests, NULL, NULL);
}
