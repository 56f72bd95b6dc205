// SPDX-License-Identifier: MIT
/* Processes: fork storms, exec, pipes between processes, and the CPUs they run on. */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "stress.h"

#define CHILDREN 24

/* A tree of processes: each exits with the number it was given, or 99 when something under it went wrong. */
static const char *fork_tree(int depth, int width) {
    pid_t pids[CHILDREN];
    const char *text = NULL;

    for (int i = 0; i < width; i++) {
        pids[i] = fork();
        if (pids[i] == 0)
            _exit(depth && fork_tree(depth - 1, 3) ? 99 : i);
    }
    for (int i = 0; i < width; i++) {
        const char *bad = wait_for(pids[i], i);

        text = text ? text : bad;
    }
    return text;
}

const char *test_fork(void) {
    const char *text = NULL;

    for (int round = 0; round < 4 && !text; round++)
        text = fork_tree(1, CHILDREN);
    return text;
}

/* vfork: the child borrows our memory until it is another program. */
static pid_t exec_exit(char *status) {
    pid_t pid = vfork();

    if (pid == 0) {
        execl("/proc/self/exe", "stress", "--exit", status, (char *)NULL);
        _exit(98);
    }
    return pid;
}

const char *test_exec(void) {
    const char *text = NULL;

    for (int i = 0; i < 40 && !text; i++) {
        char status[8];
        pid_t pid;

        snprintf(status, sizeof(status), "%d", i);
        if (i & 1)
            pid = exec_exit(status);
        else if ((pid = fork()) == 0)
            _exit(wait_for(exec_exit(status), i) ? 97 : i);
        text = wait_for(pid, i);
    }
    return text;
}

static const char *ping_pong(int rounds) {
    int there[2], back[2];
    char c = 0;
    pid_t pid;

    if (pipe(there) || pipe(back))
        return wrong("pipe: %s", strerror(errno));
    pid = fork();
    if (pid == 0) {
        for (int i = 0; i < rounds; i++)
            if (read(there[0], &c, 1) != 1 || c != (char)i || write(back[1], &c, 1) != 1)
                _exit(1);
        _exit(0);
    }
    for (int i = 0; i < rounds; i++) {
        c = (char)i;
        if (write(there[1], &c, 1) != 1 || read(back[0], &c, 1) != 1 || c != (char)i)
            return wrong("round %d of the ping-pong went wrong", i);
    }
    return wait_for(pid, 0);
}

static uint8_t pattern(size_t at) {
    return (uint8_t)(at * 31 + (at >> 8) * 7 + (at >> 16));
}

static const char *bulk(size_t total) {
    static uint8_t buf[65536];
    int ends[2];
    size_t at = 0;
    pid_t pid;

    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends))
        return wrong("socketpair: %s", strerror(errno));
    pid = fork();
    if (pid == 0) {
        close(ends[0]);
        while (at < total) {
            size_t n = 1 + at % sizeof(buf), sent = 0;

            n = n > total - at ? total - at : n;
            for (size_t i = 0; i < n; i++)
                buf[i] = pattern(at + i);
            while (sent < n) {
                ssize_t got = write(ends[1], buf + sent, n - sent);

                if (got <= 0)
                    _exit(1);
                sent += (size_t)got;
            }
            at += n;
        }
        _exit(0);
    }
    close(ends[1]);
    for (ssize_t n; (n = read(ends[0], buf, sizeof(buf))) > 0; at += (size_t)n)
        for (ssize_t i = 0; i < n; i++)
            if (buf[i] != pattern(at + (size_t)i))
                return wrong("byte %zu came out wrong", at + (size_t)i);
    close(ends[0]);
    return at == total ? wait_for(pid, 0) : wrong("%zu bytes came instead of %zu", at, total);
}

const char *test_pipes(void) {
    const char *text = ping_pong(2000);
    int ends[2];

    if (!text)
        text = bulk(4 << 20);
    if (text)
        return text;
    if (pipe(ends) || close(ends[0]))
        return wrong("pipe: %s", strerror(errno));
    signal(SIGPIPE, SIG_IGN);
    if (write(ends[1], "x", 1) != -1 || errno != EPIPE)
        return wrong("writing to a pipe without reader did not give EPIPE");
    return NULL;
}

static int cpus_in_cpuinfo(void) {
    FILE *f = fopen("/proc/cpuinfo", "r");
    char line[4096];
    int cpus = 0;

    while (f && fgets(line, sizeof(line), f))
        cpus += strncmp(line, "processor", 9) == 0;
    if (f)
        fclose(f);
    return cpus;
}

const char *test_cpus(void) {
    int online = (int)sysconf(_SC_NPROCESSORS_ONLN), listed = cpus_in_cpuinfo();
    cpu_set_t allowed, one;

    if (online < 1 || online != listed)
        return wrong("%d CPUs are online but /proc/cpuinfo lists %d", online, listed);
    sched_getaffinity(0, sizeof(allowed), &allowed);
    for (int round = 0; round < 50; round++) {
        for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
            if (!CPU_ISSET(cpu, &allowed))
                continue;
            CPU_ZERO(&one);
            CPU_SET(cpu, &one);
            if (sched_setaffinity(0, sizeof(one), &one))
                return wrong("moving to CPU %d: %s", cpu, strerror(errno));
            if (sched_getcpu() != cpu)
                return wrong("moved to CPU %d but runs on %d", cpu, sched_getcpu());
        }
    }
    return NULL;
}
