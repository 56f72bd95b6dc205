// SPDX-License-Identifier: MIT
/* Memory: mappings made and dropped, protections that faults lift, copy on write, and contents that must last. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "stress.h"

#define PAGE 4096ul

static uint8_t *map(size_t len, int prot, int flags) {
    uint8_t *p = mmap(NULL, len, prot, flags | MAP_ANONYMOUS, -1, 0);

    return p == MAP_FAILED ? NULL : p;
}

static unsigned long mark(const uint8_t *page, unsigned long salt) {
    return ((unsigned long)page * 0x9e3779b1ul) ^ salt;
}

static void write_marks(uint8_t *p, size_t len, unsigned long salt) {
    for (size_t at = 0; at < len; at += PAGE) {
        *(unsigned long *)(p + at) = mark(p + at, salt);
        *(unsigned long *)(p + at + PAGE - 8) = ~mark(p + at, salt);
    }
}

static bool marks_are(const uint8_t *p, size_t len, unsigned long salt) {
    for (size_t at = 0; at < len; at += PAGE)
        if (*(const unsigned long *)(p + at) != mark(p + at, salt) ||
            *(const unsigned long *)(p + at + PAGE - 8) != ~mark(p + at, salt))
            return false;
    return true;
}

static const char *map_once(size_t len) {
    uint8_t *p = map(len, PROT_READ | PROT_WRITE, MAP_PRIVATE), *moved;

    if (!p)
        return wrong("mmap of %zu bytes: %s", len, strerror(errno));
    for (size_t at = 0; at < len; at += PAGE)
        if (p[at])
            return wrong("fresh memory is not zero");
    write_marks(p, len, len);
    if (!marks_are(p, len, len))
        return wrong("memory does not hold what was written");
    if (madvise(p, PAGE, MADV_DONTNEED) || p[0] != 0)
        return wrong("MADV_DONTNEED left old contents");
    p[PAGE] = 0x5a;
    moved = mremap(p, len, len * 2, MREMAP_MAYMOVE);
    if (moved == MAP_FAILED)
        return wrong("mremap: %s", strerror(errno));
    if (moved[PAGE] != 0x5a || moved[len] != 0)
        return wrong("mremap changed the contents");
    munmap(moved, len * 2);
    return NULL;
}

const char *test_mmap(void) {
    const char *text = NULL;

    for (int i = 0; i < 300 && !text; i++)
        text = map_once(PAGE * (size_t)(2 + i % 40));
    for (int i = 0; i < 3 && !text; i++)
        text = map_once(8ul << 20); /* may become huge pages, where there are any */
    return text;
}

static void write_byte(void *p) {
    *(volatile uint8_t *)p = 1;
}

static void read_byte(void *p) {
    (void)*(volatile uint8_t *)p;
}

static uint8_t *lifted;
static volatile int lifts;

static void lift_protection(int sig, siginfo_t *info, void *context) {
    uintptr_t page = (uintptr_t)info->si_addr & ~(PAGE - 1);

    (void)sig;
    (void)context;
    lifts++;
    mprotect((void *)page, PAGE, PROT_READ | PROT_WRITE);
}

/* Every page is write-protected; the handler lifts it, and the write goes on as if nothing had been. */
static const char *lift_pages(int pages) {
    struct sigaction action = {.sa_sigaction = lift_protection, .sa_flags = SA_SIGINFO};
    size_t len = (size_t)pages * PAGE;

    lifted = map(len, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    sigaction(SIGSEGV, &action, NULL);
    write_marks(lifted, len, 1);
    mprotect(lifted, len, PROT_READ);
    lifts = 0;
    write_marks(lifted, len, 2);
    signal(SIGSEGV, SIG_DFL);
    if (lifts != pages)
        return wrong("%d faults instead of %d", lifts, pages);
    return marks_are(lifted, len, 2) ? NULL : wrong("contents lost over faults");
}

const char *test_mprotect(void) {
    uint8_t *p = map(PAGE * 4, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    void *address;

    for (int i = 0; i < 100; i++) {
        p[0] = 1;
        mprotect(p, PAGE, PROT_READ);
        if (caught_signal(write_byte, p, &address) != SIGSEGV || address != p)
            return wrong("a write to a read-only page was not refused");
        mprotect(p, PAGE, PROT_NONE);
        if (caught_signal(read_byte, p + 5, &address) != SIGSEGV || address != p + 5)
            return wrong("a read of a PROT_NONE page was not refused");
        mprotect(p, PAGE, PROT_READ | PROT_WRITE);
    }
    if (p[0] != 1)
        return wrong("contents changed with the protection");
    munmap(p, PAGE * 4);
    if (caught_signal(read_byte, p, &address) != SIGSEGV || address != p)
        return wrong("a read of unmapped memory was not refused");
    return lift_pages(256);
}

static const char *cow_once(uint8_t *private, uint8_t *shared, size_t len, unsigned long salt) {
    const char *text;
    pid_t pid;

    write_marks(private, len, salt);
    write_marks(shared, len, salt);
    pid = fork();
    if (pid == 0) {
        bool ok = marks_are(private, len, salt);

        write_marks(private, len, salt + 1);
        write_marks(shared, len, salt + 1);
        _exit(ok && marks_are(private, len, salt + 1) ? 0 : 1);
    }
    text = wait_for(pid, 0);
    if (text)
        return text;
    if (!marks_are(private, len, salt))
        return wrong("a child's writes reached the parent's private memory");
    return marks_are(shared, len, salt + 1) ? NULL : wrong("a child's writes to shared memory were lost");
}

const char *test_cow(void) {
    size_t len = PAGE * 256;
    uint8_t *private = map(len, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    uint8_t *shared = map(len, PROT_READ | PROT_WRITE, MAP_SHARED);
    const char *text = NULL;

    for (unsigned long i = 0; i < 20 && !text; i++)
        text = cow_once(private, shared, len, i);
    return text;
}

static unsigned long available_bytes(void) {
    FILE *f = fopen("/proc/meminfo", "r");
    unsigned long kb = 0;
    char line[128];

    while (f && fgets(line, sizeof(line), f))
        if (sscanf(line, "MemAvailable: %lu", &kb) == 1)
            break;
    if (f)
        fclose(f);
    return kb << 10;
}

/* A quarter of what is free, each page marked; checked after other processes made and freed as much. */
const char *test_memory(void) {
    unsigned long len = available_bytes() / 4;
    const char *text = NULL;
    uint8_t *p;

    len = (len > (96ul << 20) ? 96ul << 20 : len) & ~(PAGE - 1);
    p = len ? map(len, PROT_READ | PROT_WRITE, MAP_PRIVATE) : NULL;
    if (!p)
        return wrong("cannot get %lu bytes", len);
    write_marks(p, len, 3);
    for (int i = 0; i < 2 && !text; i++) {
        pid_t pid = fork();

        if (pid == 0) {
            uint8_t *q = map(len, PROT_READ | PROT_WRITE, MAP_PRIVATE);

            munmap(p, len);
            write_marks(q, len, 4);
            _exit(marks_are(q, len, 4) ? 0 : 1);
        }
        text = wait_for(pid, 0);
    }
    if (text)
        return text;
    return marks_are(p, len, 3) ? NULL : wrong("memory does not hold what was written");
}
