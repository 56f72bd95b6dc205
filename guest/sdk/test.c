// SPDX-License-Identifier: MIT
/*
 * Counting and printing results, and the ending of a run.
 */
#include <sdk/sdk.h>

static unsigned passed, failed, skipped;

void test_pass(const char *name) {
    __atomic_add_fetch(&passed, 1, __ATOMIC_RELAXED);
    printf("PASS %s\n", name);
}

static void fail_with(const char *name, const char *format, va_list args) {
    char detail[256];

    __atomic_add_fetch(&failed, 1, __ATOMIC_RELAXED);
    vsnprintf(detail, sizeof(detail), format, args);
    printf("FAIL %s: %s\n", name, detail);
}

void test_fail(const char *name, const char *format, ...) {
    va_list args;

    va_start(args, format);
    fail_with(name, format, args);
    va_end(args);
}

void test_skip(const char *name, const char *why) {
    __atomic_add_fetch(&skipped, 1, __ATOMIC_RELAXED);
    printf("SKIP %s: %s\n", name, why);
}

bool test_check(const char *name, bool ok, const char *format, ...) {
    va_list args;

    if (ok) {
        test_pass(name);
        return true;
    }
    va_start(args, format);
    fail_with(name, format, args);
    va_end(args);
    return false;
}

bool test_equal(const char *name, long got, long expected) {
    return test_check(name, got == expected, "got %ld (0x%lx), expected %ld (0x%lx)", got, (unsigned long)got, expected,
                      (unsigned long)expected);
}

static unsigned end_reason(const char *how) {
    if (!strcmp(how, "reboot"))
        return SHUTDOWN_reboot;
    return strcmp(how, "crash") ? SHUTDOWN_poweroff : SHUTDOWN_crash;
}

void test_finish(void) {
    char how[16] = "poweroff";

    printf("RESULT %s: %u passed, %u failed, %u skipped\n", kernel_name, passed, failed, skipped);
    cmdline_value("on_end", how, sizeof(how));
    if (strcmp(how, "idle"))
        shutdown(end_reason(how));
    for (;;)
        clock_sleep(3600 * SECOND);
}
