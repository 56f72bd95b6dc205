// SPDX-License-Identifier: MIT
// sources: tests/unit/evtchn_model.c evtchn/ports.c evtchn/deliver.c evtchn/op.c
/* Event channels of three domains against their books. MODEL_SEEDS, MODEL_FIRST and MODEL_STEPS choose the runs. */
#include "evtchn_model.h"
#include <cmocka.h>

static void against_the_books(void **state) {
    u64 first = host_number("MODEL_FIRST", 1), seeds = host_number("MODEL_SEEDS", 3);
    u64 steps = host_number("MODEL_STEPS", 4000);

    (void)state;
    for (u64 seed = first; seed < first + seeds; seed++) {
        struct host_choices c = {.seed = seed, .left = steps};
        struct evtchn_model_stats s;

        printk("seed %lu\n", seed);
        evtchn_model_run(host_choose, host_more, &c, &s);
        printk("  %lu steps: %lu done, %lu refused, %lu events, %lu deaths\n", s.steps, s.done, s.refused, s.raised,
               s.deaths);
        assert_true(steps < 1000 ||
                    (s.done > steps / 4 && s.refused > steps / 10 && s.raised > steps / 50 && s.deaths));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(against_the_books)};

    return cmocka_run_group_tests_name("evtchn_model", tests, NULL, NULL);
}
