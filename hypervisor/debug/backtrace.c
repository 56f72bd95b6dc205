// SPDX-License-Identifier: MIT
// Backtraces: frame pointers lead up the stack. Each is believed only if it lies in the same stack of ours, above the
// last one, so that whatever a register holds no fault comes of it.
#include "internal.h"

#include <pv/x86.h>

#define MAX_DEPTH 24

extern char boot_stack_bottom[], boot_stack_top[];

struct extent {
    u64 start, end;
};

/* The stack that an address is in, empty if none. Those of all CPUs are mapped everywhere. */
static struct extent stack_of(u64 address) {
    u64 base = STACKS_BASE + ALIGN_DOWN(address - STACKS_BASE, STACK_STRIDE);
    struct extent stack = {base + STACK_STRIDE - STACK_SIZE, base + STACK_STRIDE};

    if (address >= (u64)boot_stack_bottom && address < (u64)boot_stack_top)
        return (struct extent){(u64)boot_stack_bottom, (u64)boot_stack_top};
    if (address < STACKS_BASE || address >= STACKS_BASE + nr_cpus * STACK_STRIDE)
        return (struct extent){0, 0};
    if (address < stack.start)
        stack = (struct extent){base + PAGE_SIZE, base + PAGE_SIZE + NMI_STACK_SIZE};
    return address >= stack.start && address < stack.end ? stack : (struct extent){0, 0};
}

bool backtrace_is_guard(u64 address, u32 *cpu) {
    *cpu = (u32)((address - STACKS_BASE) / STACK_STRIDE);
    return address >= STACKS_BASE && *cpu < nr_cpus && !stack_of(address).end;
}

/* A call that does not return may be the last of its function: its return address is in the next one. */
static void print_line(u64 address, bool is_return) {
    char name[SYMBOL_NAME_SIZE + 32];

    debug_format_address(name, sizeof(name), address - is_return);
    printk("    %016lx %s\n", address, name);
}

void backtrace_print(const struct regs *r) {
    u64 frame = r->rbp;
    struct extent stack = stack_of(frame);

    print_line(r->rip, r->vector == NO_VECTOR);
    for (int depth = 0; depth < MAX_DEPTH && !(frame & 7) && frame >= stack.start && frame + 16 <= stack.end; depth++) {
        u64 next = ((const u64 *)frame)[0], caller = ((const u64 *)frame)[1];

        if (!caller)
            return;
        print_line(caller, true);
        if (next <= frame)
            return;
        frame = next;
    }
}
