// SPDX-License-Identifier: MIT
/* Time: sleeps that end neither early nor far too late, timers in order, and clocks that never run backward. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "stress.h"

/* Seconds: other guests may run, on an emulated CPU. A wake-up that is lost never comes. */
unsigned late_limit = 1;

const char *test_sleep(void) {
    static const long lengths[] = {50000, 1000000, 5000000, 20000000, 100000000}; /* ns */

    for (int i = 0; i < 25; i++) {
        struct timespec length = {0, lengths[i % 5]};
        double before = seconds_now(), took, asked = (double)length.tv_nsec / 1e9;

        if (nanosleep(&length, NULL))
            return wrong("nanosleep: %s", strerror(errno));
        took = seconds_now() - before;
        if (took < asked || took > asked + late_limit)
            return wrong("a sleep of %.6f s took %.6f s", asked, took);
    }
    return NULL;
}

static int arm(const struct timespec *start, long ms) {
    int fd = timerfd_create(CLOCK_MONOTONIC, 0);
    long ns = start->tv_nsec + ms * 1000000;
    struct itimerspec when = {{0, 0}, {start->tv_sec + ns / 1000000000, ns % 1000000000}};

    timerfd_settime(fd, TFD_TIMER_ABSTIME, &when, NULL);
    return fd;
}

/* Linux keeps the order of the timers of one CPU, whatever comes in between, if all are counted from the same moment;
 * of those of two CPUs the later one may be seen first, when the other CPU is not running. */
static const char *stay_on_one_cpu(void) {
    cpu_set_t one;

    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    return sched_setaffinity(0, sizeof(one), &one) ? wrong("sched_setaffinity: %s", strerror(errno)) : NULL;
}

#define SOONEST 30 /* ms */

static bool is_past(const struct timespec *start, long ms) {
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (now.tv_sec - start->tv_sec) * 1000 + (now.tv_nsec - start->tv_nsec) / 1000000 >= ms;
}

/* Of one that is armed after its time nothing can be said: then all are armed again. */
static bool arm_all(struct pollfd fds[3]) {
    static const long ms[] = {90, SOONEST, 60};
    struct timespec start;

    for (int tries = 0; tries < 1000; tries++) {
        clock_gettime(CLOCK_MONOTONIC, &start);
        for (int i = 0; i < 3; i++)
            fds[i] = (struct pollfd){arm(&start, ms[i]), POLLIN, 0};
        if (!is_past(&start, SOONEST))
            return true;
        for (int i = 0; i < 3; i++)
            close(fds[i].fd);
    }
    return false;
}

static const char *timers_in_order(void) {
    struct pollfd fds[3];
    uint64_t expirations;

    if (!arm_all(fds))
        return wrong("three timers could never be armed within %d ms", SOONEST);
    for (int i = 0; i < 3; i++) {
        static const int order[] = {1, 2, 0};
        struct pollfd *next = &fds[order[i]];

        if (poll(fds, 3, 5000) < 1)
            return wrong("timer %d did not fire in 5 s", i);
        poll(fds, 3, 0); /* several may have fired while it looked at one after the other */
        if (!(next->revents & POLLIN))
            return wrong("timers fired out of order");
        if (read(next->fd, &expirations, 8) != 8 || expirations != 1)
            return wrong("a timer fired more than once");
        close(next->fd);
        next->fd = -1;
    }
    return NULL;
}

static volatile int ticks;

static void tick(int sig) {
    (void)sig;
    ticks++;
}

const char *test_timers(void) {
    struct itimerval every = {{0, 10000}, {0, 10000}}, never = {{0, 0}, {0, 0}};
    const char *text = stay_on_one_cpu();
    double start, took;

    for (int i = 0; i < 5 && !text; i++)
        text = timers_in_order();
    if (text)
        return text;
    signal(SIGALRM, tick);
    start = seconds_now();
    setitimer(ITIMER_REAL, &every, NULL);
    while (ticks < 50 && seconds_now() - start < 30)
        pause();
    took = seconds_now() - start;
    setitimer(ITIMER_REAL, &never, NULL);
    if (ticks < 50 || took < 0.49 || took > 0.5 + 10 * late_limit)
        return wrong("%d ticks of 10 ms took %.3f s", ticks, took);
    return NULL;
}

static int64_t now(clockid_t clock, bool by_kernel) {
    struct timespec t = {0, 0};

    if (by_kernel && sizeof(void *) == 8)
        syscall(SYS_clock_gettime, clock, &t);
    else
        clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static volatile int64_t latest;

/* Several threads pass one clock reading around: nobody may see an earlier time than somebody saw before. */
static void *watch_clock(void *arg) {
    double end = seconds_now() + 0.5;

    while (seconds_now() < end) {
        int64_t seen = __atomic_load_n(&latest, __ATOMIC_SEQ_CST), t = now(CLOCK_MONOTONIC, false);

        if (t < seen)
            return (void *)(intptr_t)(seen - t > 1000000000 ? 1000000000 : seen - t);
        while (seen < t && !__atomic_compare_exchange_n(&latest, &seen, t, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
            continue;
    }
    return arg;
}

static const char *clock_is_monotonic(void) {
    pthread_t threads[4];
    intptr_t worst = 0;

    for (int i = 0; i < 4; i++)
        if (pthread_create(&threads[i], NULL, watch_clock, NULL))
            return wrong("pthread_create failed");
    for (int i = 0; i < 4; i++) {
        void *result;

        pthread_join(threads[i], &result);
        worst = (intptr_t)result > worst ? (intptr_t)result : worst;
    }
    return worst ? wrong("the clock went back by %ld ns between two CPUs", (long)worst) : NULL;
}

/* Both at one moment: of readings between which nobody else had the CPU for long. */
static void read_clocks(int64_t *mono, int64_t *real) {
    int64_t best = INT64_MAX;

    for (int tries = 0; tries < 1000 && best > 1000000; tries++) {
        int64_t before = now(CLOCK_MONOTONIC, true), r = now(CLOCK_REALTIME, true), after = now(CLOCK_MONOTONIC, true);

        if (after - before < best) {
            best = after - before;
            *mono = before;
            *real = r;
        }
    }
}

const char *test_clock(void) {
    int64_t real, mono, real_later, mono_later, elapsed_real, elapsed_mono;
    const char *text = clock_is_monotonic();

    if (text)
        return text;
    for (int i = 0; i < 2000; i++) {
        int64_t a = now(CLOCK_MONOTONIC, i & 1), b = now(CLOCK_MONOTONIC, !(i & 1)), c = now(CLOCK_MONOTONIC, i & 1);

        if (a > b || b > c)
            return wrong("the vdso's clock and the kernel's disagree by %ld ns", (long)(a > b ? a - b : b - c));
    }
    read_clocks(&mono, &real);
    usleep(300000);
    read_clocks(&mono_later, &real_later);
    elapsed_real = real_later - real;
    elapsed_mono = mono_later - mono;
    if (elapsed_mono < 300000000 || elapsed_real < elapsed_mono * 9 / 10 || elapsed_real > elapsed_mono * 11 / 10)
        return wrong("0.3 s: monotonic %ld ms, real %ld ms", (long)(elapsed_mono / 1000000),
                     (long)(elapsed_real / 1000000));
    return NULL;
}

#ifdef __x86_64__
static struct timeval from_vsyscall;

static void call_vsyscall(void *arg) {
    int (*get_time)(struct timeval *, void *) = (int (*)(struct timeval *, void *))0xffffffffff600000ul;

    get_time(&from_vsyscall, arg);
}

/* Kernels without the legacy page refuse the call with SIGSEGV; one that has it must tell the right time. */
const char *test_vsyscall(void) {
    struct timeval before, after;
    int sig;

    gettimeofday(&before, NULL);
    sig = caught_signal(call_vsyscall, NULL, NULL);
    gettimeofday(&after, NULL);
    if (sig == SIGSEGV)
        return NULL;
    if (sig)
        return wrong("the vsyscall page gave signal %d", sig);
    if (timercmp(&from_vsyscall, &before, <) || timercmp(&from_vsyscall, &after, >))
        return wrong("the vsyscall page tells another time than the kernel");
    return NULL;
}
#endif
