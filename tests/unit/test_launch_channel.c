// sources: hypervisor/launch/channel.c hypervisor/launch/parse.c hypervisor/launch/keys.c hypervisor/launch/message.c
// SPDX-License-Identifier: MIT
/* Channels: who sees and writes what, whom a change is told, and what is left when a side goes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <pv/launch_channel.h>

enum { FRONT, BACK, BOTH, NR_GUESTS };

static struct launch_plan plan;
static struct launch_channels channels;

/* Guests 10, 11, 12: the first and the last are the two ends of `a`, the middle one and the last of `b`. */
static int setup(void **state) {
    static const char text[] = "[front]\nkernel = k\nchannel = a\n[back]\nkernel = k\nchannel = b\n"
                               "[both]\nkernel = k\nchannel = a , b\n";

    (void)state;
    assert_int_equal(launch_parse(text, strlen(text), "f", &plan, NULL, NULL), 0);
    launch_channels_init(&channels, &plan);
    for (uint32_t i = 0; i < NR_GUESTS; i++)
        launch_channels_join(&channels, i, 10 + i);
    return 0;
}

static void expect_read(uint32_t guest, const char *path, const char *expected) {
    char value[64];
    int len = launch_channels_read(&channels, guest, path, value, sizeof(value));

    if (!expected) {
        assert_int_equal(len, -1);
        return;
    }
    assert_int_equal(len, strlen(expected));
    assert_memory_equal(value, expected, strlen(expected));
}

static bool put(uint32_t guest, const char *path, const char *value) {
    return launch_channels_write(&channels, guest, path, value, strlen(value));
}

static void expect_event(uint32_t guest, const char *path) {
    char event[64];
    int len = launch_channels_next_event(&channels, guest, event, sizeof(event));

    if (!path) {
        assert_int_equal(len, 0);
        return;
    }
    assert_int_equal(len, strlen(path) + 4);
    assert_string_equal(event, path);
    assert_string_equal(event + strlen(path) + 1, "tk");
}

static void watch(uint32_t guest, const char *path, bool on) {
    launch_channels_watch(&channels, guest, path, "tk", on);
}

static void described(void **state) {
    char names[64];

    (void)state;
    expect_read(FRONT, "channel/a/role", "frontend");
    expect_read(BOTH, "channel/a/role", "backend");
    expect_read(FRONT, "channel/a/peer-id", "12");
    expect_read(FRONT, "channel/a/peer", "/local/domain/12/channel/a");
    expect_read(BACK, "channel/b/peer-id", "12");
    expect_read(FRONT, "channel/a/unknown", NULL);
    expect_read(FRONT, "channel/a", NULL);
    assert_int_equal(launch_channels_list(&channels, BOTH, "channel", names, sizeof(names)), 4);
    assert_memory_equal(names, "a\0b", 4);
    assert_int_equal(launch_channels_list(&channels, BOTH, "channels", names, sizeof(names)), -1);
    assert_int_equal(launch_channels_list(&channels, NR_GUESTS, "channel", names, sizeof(names)), -1);
}

static void own_values_are_written(void **state) {
    (void)state;
    expect_read(FRONT, "channel/a/state", NULL);
    assert_true(put(FRONT, "channel/a/state", "3"));
    expect_read(FRONT, "channel/a/state", "3");
    expect_read(BOTH, "channel/a/state", NULL);
    expect_read(BOTH, "/local/domain/10/channel/a/state", "3");
    assert_true(put(FRONT, "/local/domain/10/channel/a/ring-ref", "8"));
    expect_read(BOTH, "/local/domain/10/channel/a/ring-ref", "8");
}

static void others_are_not(void **state) {
    (void)state;
    assert_true(put(BOTH, "channel/b/state", "1"));
    assert_false(put(BOTH, "/local/domain/10/channel/a/state", "1"));
    assert_false(put(FRONT, "channel/b/state", "1"));
    assert_false(put(FRONT, "/local/domain/12/channel/b/state", "1"));
    expect_read(FRONT, "channel/b/state", NULL);
    expect_read(FRONT, "/local/domain/12/channel/b/state", NULL);
    assert_false(put(FRONT, "channel/a/role", "x"));
    assert_false(put(FRONT, "channel/a/state", "1234567890123456"));
    assert_true(put(FRONT, "channel/a/state", "123456789012345"));
    expect_read(BOTH, "/local/domain/10/channel/a/state", "123456789012345");
}

static void wild_paths(void **state) {
    static const char *const paths[] = {"",
                                        "/",
                                        "channel",
                                        "channel/",
                                        "channel//state",
                                        "channel/c/state",
                                        "/local/domain/",
                                        "/local/domain//channel/a/state",
                                        "/local/domain/0/channel/a/state",
                                        "/local/domain/4294967306/channel/a/state",
                                        "/local/domain/99999999999999999999/channel/a/state",
                                        "/local/domain/10channel/a/state",
                                        "/local/domain/11/channel/a/state"};

    (void)state;
    put(FRONT, "channel/a/state", "3");
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        expect_read(FRONT, paths[i], NULL);
        assert_false(put(FRONT, paths[i], "1"));
        watch(FRONT, paths[i], true);
        expect_event(FRONT, NULL);
    }
}

static void changes_are_told(void **state) {
    (void)state;
    watch(BOTH, "channel/a", true);
    expect_event(BOTH, "channel/a");
    expect_event(BOTH, NULL);
    put(FRONT, "channel/a/state", "3");
    put(FRONT, "channel/a/ring-ref", "8");
    assert_int_equal(launch_channels_next_due(&channels, -1), BOTH);
    assert_int_equal(launch_channels_next_due(&channels, BOTH), LAUNCH_MAX_GUESTS);
    expect_event(BOTH, "channel/a");
    expect_event(BOTH, NULL);
    assert_int_equal(launch_channels_next_due(&channels, -1), LAUNCH_MAX_GUESTS);
    put(BACK, "channel/b/state", "3");
    expect_event(BOTH, NULL);
    watch(BOTH, "channel/a", false);
    put(FRONT, "channel/a/state", "4");
    expect_event(BOTH, NULL);
}

static void a_side_goes_and_comes(void **state) {
    (void)state;
    watch(BOTH, "channel/a", true);
    expect_event(BOTH, "channel/a");
    put(FRONT, "channel/a/state", "4");
    put(BOTH, "channel/a/state", "4");
    expect_event(BOTH, "channel/a");
    launch_channels_join(&channels, FRONT, 0);
    expect_event(BOTH, "channel/a");
    expect_read(BOTH, "channel/a/peer-id", NULL);
    expect_read(BOTH, "channel/a/peer", NULL);
    expect_read(BOTH, "channel/a/state", NULL);
    expect_read(BOTH, "/local/domain/10/channel/a/state", NULL);
    launch_channels_join(&channels, FRONT, 20);
    expect_event(BOTH, "channel/a");
    expect_read(BOTH, "channel/a/peer-id", "20");
    put(BOTH, "channel/a/state", "1");
    launch_channels_join(&channels, BOTH, 21);
    expect_read(BOTH, "channel/a/state", NULL);
    put(FRONT, "channel/a/state", "1");
    expect_event(BOTH, NULL);
    expect_read(FRONT, "channel/a/peer-id", "21");
}

static char problem_text[512];

static void report(void *arg, const struct launch_problem *problem) {
    (void)arg;
    launch_format_problem(problem, problem_text, sizeof(problem_text));
}

static void expect_problem(const char *text, const char *expected) {
    problem_text[0] = 0;
    launch_parse(text, strlen(text), "f", &plan, report, NULL);
    assert_string_equal(problem_text, expected);
}

static void wrong_files(void **state) {
    (void)state;
    expect_problem(
        "[a]\nkernel = k\nchannel = x\n[b]\nkernel = k\n",
        "f:3: channel: expected a name that exactly one other section has as well, found \"x\" (guest a left "
        "out)");
    assert_int_equal(plan.nr_guests, 1);
    expect_problem(
        "[a]\nkernel = k\nchannel = x\n[b]\nkernel = k\nchannel=x\n[c]\nkernel = k\nchannel=x",
        "f:9: channel: expected a name that exactly one other section has as well, found \"x\" (guest c left "
        "out)");
    expect_problem("[a]\nkernel = k\nchannel = x,x\n[b]\nkernel = k\nchannel = x\n",
                   "f:3: channel: expected 1 to 4 different names of 1 to 31 letters, digits and - _ . +, such as a,b, "
                   "found \"x,x\" (guest a left out)");
    expect_problem("[a]\nkernel = k\nchannel = x/y\n",
                   "f:3: channel: expected 1 to 4 different names of 1 to 31 letters, digits and - _ . +, such as a,b, "
                   "found \"x/y\" (guest a left out)");
    expect_problem("[a]\nkernel = k\nchannel = a,b,c,d,e\n[b]\nkernel = k\nchannel = a,b,c,d\n",
                   "f:3: channel: expected 1 to 4 different names of 1 to 31 letters, digits and - _ . +, such as a,b, "
                   "found \"a,b,c,d,e\" (guest a left out)");
    /* The partner of a guest that is left out for another reason stays, alone. */
    expect_problem("[a]\nkernel = k\nchannel = x\nvcpus = 0\n[b]\nkernel = k\nchannel = x\n",
                   "f:4: vcpus: expected a number from 1 to 32, found \"0\" (guest a left out)");
    assert_int_equal(plan.nr_guests, 1);
    launch_channels_init(&channels, &plan);
    launch_channels_join(&channels, 0, 10);
    expect_read(0, "channel/x/peer-id", NULL);
    assert_true(put(0, "channel/x/state", "1"));
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(described, setup),        cmocka_unit_test_setup(own_values_are_written, setup),
        cmocka_unit_test_setup(others_are_not, setup),   cmocka_unit_test_setup(wild_paths, setup),
        cmocka_unit_test_setup(changes_are_told, setup), cmocka_unit_test_setup(a_side_goes_and_comes, setup),
        cmocka_unit_test_setup(wrong_files, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
