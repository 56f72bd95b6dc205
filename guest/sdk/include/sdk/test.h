/* SPDX-License-Identifier: MIT */
/*
 * Results: a line for each test, `PASS name`, `FAIL name: detail` or `SKIP name: why`, and a last line
 * `RESULT kernel: N passed, N failed, N skipped`.
 */
#ifndef SDK_TEST_H
#define SDK_TEST_H

#include <sdk/types.h>

void test_pass(const char *name);
void test_fail(const char *name, const char *format, ...) __attribute__((format(printf, 2, 3)));
void test_skip(const char *name, const char *why);
/* Pass if ok, else fail with the detail. Returns ok. */
bool test_check(const char *name, bool ok, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Value comparison, printing both. */
bool test_equal(const char *name, long got, long expected);
/* The summary; then the ending the command line asks for: on_end=poweroff|reboot|crash|idle. */
void test_finish(void) __attribute__((noreturn));

#endif
