// sources: hypervisor/launch/parse.c hypervisor/launch/keys.c hypervisor/launch/check.c hypervisor/launch/message.c
// SPDX-License-Identifier: MIT
/* The launch file's reader: what a good file yields, and the message each kind of mistake gets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <pv/launch.h>

static struct launch_plan plan;
static char messages[8][200];
static int nr_messages;

static void collect(void *arg, const struct launch_problem *problem) {
    (void)arg;
    if (nr_messages < 8)
        launch_format_problem(problem, messages[nr_messages], sizeof(messages[0]));
    nr_messages++;
}

/* Parse a copy of exactly the text's length, so that the address sanitizer sees a read past its end. */
static int parse_bytes(const char *text, size_t len) {
    char *copy = malloc(len ? len : 1);
    int problems;

    memcpy(copy, text, len);
    nr_messages = 0;
    problems = launch_parse(copy, len, "f", &plan, collect, NULL);
    free(copy);
    assert_int_equal(problems, nr_messages);
    return problems;
}

static int parse(const char *text) {
    return parse_bytes(text, strlen(text));
}

/* A text with one mistake: one message, and no guest. */
static void expect_refused(const char *text, const char *message) {
    assert_int_equal(parse(text), 1);
    assert_string_equal(messages[0], message);
    assert_int_equal(plan.nr_guests, 0);
}

static void empty_files(void **state) {
    (void)state;
    assert_int_equal(parse(""), 0);
    assert_int_equal(parse("\n\n  # nothing\n\t\n"), 0);
    assert_int_equal(plan.nr_guests, 0);
}

static void defaults(void **state) {
    const struct launch_guest *g = &plan.guests[0];

    (void)state;
    assert_int_equal(parse("[a]\nkernel=k"), 0);
    assert_int_equal(plan.nr_guests, 1);
    assert_string_equal(g->name, "a");
    assert_string_equal(g->kernel, "k");
    assert_string_equal(g->ramdisk, "");
    assert_string_equal(g->cmdline, "");
    assert_string_equal(g->ready, "READY");
    assert_int_equal(g->memory, 256 << 20);
    assert_int_equal(g->vcpus, 1);
    assert_int_equal(g->weight, 256);
    assert_int_equal(g->cap, 0);
    assert_int_equal(g->restart_limit, 10);
    assert_int_equal(g->on_end, LAUNCH_HALT);
    assert_int_equal(g->on_reboot, LAUNCH_RESTART);
    assert_int_equal(g->on_crash, LAUNCH_HALT);
    assert_false(g->pinned || g->linear_page_tables || g->privileged);
}

static void all_keys(void **state) {
    const struct launch_guest *g = &plan.guests[0];

    (void)state;
    assert_int_equal(parse("[ debian-6.1 ]  # the stock kernel\r\n"
                           "kernel = vmlinux-6.1\r\n"
                           "  ramdisk\t=\tlinux.cpio.gz  # with a comment\r\n"
                           "cmdline = console=hvc0 foo=\"a b\" x#y\r\n"
                           "memory = 1G\nvcpus = 4\npin = 0, 2-3,64\nweight = 65535\ncap = 150\n"
                           "on_end = restart\non_reboot = halt\non_crash = restart\nrestart_limit = none\n"
                           "linear_page_tables = yes\nprivileged = yes\nrole = guest\nready = \"grub> # \"\n"),
                     0);
    assert_int_equal(plan.nr_guests, 1);
    assert_string_equal(g->name, "debian-6.1");
    assert_string_equal(g->ramdisk, "linux.cpio.gz");
    assert_string_equal(g->cmdline, "console=hvc0 foo=\"a b\" x#y");
    assert_string_equal(g->ready, "grub> # ");
    assert_true(g->memory == 1ull << 30);
    assert_int_equal(g->vcpus, 4);
    assert_true(g->pinned);
    assert_int_equal(g->pin[0], 0xd);
    assert_int_equal(g->pin[1], 1);
    assert_int_equal(g->weight, 65535);
    assert_int_equal(g->cap, 150);
    assert_int_equal(g->restart_limit, LAUNCH_NO_LIMIT);
    assert_int_equal(g->on_end, LAUNCH_RESTART);
    assert_int_equal(g->on_reboot, LAUNCH_HALT);
    assert_int_equal(g->on_crash, LAUNCH_RESTART);
    assert_true(g->linear_page_tables && g->privileged);
    assert_int_equal(g->memory_line, 5);
}

static void the_role_control_makes_the_control_domain(void **state) {
    (void)state;
    assert_int_equal(parse("[a]\nkernel = k\n[b]\nkernel = k\nrole = control\n"), 0);
    assert_int_equal(plan.nr_guests, 2);
    assert_true(!plan.guests[0].control && plan.guests[1].control);
}

static void others_still_start(void **state) {
    (void)state;
    assert_int_equal(parse("[a]\nkernel = k\n[b]\nkernel = k\ncolour = red\n[c]\nkernel = k\n"), 1);
    assert_string_equal(messages[0], "f:5: expected a known key, found \"colour\" (guest b left out)");
    assert_int_equal(plan.nr_guests, 2);
    assert_string_equal(plan.guests[0].name, "a");
    assert_string_equal(plan.guests[1].name, "c");
}

static void bad_values(void **state) {
    static const struct {
        const char *setting, *message;
    } rows[] = {
        {"kernel = a/b", "kernel: expected the name of a boot module, without path or blanks, found \"a/b\""},
        {"memory = 256", "memory: expected a size such as 256M or 1G, of at least 1M, found \"256\""},
        {"memory = 1025K", "memory: expected a size such as 256M or 1G, of at least 1M, found \"1025K\""},
        {"memory = 99999999999999999999G",
         "memory: expected a size such as 256M or 1G, of at least 1M, found \"99999999999999999999G\""},
        {"memory =", "memory: expected a size such as 256M or 1G, of at least 1M, found \"\""},
        {"vcpus = 0", "vcpus: expected a number from 1 to 32, found \"0\""},
        {"vcpus = 33", "vcpus: expected a number from 1 to 32, found \"33\""},
        {"vcpus = -1", "vcpus: expected a number from 1 to 32, found \"-1\""},
        {"pin = 3-2", "pin: expected a list of CPUs below 256, such as 0,2-3, found \"3-2\""},
        {"pin = 0,,1", "pin: expected a list of CPUs below 256, such as 0,2-3, found \"0,,1\""},
        {"pin = 256", "pin: expected a list of CPUs below 256, such as 0,2-3, found \"256\""},
        {"pin =", "pin: expected a list of CPUs below 256, such as 0,2-3, found \"\""},
        {"weight = 65536", "weight: expected a number from 1 to 65535, found \"65536\""},
        {"on_end = explode", "on_end: expected halt or restart, found \"explode\""},
        {"restart_limit = many", "restart_limit: expected a number up to 1000000, or none, found \"many\""},
        {"privileged = true", "privileged: expected yes or no, found \"true\""},
        {"ready = \"\"", "ready: expected a text of 1 to 63 characters, found \"\""},
        {"ready = \"a", "ready: expected nothing after the closing quote, and one to be there, found \"\"a\""},
        {"cmdline = \"a\" b",
         "cmdline: expected nothing after the closing quote, and one to be there, found \"\"a\" b\""},
        {"role = master", "role: expected guest or control, found \"master\""},
        {"nonsense", "expected [name], key = value, or a # comment, found \"nonsense\""},
        {"cap = \x01", "expected printable ASCII text, found \"cap = ?\""},
    };
    char text[200], message[200];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        snprintf(text, sizeof(text), "[a]\n%s\n", rows[i].setting);
        snprintf(message, sizeof(message), "f:2: %s (guest a left out)", rows[i].message);
        expect_refused(text, message);
    }
}

static void bad_structure(void **state) {
    (void)state;
    expect_refused("memory = 1G\n", "f:1: expected a [section] before the first key, found \"memory = 1G\"");
    expect_refused("[a\nkernel = k\n", "f:1: expected a section header such as [name], found \"[a\"");
    expect_refused("[a b]\nkernel = k\n",
                   "f:1: expected a guest's name of 1 to 31 letters, digits and - _ . +, found \"a b\"");
    expect_refused("[]\n", "f:1: expected a guest's name of 1 to 31 letters, digits and - _ . +, found \"\"");
    expect_refused(
        "\n[a]\nvcpus=1\n",
        "f:2: kernel: expected the name of a boot module, without path or blanks, found none (guest a left out)");
    expect_refused("[a]\nkernel=k\nkernel=k\n",
                   "f:3: kernel: expected this key only once in a section, found \"k\" (guest a left out)");
}

static void duplicate_sections(void **state) {
    (void)state;
    assert_int_equal(parse("[a]\nkernel = one\n[a]\nkernel = two\nnonsense\n[b]\nkernel = k\n"), 1);
    assert_string_equal(messages[0], "f:3: expected a name that no other section has, found \"a\"");
    assert_int_equal(plan.nr_guests, 2);
    assert_string_equal(plan.guests[0].kernel, "one");
}

static void many_sections(void **state) {
    char text[129 * 32];
    size_t len = 0;

    (void)state;
    for (int i = 0; i < 129; i++)
        len += (size_t)sprintf(text + len, "[g%d]\nkernel = k\n", i);
    assert_int_equal(parse(text), 1);
    assert_string_equal(messages[0], "f:257: expected at most 128 guests, found \"g128\"");
    assert_int_equal(plan.nr_guests, 128);
}

static void long_things(void **state) {
    static char text[LAUNCH_MAX_TEXT + 1];
    char line[1200] = "[a]\nkernel = k\ncmdline = ";
    size_t len = strlen(line);

    (void)state;
    memset(line + len, 'x', 1023);
    assert_int_equal(parse(line), 0);
    assert_int_equal(strlen(plan.guests[0].cmdline), 1023);
    memset(line + len, 'x', 1024);
    assert_int_equal(parse(line), 1);
    assert_int_equal(parse("[abcdefghijklmnopqrstuvwxyz012345]\n"), 1);
    memset(text, '\n', sizeof(text));
    assert_int_equal(parse_bytes(text, sizeof(text)), 1);
    assert_int_equal(parse_bytes(text, sizeof(text) - 1), 0);
}

static bool has_k(void *arg, const char *name) {
    (void)arg;
    return strcmp(name, "k") == 0;
}

static void module_check(void **state) {
    (void)state;
    assert_int_equal(parse("[a]\nkernel = k\n[b]\nkernel = k\nramdisk = r\n[c]\nkernel = z\n"), 0);
    nr_messages = 0;
    assert_int_equal(launch_check_modules(&plan, "f", has_k, NULL, collect, NULL), 2);
    assert_string_equal(
        messages[0],
        "f:5: ramdisk: expected the name of a boot module that was loaded, found \"r\" (guest b left out)");
    assert_string_equal(
        messages[1], "f:7: kernel: expected the name of a boot module that was loaded, found \"z\" (guest c left out)");
    assert_int_equal(plan.nr_guests, 1);
}

static void memory_check(void **state) {
    (void)state;
    assert_int_equal(parse("[a]\nkernel=k\nmemory=512M\n[b]\nkernel=k\nmemory=600M\n[c]\nkernel=k\nmemory=512M"), 0);
    nr_messages = 0;
    assert_int_equal(launch_check_memory(&plan, "f", 1ull << 30, collect, NULL), 1);
    assert_string_equal(messages[0],
                        "f:6: memory: expected at most the 512M that are free, found \"600M\" (guest b left out)");
    assert_int_equal(plan.nr_guests, 2);
}

static void cpu_check(void **state) {
    (void)state;
    assert_int_equal(parse("[a]\nkernel=k\npin=0-1\n[b]\nkernel=k\npin=0,2\n"), 0);
    nr_messages = 0;
    assert_int_equal(launch_check_cpus(&plan, "f", 2, collect, NULL), 1);
    assert_string_equal(messages[0], "f:6: pin: expected CPUs below 2, found \"2\" (guest b left out)");
    assert_int_equal(plan.nr_guests, 1);
}

static void module_names(void **state) {
    (void)state;
    assert_true(launch_module_is("build/cache/vmlinux-6.1 console=hvc0 a/b", "vmlinux-6.1"));
    assert_true(launch_module_is("linux.cpio.gz", "linux.cpio.gz"));
    assert_false(launch_module_is("linux.cpio.gz", "linux.cpio"));
    assert_false(launch_module_is("linux.cpio", "linux.cpio.gz"));
    assert_true(launch_module_is("", ""));
    assert_true(launch_module_is_file("examples/demo.launch"));
    assert_true(launch_module_is_file("demo.launch x"));
    assert_false(launch_module_is_file("vmlinux demo.launch"));
    assert_false(launch_module_is_file(".launch"));
    assert_false(launch_module_is_file("launch"));
}

static void readiness(void **state) {
    const struct launch_guest *g = &plan.guests[0];

    (void)state;
    assert_int_equal(parse("[a]\nkernel = k\nready = \"grub> \"\n"), 0);
    assert_true(launch_line_is_ready(g, "grub> ", 6));
    assert_true(launch_line_is_ready(g, "\033[0mgrub> ", 10));
    assert_false(launch_line_is_ready(g, "grub>", 5));
    assert_false(launch_line_is_ready(g, "", 0));
}

static void small_buffers(void **state) {
    struct launch_problem problem = {"f", 1, "g", "k", "x", "\001\n\177", 3};
    char buf[200];

    (void)state;
    launch_format_problem(&problem, buf, sizeof(buf));
    assert_string_equal(buf, "f:1: k: expected x, found \"???\" (guest g left out)");
    launch_format_problem(&problem, buf, 5);
    assert_string_equal(buf, "f:1:");
    launch_format_problem(&problem, buf, 1);
    assert_string_equal(buf, "");
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_role_control_makes_the_control_domain),
        cmocka_unit_test(empty_files),
        cmocka_unit_test(defaults),
        cmocka_unit_test(all_keys),
        cmocka_unit_test(others_still_start),
        cmocka_unit_test(bad_values),
        cmocka_unit_test(bad_structure),
        cmocka_unit_test(duplicate_sections),
        cmocka_unit_test(many_sections),
        cmocka_unit_test(long_things),
        cmocka_unit_test(module_check),
        cmocka_unit_test(memory_check),
        cmocka_unit_test(cpu_check),
        cmocka_unit_test(module_names),
        cmocka_unit_test(readiness),
        cmocka_unit_test(small_buffers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
