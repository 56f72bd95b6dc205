/* SPDX-License-Identifier: MIT */
/*
 * Traps: one register frame for exceptions, events, system calls and the failsafe callback; C handlers by
 * vector; probes, which run code that may fault and report what happened.
 */
#ifndef SDK_TRAP_H
#define SDK_TRAP_H

#include <sdk/hypercall.h>

enum {
    TRAP_DE = 0,
    TRAP_DB = 1,
    TRAP_NMI = 2,
    TRAP_BP = 3,
    TRAP_OF = 4,
    TRAP_BR = 5,
    TRAP_UD = 6,
    TRAP_NM = 7,
    TRAP_DF = 8,
    TRAP_NP = 11,
    TRAP_SS = 12,
    TRAP_GP = 13,
    TRAP_PF = 14,
    TRAP_MF = 16,
    TRAP_AC = 17,
    TRAP_XM = 19,
    TRAP_INT80 = 0x80,  /* a gate user code may call */
    TRAP_INT81 = 0x81,  /* a gate only the kernel may call */
    TRAP_EVENT = 0x100, /* from here on: no vectors, the callbacks */
    TRAP_SYSCALL = 0x101,
    TRAP_FAILSAFE = 0x102,
    TRAP_COUNT
};

#define PF_PRESENT 1U
#define PF_WRITE 2U
#define PF_USER 4U
#define PF_FETCH 16U

#define RFLAGS_TF 0x100UL
#define RFLAGS_IF 0x200UL
#define RFLAGS_IOPL 0x3000UL
#define RFLAGS_NT 0x4000UL
#define RFLAGS_VM 0x20000UL

/* Made by the stubs in entry.S; the tail from rip on is the hypervisor's frame. */
struct regs {
    uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
    uint64_t vector, error;
    uint64_t rip;
    uint32_t cs, saved_upcall_mask;
    uint64_t rflags, rsp;
    uint64_t ss;
};

static inline bool regs_from_user(const struct regs *regs) {
    return (regs->cs & 3) == 3;
}

/* True if it dealt with the trap, and the interrupted code can go on. TRAP_EVENT's comes after the events' own ones. */
typedef bool trap_handler_t(struct regs *regs);

void trap_init(void);
void trap_set_handler(unsigned vector, trap_handler_t *handler);
/* The table trap_init installed, to be put back by tests which change it. */
const struct trap_info *trap_table(void);
void trap_install_callbacks(void);
/* Entry points, for those who register callbacks themselves. */
void entry_event(void), entry_failsafe(void), entry_syscall(void), entry_vcpu(void);

/* What a probe saw. `regs` holds the registers at the trap, `cr2` is for #PF only. */
struct probe {
    /* Written by the assembly: what a return from probe_enter() needs, and that it is noted. */
    uint64_t rbx, rbp, r12, r13, r14, r15, rsp, rip;
    bool armed;
    struct probe *outer;
    uint8_t upcall_mask;
    bool trapped;
    unsigned vector;
    uint64_t error, cr2;
    struct regs regs;
    unsigned recoveries; /* one, or the way back faults as well */
};

/* Runs fn(arg) under a probe: true if it returned by itself, false if it trapped and p tells how. */
bool probe_run(struct probe *p, void (*fn)(void *), void *arg);
/* A trap now would end what a probe runs. */
bool probe_is_armed(void);
bool probe_read(struct probe *p, const volatile void *va, uint64_t *value);
bool probe_write(struct probe *p, volatile void *va, uint64_t value);
/* Calls code at an address that may not be code. */
bool probe_jump(struct probe *p, unsigned long va);
/* "no trap", or vector, error code, cr2; for messages (static buffer of the caller's CPU). */
const char *probe_describe(const struct probe *p);

static inline bool probe_trapped(const struct probe *p, unsigned vector, uint64_t error) {
    return p->trapped && p->vector == vector && p->error == error;
}

#endif
