// SPDX-License-Identifier: MIT
/* Threads: mutexes and condition variables under contention, and raw futex waits. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "stress.h"

#define THREADS 6
#define ROUNDS 20000

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static long total, turn;
static __thread long own;

static void *add(void *arg) {
    for (int i = 0; i < ROUNDS; i++) {
        pthread_mutex_lock(&lock);
        total++;
        own++;
        pthread_mutex_unlock(&lock);
    }
    (void)arg;
    return (void *)own;
}

static void *take_turns(void *arg) {
    long me = (long)arg;

    for (int i = 0; i < 200; i++) {
        pthread_mutex_lock(&lock);
        while (turn % THREADS != me)
            pthread_cond_wait(&changed, &lock);
        turn++;
        pthread_cond_broadcast(&changed);
        pthread_mutex_unlock(&lock);
    }
    return (void *)(long)ROUNDS;
}

/* Run fn in each of THREADS threads; all must return ROUNDS. */
static const char *run_threads(void *(*fn)(void *)) {
    pthread_t threads[THREADS];
    const char *text = NULL;

    for (long i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, fn, (void *)i))
            return wrong("pthread_create failed");
    for (int i = 0; i < THREADS; i++) {
        void *result;

        pthread_join(threads[i], &result);
        if ((long)result != ROUNDS)
            text = wrong("a thread counted %ld instead of %d", (long)result, ROUNDS);
    }
    return text;
}

static void *nothing(void *arg) {
    return arg;
}

const char *test_threads(void) {
    const char *text = run_threads(add);

    if (!text && total != (long)THREADS * ROUNDS)
        text = wrong("%ld instead of %d increments", total, THREADS * ROUNDS);
    if (!text)
        text = run_threads(take_turns);
    for (long i = 0; i < 200 && !text; i++) {
        pthread_t thread;
        void *result;

        if (pthread_create(&thread, NULL, nothing, (void *)i) || pthread_join(thread, &result) || (long)result != i)
            text = wrong("thread %ld did not come and go", i);
    }
    return text;
}

static uint32_t word;

static long futex(int op, uint32_t value, const struct timespec *timeout) {
    return syscall(SYS_futex, &word, op, value, timeout, NULL, 0);
}

static void *answer(void *arg) {
    for (uint32_t i = 0; i < 1000; i++) {
        while (__atomic_load_n(&word, __ATOMIC_SEQ_CST) != 2 * i + 1)
            futex(FUTEX_WAIT, 2 * i, NULL);
        __atomic_store_n(&word, 2 * i + 2, __ATOMIC_SEQ_CST);
        futex(FUTEX_WAKE, 1, NULL);
    }
    return arg;
}

const char *test_futex(void) {
    struct timespec short_time = {0, 20000000};
    pthread_t thread;
    double before;

    if (pthread_create(&thread, NULL, answer, NULL))
        return wrong("pthread_create failed");
    for (uint32_t i = 0; i < 1000; i++) {
        __atomic_store_n(&word, 2 * i + 1, __ATOMIC_SEQ_CST);
        futex(FUTEX_WAKE, 1, NULL);
        while (__atomic_load_n(&word, __ATOMIC_SEQ_CST) != 2 * i + 2)
            futex(FUTEX_WAIT, 2 * i + 1, NULL);
    }
    pthread_join(thread, NULL);
    before = seconds_now();
    errno = 0;
    if (sizeof(void *) == 4 && sizeof(time_t) == 8)
        return NULL; /* SYS_futex takes a 32-bit time there */
    if (futex(FUTEX_WAIT, word, &short_time) != -1 || errno != ETIMEDOUT)
        return wrong("a futex wait did not time out: %s", strerror(errno));
    if (seconds_now() - before < 0.02)
        return wrong("a futex wait timed out too early");
    return NULL;
}
