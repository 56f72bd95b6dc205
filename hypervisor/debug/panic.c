// SPDX-License-Identifier: MIT
/*
 * The end: our own invariant broke. One CPU reports for all: it stops the others by NMI, says what happened, where, and
 * what each CPU was doing, and then stops or resets the machine. No lock is waited for on the way.
 */
#include "internal.h"

#include <pv/boot.h>
#include <pv/console.h>
#include <pv/domain.h>
#include <pv/gate.h>
#include <pv/platform.h>
#include <pv/x86.h>

#define ANSWER_US                                                                                                      \
    1000000 /* for the others to come to their NMI: as long as an outer host may keep them from running                \
             */

/* What a CPU was doing when it was stopped; written by that CPU, read by the one that reports. */
static struct stopped {
    bool here;
    const char *panicked; /* its own sentence, if it panicked as well */
    struct regs regs;
} stopped[MAX_CPUS];

static u32 reporter; /* CPU number + 1, 0: nobody panicked yet */
static bool halts;   /* panic=halt */

void debug_init(void) {
    const char *value;

    halts = boot_option("panic", &value) == 4 && !strncmp(value, "halt", 4);
}

static u32 own_number(void) {
    return nr_cpus ? this_cpu()->id : 0;
}

static void __noreturn stop_for_ever(void) {
    for (;;)
        cpu_halt_forever_insn();
}

static void __noreturn end(void) {
    if (halts)
        stop_for_ever();
    platform_reboot();
}

/* --- the others --- */

static void __noreturn stop_here(const struct regs *r, const char *panicked) {
    struct stopped *s = &stopped[own_number()];

    if (!s->here) {
        s->regs = *r;
        s->panicked = panicked;
        __atomic_store_n(&s->here, true, __ATOMIC_SEQ_CST);
    }
    stop_for_ever();
}

void debug_nmi(const struct regs *r) {
    u32 who = __atomic_load_n(&reporter, __ATOMIC_SEQ_CST);

    if (who && who != own_number() + 1)
        stop_here(r, NULL);
    if (!who)
        stuck_answer(r);
}

static bool all_stopped(u32 self) {
    for (u32 i = 0; i < nr_cpus; i++)
        if (i != self && cpus[i]->online && !__atomic_load_n(&stopped[i].here, __ATOMIC_SEQ_CST))
            return false;
    return true;
}

static void stop_others(u32 self) {
    for (u32 i = 0; i < nr_cpus; i++)
        if (i != self && cpus[i]->online)
            apic_send_nmi(cpus[i]->apic_id);
    for (u32 us = 0; us < ANSWER_US && !all_stopped(self); us += 100)
        platform_delay_us(100);
}

/* --- the report --- */

static void print_registers(const struct regs *r) {
    printk("  rip %016lx  rsp %016lx  rbp %016lx  rflags %lx\n", r->rip, r->rsp, r->rbp, r->rflags);
    if (r->vector == NO_VECTOR)
        return;
    printk("  cs %lx ss %lx  vector %u error %x  cr2 %016lx cr3 %lx\n", r->cs, r->ss, r->vector, r->error_code,
           read_cr2(), read_cr3());
    printk("  rax %016lx  rbx %016lx  rcx %016lx  rdx %016lx\n", r->rax, r->rbx, r->rcx, r->rdx);
    printk("  rsi %016lx  rdi %016lx  r8  %016lx  r9  %016lx\n", r->rsi, r->rdi, r->r8, r->r9);
    printk("  r10 %016lx  r11 %016lx  r12 %016lx  r13 %016lx\n", r->r10, r->r11, r->r12, r->r13);
    printk("  r14 %016lx  r15 %016lx\n", r->r14, r->r15);
}

static bool is_of_guest(const struct regs *r) {
    return r->vector != NO_VECTOR && r->cs & 3;
}

static const char *what_it_does(const struct cpu *c, const struct regs *r) {
    return is_of_guest(r) ? "in its guest" : c->idle ? "idle" : "in the hypervisor";
}

static void print_cpu(const struct cpu *c, const struct regs *r) {
    if (is_of_guest(r))
        printk("    guest rip %016lx  rsp %016lx  cs %lx\n", r->rip, r->rsp, r->cs);
    else
        backtrace_print(r);
    if (DEBUG)
        locks_print(c->id);
    printk("  requests %x, entered %lu times, %s guest translations\n", c->requests, c->entries,
           c->in_guest ? "may use" : "uses no");
    if (c->current)
        vcpu_print(c->current);
}

static void print_other(u32 i) {
    const struct stopped *s = &stopped[i];
    const struct cpu *c = cpus[i];

    if (!c->online || !s->here) {
        printk("CPU %u %s\n", i, c->online ? "does not answer" : "is not online");
        if (c->current)
            vcpu_print(c->current);
        return;
    }
    printk("CPU %u was %s\n", i, what_it_does(c, &s->regs));
    if (s->panicked)
        printk("  and panicked as well: %s\n", s->panicked);
    print_cpu(c, &s->regs);
}

/* An overflow shows as a fault on the guard page, or as a double fault because that one could not be pushed. */
static void explain_stack(const struct regs *r) {
    u32 cpu;

    if ((r->vector == VEC_PF || r->vector == VEC_DF) &&
        (backtrace_is_guard(r->rsp, &cpu) || backtrace_is_guard(read_cr2(), &cpu)))
        printk("  the stack of CPU %u overflowed\n", cpu);
}

static void report(const struct regs *r, const char *text) {
    u32 self = own_number();

    stop_others(self);
    console_force_unlock();
    printk("PANIC on CPU %u: %s\n", self, text);
    print_registers(r);
    explain_stack(r);
    if (!nr_cpus) {
        backtrace_print(r);
        return;
    }
    print_cpu(this_cpu(), r);
    for (u32 i = 0; i < nr_cpus; i++)
        if (i != self)
            print_other(i);
}

/* The report itself ran into something: one line, and no third try. */
static void __noreturn report_again(const struct regs *r, const char *text) {
    static u32 times;
    char where[SYMBOL_NAME_SIZE + 32];

    if (!__atomic_fetch_add(&times, 1, __ATOMIC_SEQ_CST)) {
        console_force_unlock();
        debug_format_address(where, sizeof(where), r->rip);
        printk("PANIC while reporting one: %s at %s\n", text, where);
    }
    end();
}

static void __noreturn die(const struct regs *r, const char *text) {
    u32 self = own_number() + 1, nobody = 0;

    if (!__atomic_compare_exchange_n(&reporter, &nobody, self, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
        if (nobody == self)
            report_again(r, text);
        stop_here(r, text);
    }
    report(r, text);
    end();
}

/* The text stays on the stack of a CPU that never leaves this function. */
void panic(const char *fmt, ...) {
    const u64 *frame = __builtin_frame_address(0);
    struct regs r = {.vector = NO_VECTOR, .rip = frame[1], .rbp = frame[0], .rsp = (u64)(frame + 2)};
    char text[256];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    die(&r, text);
}

void panic_at(const struct regs *r, const char *fmt, ...) {
    char text[256];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    die(r, text);
}
