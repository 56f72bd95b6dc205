// SPDX-License-Identifier: MIT
// The end: our own invariant broke. Tells all that is known and stops the machine.
#include <pv/console.h>
#include <pv/domain.h>
#include <pv/gate.h>
#include <pv/lib.h>
#include <pv/platform.h>
#include <pv/x86.h>

extern char image_start[], image_text_end[];

/* Frame pointers lead up the stack; each frame is checked to lie above the last and to return into our text. */
static void print_backtrace(const u64 *frame) {
    for (int depth = 0; depth < 24 && frame; depth++) {
        const u64 *next = (const u64 *)frame[0];

        if (frame[1] < (u64)image_start || frame[1] >= (u64)image_text_end)
            return;
        printk("  %016lx\n", frame[1]);
        if (next <= frame || (u64)next - (u64)frame > STACK_SIZE)
            return;
        frame = next;
    }
}

static void print_vcpu(const struct vcpu *v) {
    const struct regs *r = &v->gate->regs;

    printk("  guest %s vCPU %u: rip %lx rsp %lx rflags %lx, last exit %x\n", v->domain->name, v->id, r->rip, r->rsp,
           r->rflags, r->vector);
}

void panic(const char *fmt, ...) {
    static u32 entered;
    char text[256];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    console_force_unlock();
    if (!__atomic_exchange_n(&entered, 1, __ATOMIC_SEQ_CST)) {
        printk("PANIC on CPU %u: %s\n", nr_cpus ? this_cpu()->id : 0, text);
        printk("backtrace (addr2line -e build/paravane):\n");
        print_backtrace(__builtin_frame_address(0));
        for (u32 i = 0; i < nr_cpus; i++)
            if (cpus[i]->current)
                print_vcpu(cpus[i]->current);
        platform_reboot();
    }
    for (;;)
        cpu_halt_forever_insn();
}
