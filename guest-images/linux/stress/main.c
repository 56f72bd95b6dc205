// SPDX-License-Identifier: MIT
/*
 * The driver: runs each test in a process of its own with a time limit, says PASS, FAIL or SKIP for each, and sums up.
 *     stress [-l] [limit=SECONDS] [late=SECONDS] [TEST...]
 * A test may take so long, and a sleep end so much later than asked for: where many others share the CPUs, more than
 * usual. The 64-bit program also runs the 32-bit one, if it lies beside it under the name stress32.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "stress.h"

static unsigned time_limit = 120; /* seconds a test, for emulated CPUs under load */

struct test {
    const char *name;
    const char *(*run)(void);
};

static const struct test tests[] = {
    {"fork", test_fork},
    {"exec", test_exec},
    {"mmap", test_mmap},
    {"mprotect", test_mprotect},
    {"cow", test_cow},
    {"memory", test_memory},
    {"signals", test_signals},
    {"faults", test_faults},
    {"altstack", test_altstack},
    {"threads", test_threads},
    {"futex", test_futex},
    {"sse", test_sse},
    {"avx", test_avx},
    {"fpu_signals", test_fpu_signals},
    {"sleep", test_sleep},
    {"timers", test_timers},
    {"clock", test_clock},
    {"pipes", test_pipes},
    {"cpus", test_cpus},
    {"isolation", test_isolation},
    {"privileged", test_privileged},
    {"ptrace_step", test_ptrace_step},
    {"ptrace_breakpoint", test_ptrace_breakpoint},
    {"trap_flag", test_trap_flag},
    {"int80", test_int80},
    {"ldt", test_ldt},
    {"tls", test_tls},
#ifdef __x86_64__
    {"vsyscall", test_vsyscall},
    {"modes", test_modes},
#else
    {"vdso32", test_vdso32},
#endif
};

#define NR_TESTS (sizeof(tests) / sizeof(tests[0]))

static const char *const suffix = sizeof(void *) == 8 ? "" : "/32";
static int passed, failed, skipped;

const char *wrong(const char *format, ...) {
    static char text[200];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return text;
}

const char *wait_for(pid_t pid, int status) {
    int got;

    if (pid < 0)
        return wrong("fork: %s", strerror(errno));
    if (waitpid(pid, &got, 0) != pid)
        return wrong("waitpid: %s", strerror(errno));
    if (WIFSIGNALED(got))
        return wrong("a child died of signal %d", WTERMSIG(got));
    if (WEXITSTATUS(got) != status)
        return wrong("a child exited with %d instead of %d", WEXITSTATUS(got), status);
    return NULL;
}

static sigjmp_buf fault_exit;
static void *volatile fault_address;

static void on_fault(int sig, siginfo_t *info, void *context) {
    (void)context;
    fault_address = info->si_addr;
    siglongjmp(fault_exit, sig);
}

int caught_signal(void (*fn)(void *arg), void *arg, void **address) {
    static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP};
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO}, old[5];
    int sig;

    for (int i = 0; i < 5; i++)
        sigaction(signals[i], &action, &old[i]);
    sig = sigsetjmp(fault_exit, 1);
    if (sig == 0)
        fn(arg);
    for (int i = 0; i < 5; i++)
        sigaction(signals[i], &old[i], NULL);
    if (address)
        *address = fault_address;
    return sig;
}

double seconds_now(void) {
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* In the child: 0 passed, 1 failed, 2 skipped. */
static int run_here(const struct test *test) {
    const char *text = test->run();

    if (!text) {
        printf("PASS %s%s\n", test->name, suffix);
        return 0;
    }
    if (strncmp(text, "skip: ", 6) == 0) {
        printf("SKIP %s%s: %s\n", test->name, suffix, text + 6);
        return 2;
    }
    printf("FAIL %s%s: %s\n", test->name, suffix, text);
    return 1;
}

static void count(const struct test *test, int status) {
    if (WIFEXITED(status) && WEXITSTATUS(status) <= 2) {
        int *const counts[] = {&passed, &failed, &skipped};

        ++*counts[WEXITSTATUS(status)];
        return;
    }
    failed++;
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
        printf("FAIL %s%s: took more than %u seconds\n", test->name, suffix, time_limit);
    else
        printf("FAIL %s%s: ended with wait status 0x%x\n", test->name, suffix, status);
}

static void run_test(const struct test *test) {
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        setpgid(0, 0);
        alarm(time_limit);
        status = run_here(test);
        fflush(stdout);
        _exit(status);
    }
    waitpid(pid, &status, 0);
    kill(-pid, SIGKILL); /* children a failing test left behind */
    count(test, status);
    fflush(stdout);
}

static const struct option {
    const char *name;
    unsigned *value;
} options[] = {{"limit=", &time_limit}, {"late=", &late_limit}};

/* The argument is one of them, which is set. */
static bool is_option(const char *arg) {
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
        if (strncmp(arg, options[i].name, strlen(options[i].name)) == 0) {
            *options[i].value = (unsigned)atoi(arg + strlen(options[i].name));
            return true;
        }
    return false;
}

static bool is_chosen(const char *name, int argc, char **argv) {
    bool any = false;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], name) == 0)
            return true;
        any |= !is_option(argv[i]);
    }
    return !any;
}

/* Let the 32-bit program run its tests and add its counts to ours. */
static void run_stress32(char **argv) {
    char path[256], line[256];
    int counts[3];
    ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 3);
    FILE *out;

    if (len <= 0 || sizeof(void *) == 4)
        return;
    strcpy(path + len, "32");
    if (access(path, X_OK) != 0)
        return;
    for (int i = 1; argv[i] && strlen(path) + strlen(argv[i]) + 2 < sizeof(path); i++)
        strcat(strcat(path, " "), argv[i]);
    out = popen(path, "r");
    while (out && fgets(line, sizeof(line), out)) {
        if (sscanf(line, "RESULT stress32: %d passed, %d failed, %d skipped", &counts[0], &counts[1], &counts[2]) == 3)
            passed += counts[0], failed += counts[1], skipped += counts[2];
        else
            fputs(line, stdout);
    }
    if (!out || pclose(out) == -1)
        failed++;
}

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "--exit") == 0) /* what test_exec starts */
        return atoi(argv[2]);
    if (argc == 2 && strcmp(argv[1], "-l") == 0) {
        for (size_t i = 0; i < NR_TESTS; i++)
            printf("%s%s\n", tests[i].name, suffix);
        return 0;
    }
    for (int i = 1; i < argc; i++)
        is_option(argv[i]);
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (size_t i = 0; i < NR_TESTS; i++)
        if (is_chosen(tests[i].name, argc, argv))
            run_test(&tests[i]);
    run_stress32(argv);
    printf("RESULT stress%s: %d passed, %d failed, %d skipped\n", sizeof(void *) == 8 ? "" : "32", passed, failed,
           skipped);
    return failed ? 1 : 0;
}
