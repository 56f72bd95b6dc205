// SPDX-License-Identifier: MIT
/*
 * Traps: the table the hypervisor gets, the dispatch by vector, and probes, which turn a trap into a result.
 */
#include <sdk/console.h>
#include <sdk/event.h>
#include <sdk/start.h>

extern unsigned long entry_exceptions[32];
void entry_int80(void), entry_int81(void);
bool probe_enter(struct probe *p, void (*fn)(void *), void *arg) __attribute__((returns_twice));
void trap_dispatch(struct regs *regs);

_Static_assert(offsetof(struct probe, rsp) == 48 && offsetof(struct probe, armed) == 64, "entry.S");

#define LAST_EXCEPTION 19
#define MAX_RECOVERIES 16 /* an NMI may come in between; many mean that the way back is not there */

static trap_handler_t *handlers[TRAP_COUNT];
static struct trap_info table[LAST_EXCEPTION + 4];

static void set_gate(struct trap_info *gate, unsigned vector, unsigned flags, unsigned long address) {
    *gate = (struct trap_info){(uint8_t)vector, (uint8_t)flags, FLAT_KERNEL_CS, address};
}

void trap_init(void) {
    unsigned n = 0;

    for (unsigned v = 0; v <= LAST_EXCEPTION; v++)
        if (v != 2 && v != 9 && v != 15)
            set_gate(&table[n++], v, v == TRAP_BP || v == TRAP_OF ? 3 : 0, entry_exceptions[v]);
    set_gate(&table[n++], TRAP_INT80, 3, ARG(entry_int80));
    /* Kernels count as level 1 here. */
    set_gate(&table[n++], TRAP_INT81, 1, ARG(entry_int81));
    if (hv_set_trap_table(table))
        panic("set_trap_table refused");
    trap_install_callbacks();
}

const struct trap_info *trap_table(void) {
    return table;
}

void trap_install_callbacks(void) {
    if (hv_set_callbacks(ARG(entry_event), ARG(entry_failsafe), ARG(entry_syscall)))
        panic("set_callbacks refused");
}

void trap_set_handler(unsigned vector, trap_handler_t *handler) {
    handlers[vector] = handler;
}

static void print_regs(const struct regs *r) {
    printf("rip %04x:%016lx rsp %04lx:%016lx flags %lx\n", r->cs, r->rip, r->ss, r->rsp, r->rflags);
    printf("rax %016lx rbx %016lx rcx %016lx rdx %016lx\n", r->rax, r->rbx, r->rcx, r->rdx);
    printf("rsi %016lx rdi %016lx rbp %016lx r8  %016lx\n", r->rsi, r->rdi, r->rbp, r->r8);
    printf("r9  %016lx r10 %016lx r11 %016lx r12 %016lx\n", r->r9, r->r10, r->r11, r->r12);
    printf("r13 %016lx r14 %016lx r15 %016lx\n", r->r13, r->r14, r->r15);
}

bool probe_is_armed(void) {
    const struct probe *p = cpu_this()->probe;

    return p && p->armed;
}

/* Records the trap, and rewrites the frame so that the return is one from probe_enter(). */
static void probe_recover(struct probe *p, struct regs *regs) {
    p->trapped = true;
    p->vector = (unsigned)regs->vector;
    p->error = regs->error;
    p->cr2 = regs->vector == TRAP_PF ? cpu_this()->info->arch.cr2 : 0;
    p->regs = *regs;
    regs->rbx = p->rbx;
    regs->rbp = p->rbp;
    regs->r12 = p->r12;
    regs->r13 = p->r13;
    regs->r14 = p->r14;
    regs->r15 = p->r15;
    regs->rax = 0;
    regs->rip = p->rip;
    regs->rsp = p->rsp;
    regs->cs = FLAT_KERNEL_CS & ~3U;
    regs->ss = FLAT_KERNEL_SS;
    regs->rflags = p->upcall_mask ? 2 : RFLAGS_IF | 2;
}

void trap_dispatch(struct regs *regs) {
    struct probe *p = cpu_this()->probe;

    if (regs->vector == TRAP_EVENT) {
        event_dispatch();
        if (!handlers[TRAP_EVENT])
            return;
    }
    if (handlers[regs->vector] && handlers[regs->vector](regs))
        return;
    if (probe_is_armed() && p->recoveries++ < MAX_RECOVERIES) {
        probe_recover(p, regs);
        return;
    }
    print_regs(regs);
    panic("trap %lu error 0x%lx cr2 0x%lx on vCPU %u", regs->vector, regs->error, cpu_this()->info->arch.cr2,
          cpu_this()->id);
}

bool probe_run(struct probe *p, void (*fn)(void *), void *arg) {
    struct cpu *cpu = cpu_this();
    bool returned;

    p->outer = cpu->probe;
    p->upcall_mask = cpu->info->evtchn_upcall_mask;
    p->trapped = p->armed = false;
    p->recoveries = 0;
    cpu->probe = p;
    barrier();
    returned = probe_enter(p, fn, arg);
    barrier();
    cpu->probe = p->outer;
    return returned;
}

struct access {
    volatile uint64_t *va;
    uint64_t value;
};

static void do_read(void *arg) {
    struct access *access = arg;

    access->value = *access->va;
}

static void do_write(void *arg) {
    struct access *access = arg;

    *access->va = access->value;
}

bool probe_read(struct probe *p, const volatile void *va, uint64_t *value) {
    struct access access = {(volatile uint64_t *)(uintptr_t)va, 0};
    bool ok = probe_run(p, do_read, &access);

    if (ok && value)
        *value = access.value;
    return ok;
}

bool probe_write(struct probe *p, volatile void *va, uint64_t value) {
    struct access access = {va, value};

    return probe_run(p, do_write, &access);
}

static void do_jump(void *arg) {
    __asm__ volatile("call *%0" ::"r"(arg) : "rax", "rcx", "rdx", "rsi", "rdi", "memory");
}

bool probe_jump(struct probe *p, unsigned long va) {
    return probe_run(p, do_jump, (void *)va);
}

const char *probe_describe(const struct probe *p) {
    struct cpu *cpu = cpu_this();

    if (!p->trapped)
        return "no trap";
    snprintf(cpu->text, sizeof(cpu->text), "trap %u error 0x%lx cr2 0x%lx rip 0x%lx", p->vector, p->error, p->cr2,
             p->regs.rip);
    return cpu->text;
}
