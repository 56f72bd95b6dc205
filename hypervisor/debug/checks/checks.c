// SPDX-License-Identifier: MIT
// Where debug builds start their checks.
#include "checks.h"

#include <pv/boot.h>
#include <pv/x86.h>

#define UNUSED_STACK 0x5a5a5a5a5a5a5a5aul
#define STACK_END_WORDS 32

/* The words next to the guard page keep what was written when the stack was made. */
static bool stack_end_untouched(const u64 *bottom) {
    for (u32 i = 0; i < STACK_END_WORDS; i++)
        if (bottom[i] != UNUSED_STACK)
            return false;
    return true;
}

void debug_stack_made(u64 bottom) {
    memset((void *)bottom, (int)(UNUSED_STACK & 0xff), STACK_SIZE);
}

void debug_run_loop(void) {
    struct cpu *c = this_cpu();

    locks_none_held();
    audit_park();
    if (!stack_end_untouched((const u64 *)(c->stack_top - STACK_SIZE)))
        panic("the stack of CPU %u was used to its end", c->id);
}

bool debug_cpu_fails(u32 apic_id) {
    const char *value;

    return boot_option("failcpu", &value) > 0 && strtoull(value, NULL, 10) == apic_id;
}

void debug_init_checks(void) {
    printk("debug build: it checks itself, and is slower for it\n");
    allocs_start();
    audit_start();
}

void debug_start_checks(void) {
    faults_start();
}
