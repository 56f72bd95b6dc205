// SPDX-License-Identifier: MIT
/* What user code must not do: see kernel or hypervisor memory, run privileged instructions. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "stress.h"

static void read_word(void *p) {
    (void)*(volatile long *)p;
}

static void write_word(void *p) {
    *(volatile long *)p = 0;
}

static void jump(void *p) {
    ((void (*)(void))p)();
}

/* Neither directly nor with the kernel's help. */
static const char *try_address(unsigned long address) {
    void *p = (void *)address;
    int fds[2];

    if (caught_signal(read_word, p, NULL) != SIGSEGV)
        return wrong("user code read 0x%lx", address);
    if (caught_signal(write_word, p, NULL) != SIGSEGV)
        return wrong("user code wrote to 0x%lx", address);
    if (caught_signal(jump, p, NULL) != SIGSEGV)
        return wrong("user code ran at 0x%lx", address);
    if (pipe(fds))
        return wrong("pipe: %s", strerror(errno));
    if (write(fds[1], p, 8) != -1 || errno != EFAULT)
        return wrong("write() from 0x%lx did not give EFAULT", address);
    close(fds[0]);
    close(fds[1]);
    return NULL;
}

#ifdef __x86_64__
static const unsigned long addresses[] = {
    0xffff800000000000, 0xffff800000001000, 0xffff804000000000, 0xffff808000000000, 0xffff808000010000,
    0xffff80ffffffffff, 0xffff818000000000, 0xffff87fffffff000, 0xffff888000000000, 0xffff888001000000,
    0xffffc90000000000, 0xffffea0000000000, 0xfffffe0000000000, 0xffffffff80000000, 0xffffffff81000000,
    0xffffffff82000000, 0xffffffffa0000000, 0xffffffffff5ff000, 0xffffffffff600ff8, 0xfffffffffffff000,
    0x0000800000000000, 0x8000000000000000, 0xdeadbeefdeadbeef, 0xffff7fffffffffff,
};
#else
static const unsigned long addresses[] = {0xffffe000, 0xfffff000, 0};
#endif

const char *test_isolation(void) {
    const char *text = NULL;

    for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]) && !text; i++)
        text = try_address(addresses[i]);
    if (!text && (syscall(100000) != -1 || errno != ENOSYS))
        text = wrong("a system call that does not exist did not give ENOSYS");
    return text;
}

#define INSTRUCTION(name, text)                                                                                        \
    static void name(void *arg) {                                                                                      \
        (void)arg;                                                                                                     \
        __asm__ volatile(text ::"a"(0), "d"(0x80), "c"(0x10) : "memory");                                              \
    }

#ifdef __x86_64__
#define REG "%%rax"
#else
#define REG "%%eax"
#endif

static long room[2];

INSTRUCTION(do_hlt, "hlt")
INSTRUCTION(do_cli, "cli")
INSTRUCTION(do_sti, "sti")
INSTRUCTION(do_in, "inb %%dx, %%al")
INSTRUCTION(do_out, "outb %%al, %%dx")
INSTRUCTION(do_rdmsr, "rdmsr")
INSTRUCTION(do_wrmsr, "wrmsr")
INSTRUCTION(do_read_cr3, "mov %%cr3, " REG)
INSTRUCTION(do_write_cr3, "mov " REG ", %%cr3")
INSTRUCTION(do_write_cr0, "mov " REG ", %%cr0")
INSTRUCTION(do_read_dr7, "mov %%dr7, " REG)
INSTRUCTION(do_clts, "clts")
INSTRUCTION(do_invd, "invd")
INSTRUCTION(do_wbinvd, "wbinvd")
INSTRUCTION(do_ltr, "ltr %%ax")
INSTRUCTION(do_lldt, "lldt %%cx")
INSTRUCTION(do_int_82, "int $0x82")
INSTRUCTION(do_int_20, "int $0x20")
INSTRUCTION(do_int_8, "int $8")
INSTRUCTION(do_int_ff, "int $0xff")

static void do_lgdt(void *arg) {
    __asm__ volatile("lgdt (%0)" ::"r"(arg) : "memory");
}

static void do_lidt(void *arg) {
    __asm__ volatile("lidt (%0)" ::"r"(arg) : "memory");
}

static void do_invlpg(void *arg) {
    __asm__ volatile("invlpg (%0)" ::"r"(arg) : "memory");
}

static const struct {
    const char *name;
    void (*fn)(void *arg);
} privileged[] = {
    {"hlt", do_hlt},
    {"cli", do_cli},
    {"sti", do_sti},
    {"in", do_in},
    {"out", do_out},
    {"rdmsr", do_rdmsr},
    {"wrmsr", do_wrmsr},
    {"mov from cr3", do_read_cr3},
    {"mov to cr3", do_write_cr3},
    {"mov to cr0", do_write_cr0},
    {"mov from dr7", do_read_dr7},
    {"clts", do_clts},
    {"invd", do_invd},
    {"wbinvd", do_wbinvd},
    {"ltr", do_ltr},
    {"lldt", do_lldt},
    {"lgdt", do_lgdt},
    {"lidt", do_lidt},
    {"invlpg", do_invlpg},
    {"int $0x82", do_int_82},
    {"int $0x20", do_int_20},
    {"int $8", do_int_8},
    {"int $0xff", do_int_ff},
};

const char *test_privileged(void) {
    for (int round = 0; round < 20; round++) {
        for (size_t i = 0; i < sizeof(privileged) / sizeof(privileged[0]); i++) {
            int sig = caught_signal(privileged[i].fn, room, NULL);

            if (sig != SIGSEGV)
                return wrong("%s gave signal %d instead of SIGSEGV", privileged[i].name, sig);
        }
    }
    return NULL;
}
