/* SPDX-License-Identifier: MIT */
/*
 * sys: system calls of Linux for a program without a C library: what it runs is what is in this folder, on every
 * hypervisor the same bytes. Nothing here is checked but where a row would measure nonsense: see must().
 */
#ifndef BENCH_SYS_H
#define BENCH_SYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/sched.h>
#include <linux/futex.h>
#include <asm/unistd_64.h>
#include <asm/signal.h>
#include <asm-generic/mman-common.h>
#include <asm-generic/fcntl.h>

#define PAGE 4096ul
#define LENGTH_OF(a) (sizeof(a) / sizeof((a)[0]))

static inline long sys0(long number) {
    long ret;

    __asm__ volatile("syscall" : "=a"(ret) : "a"(number) : "rcx", "r11", "memory");
    return ret;
}

static inline long sys3(long number, long a, long b, long c) {
    long ret;

    __asm__ volatile("syscall" : "=a"(ret) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    return ret;
}

static inline long sys6(long number, long a, long b, long c, long d, long e, long f) {
    register long r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
    long ret;

    __asm__ volatile("syscall"
                     : "=a"(ret)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return ret;
}

static inline uint64_t ticks_now(void) {
    uint32_t low, high;

    __asm__ volatile("lfence\n\trdtsc" : "=a"(low), "=d"(high)::"memory");
    return low | (uint64_t)high << 32;
}

/* Ends the program with a message unless `result` is a success; gives it back. */
long must(const char *what, long result);

void print(const char *text);
void print_number(uint64_t value);

static inline void *sys_map_near(unsigned long where, size_t size, int flags, int fd) {
    return (void *)must("mmap", sys6(__NR_mmap, (long)where, (long)size, PROT_READ | PROT_WRITE, flags, fd, 0));
}

static inline void *sys_map(size_t size, int flags, int fd) {
    return sys_map_near(0, size, flags, fd);
}

static inline void sys_unmap(void *address, size_t size) {
    must("munmap", sys3(__NR_munmap, (long)address, (long)size, 0));
}

static inline void *sys_map_memory(size_t size) {
    return sys_map(size, 0x02 /* MAP_PRIVATE */ | MAP_ANONYMOUS, -1);
}

static inline long sys_fork(void) {
    return must("fork", sys0(__NR_fork));
}

static inline void sys_wait(long pid) {
    must("wait4", sys6(__NR_wait4, pid, 0, 0, 0, 0, 0));
}

__attribute__((noreturn)) static inline void sys_exit(int status) {
    for (;;)
        sys3(__NR_exit_group, status, 0, 0);
}

static inline int sys_open(const char *path, int flags) {
    return (int)must(path, sys3(__NR_open, (long)path, flags, 0644));
}

static inline void sys_close(int fd) {
    sys3(__NR_close, fd, 0, 0);
}

static inline void sys_pipe(int fds[2]) {
    must("pipe", sys3(__NR_pipe, (long)fds, 0, 0));
}

/* One byte through a pipe: the token of all the games between processes. False at its end. */
static inline bool token_take(int fd) {
    char byte;

    return sys3(__NR_read, fd, (long)&byte, 1) == 1;
}

static inline void token_give(int fd) {
    char byte = 't';

    must("write", sys3(__NR_write, fd, (long)&byte, 1));
}

#endif
