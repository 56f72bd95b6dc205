// SPDX-License-Identifier: MIT
/* Segments and modes: local descriptor tables, thread bases, 32-bit system calls, and switches to 32-bit code. */
#define _GNU_SOURCE
#include <asm/ldt.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "stress.h"

#define ENTRY 5
#define LDT_SELECTOR (ENTRY << 3 | 7)

static long call_int80(long number) {
    long result;

    __asm__ volatile("int $0x80" : "=a"(result) : "a"(number) : "memory");
    return result;
}

/* 32-bit numbers: 20 getpid, 64 getppid. */
const char *test_int80(void) {
    for (int i = 0; i < 2000; i++) {
        if (call_int80(20) != getpid() || call_int80(64) != getppid())
            return wrong("int $0x80 gave another process id than the system call");
    }
    if (call_int80(9999) != -ENOSYS)
        return wrong("int $0x80 with a bad number did not give ENOSYS");
    return NULL;
}

static int set_ldt_entry(unsigned long base, bool empty) {
    struct user_desc desc = {
        .entry_number = ENTRY,
        .base_addr = (unsigned int)base,
        .limit = empty ? 0 : 0xfff,
        .seg_32bit = !empty,
        .read_exec_only = empty,
        .seg_not_present = empty,
        .useable = !empty,
    };

    if (empty)
        desc.base_addr = 0;
    return (int)syscall(SYS_modify_ldt, 0x11, &desc, sizeof(desc));
}

static uint32_t read_by_selector(uint16_t selector, unsigned long offset) {
    uint32_t value;

#ifdef __x86_64__
    __asm__ volatile("mov %1, %%gs; mov %%gs:(%2), %0; mov %3, %%gs"
                     : "=&r"(value)
                     : "r"((uint32_t)selector), "r"(offset), "r"(0));
#else
    __asm__ volatile("mov %1, %%fs; mov %%fs:(%2), %0; mov %3, %%fs"
                     : "=&r"(value)
                     : "r"((uint32_t)selector), "r"(offset), "r"(0));
#endif
    return value;
}

static void load_selector(void *arg) {
    (void)arg;
    read_by_selector(LDT_SELECTOR, 0);
}

/* A child inherits the table, and changes to its own do not reach ours. */
static const char *ldt_over_fork(void) {
    pid_t pid = fork();

    if (pid == 0) {
        bool same = read_by_selector(LDT_SELECTOR, 16) == 0x12345678;

        set_ldt_entry(0, true);
        _exit(same && caught_signal(load_selector, NULL, NULL) == SIGSEGV ? 0 : 1);
    }
    return wait_for(pid, 0);
}

const char *test_ldt(void) {
    uint32_t *low = mmap((void *)0x10000000, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const char *text = NULL;

    if (low == MAP_FAILED || (unsigned long)low > 0xfffff000ul)
        return wrong("no memory below 4 GiB");
    if (set_ldt_entry((unsigned long)low, false))
        return errno == ENOSYS ? "skip: this kernel has no modify_ldt" : wrong("modify_ldt: %s", strerror(errno));
    low[4] = 0x12345678;
    for (int i = 0; i < 200 && !text; i++) {
        if (read_by_selector(LDT_SELECTOR, 16) != 0x12345678)
            return wrong("a read through the LDT gave something else");
        sched_yield();
        if (i % 50 == 0)
            text = ldt_over_fork();
    }
    if (text)
        return text;
    if (read_by_selector(LDT_SELECTOR, 16) != 0x12345678)
        return wrong("a child's change of its LDT reached ours");
    set_ldt_entry(0, true);
    if (caught_signal(load_selector, NULL, NULL) != SIGSEGV)
        return wrong("an emptied LDT entry could still be loaded");
    return NULL;
}

static __thread long mine;

static void *keep_own(void *arg) {
    mine = (long)arg;
    for (int i = 0; i < 2000; i++) {
        sched_yield();
        if (mine != (long)arg)
            return (void *)1;
    }
    return NULL;
}

static const char *thread_variables(void) {
    pthread_t threads[6];
    bool bad = false;

    for (long i = 0; i < 6; i++)
        if (pthread_create(&threads[i], NULL, keep_own, (void *)(i + 1)))
            return wrong("pthread_create failed");
    for (int i = 0; i < 6; i++) {
        void *result;

        pthread_join(threads[i], &result);
        bad |= result != NULL;
    }
    return bad ? wrong("a thread's variable changed under it") : NULL;
}

#ifdef __x86_64__
#include <asm/prctl.h>

static const char *keep_gs_base(unsigned long base) {
    unsigned long got, here;

    if (syscall(SYS_arch_prctl, ARCH_SET_GS, base))
        return wrong("ARCH_SET_GS: %s", strerror(errno));
    *(unsigned long *)base = base ^ 0x55;
    for (int i = 0; i < 1000; i++) {
        sched_yield();
        __asm__ volatile("mov %%gs:0, %0" : "=r"(here));
        if (here != (base ^ 0x55))
            return wrong("GS base lost over a context switch");
    }
    if (syscall(SYS_arch_prctl, ARCH_GET_GS, &got) || got != base)
        return wrong("ARCH_GET_GS gave another base");
    if (getauxval(AT_HWCAP2) & 2) { /* the FSGSBASE instructions are enabled */
        __asm__ volatile("rdgsbase %0" : "=r"(got));
        if (got != base)
            return wrong("RDGSBASE gave another base");
        __asm__ volatile("wrgsbase %0" ::"r"(base + 8));
        sched_yield();
        __asm__ volatile("rdgsbase %0" : "=r"(got));
        if (got != base + 8)
            return wrong("WRGSBASE lost over a context switch");
    }
    return NULL;
}

static const char *gs_bases(void) {
    unsigned long *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const char *text = NULL;
    pid_t pids[4];

    for (int i = 0; i < 4; i++) {
        pids[i] = fork();
        if (pids[i] == 0)
            _exit(keep_gs_base((unsigned long)(page + i * 64)) ? 1 : 0);
    }
    for (int i = 0; i < 4; i++) {
        const char *bad = wait_for(pids[i], 0);

        text = text ? text : bad;
    }
    if (text)
        return text;
    if (syscall(SYS_arch_prctl, ARCH_SET_GS, 0xffff888000000000ul) != -1 || errno != EPERM)
        return wrong("a kernel address was taken as GS base");
    return keep_gs_base((unsigned long)page);
}

const char *test_tls(void) {
    const char *text = thread_variables();

    return text ? text : gs_bases();
}

/* In low memory: 32-bit code that makes a system call and jumps to 64-bit code that returns. */
static const uint8_t code32[] = {
    0xb8, 20,   0, 0, 0,             /* mov $20, %eax */
    0xcd, 0x80,                      /* int $0x80 */
    0xea, 14,   0, 0, 0x10, 0x33, 0, /* ljmp $0x33, $LOW + 14 */
    0xc3,                            /* ret */
};

#define LOW 0x10000000ul

/*
 * Far jumps, since QEMU before 9 does the stack accesses of far calls and returns in user mode with the kernel's
 * rights, where SMAP refuses them. The target is not on the stack, which changes before it is read.
 */
static long call_code32(void *stack_top) {
    static const struct {
        uint32_t offset;
        uint16_t selector;
    } __attribute__((packed)) target = {LOW, 0x23};
    long result;

    __asm__ volatile("mov %%rsp, %%r12; mov %2, %%rsp; lea 1f(%%rip), %%rax; push %%rax; ljmp *%1; 1: mov %%r12, %%rsp"
                     : "=&a"(result)
                     : "m"(target), "r"(stack_top)
                     : "r12", "rcx", "rdx", "r8", "r9", "r10", "r11", "memory", "cc");
    return result;
}

/* One process in both modes: 64-bit code calls 32-bit code through Linux's user code selector. */
const char *test_modes(void) {
    uint8_t *low = mmap((void *)LOW, 8192, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (low != (uint8_t *)LOW)
        return wrong("no memory at 256 MiB");
    memcpy(low, code32, sizeof(code32));
    for (int i = 0; i < 500; i++) {
        if ((int)call_code32(low + 8192) != getpid())
            return wrong("32-bit code in a 64-bit process went wrong");
    }
    return NULL;
}
#else
const char *test_tls(void) {
    return thread_variables();
}

/* The vdso's entry: SYSENTER or SYSCALL, as the CPU has it. */
const char *test_vdso32(void) {
    void (*entry)(void) = (void (*)(void))getauxval(AT_SYSINFO);

    if (!entry)
        return "skip: no vdso";
    for (int i = 0; i < 2000; i++) {
        int pid;

        __asm__ volatile("call *%1" : "=a"(pid) : "r"(entry), "0"(20) : "memory", "cc");
        if (pid != getpid())
            return wrong("the vdso's system call gave another process id");
    }
    return NULL;
}
#endif
