// SPDX-License-Identifier: MIT
/*
 * Control: wild return frames, trap tables, callbacks, stacks, segment bases and debug registers.
 */
#include "hostile.h"

static uint8_t stack[PAGE_SIZE] __attribute__((aligned(16)));
static uint64_t copy[16];

struct frame {
    uint64_t rip, cs, rflags, rsp, ss;
};

static void leave_with(struct probe *p, uint64_t rip, uint64_t cs, uint64_t rflags, uint64_t ss) {
    struct frame frame = {rip, cs, rflags, ARG(stack + sizeof(stack)), ss};

    memcpy(copy + 8, &frame, sizeof(frame));
    probe_run(p, code_raw_iret, copy + 8);
}

static void attack_iret(void) {
    static const uint64_t selectors[] = {0,      3,      0x08,   0x10,   0x18,   0xe008, 0xe010,
                                         0xe018, 0xe040, 0xfff8, 0xffff, 0x1230, 4};
    uint64_t cs = FLAT_KERNEL_CS & ~3, ss = FLAT_KERNEL_SS, flags = RFLAGS_IF | 2;
    struct probe p;

    /* RPL 3 would mean user mode, which has no root here: that is an attack of its own. */
    for (unsigned i = 0; i < ARRAY_SIZE(selectors); i++) {
        leave_with(&p, ARG(code_ud), selectors[i] & ~3UL, flags, ss);
        trapped("iret.cs", &p);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(selectors); i++) {
        leave_with(&p, ARG(code_ud), cs, flags, selectors[i]);
        trapped("iret.ss", &p);
    }
    leave_with(&p, 1UL << 63, cs, flags, ss);
    trapped("iret.rip_noncanonical", &p);
    for (unsigned i = 0; i < ARRAY_SIZE(reserved_addresses); i++) {
        leave_with(&p, reserved_addresses[i], cs, flags, ss);
        trapped("iret.rip_reserved", &p);
    }
    leave_with(&p, ARG(code_ud), cs, flags | RFLAGS_VM | RFLAGS_NT | RFLAGS_IOPL | 0x180000, ss);
    test_check("iret.flags", p.trapped && !(p.regs.rflags & RFLAGS_VM), "%s flags 0x%lx", probe_describe(&p),
               p.regs.rflags);
    leave_with(&p, ARG(code_ud), cs, flags | RFLAGS_TF, ss);
    trapped("iret.tf", &p);
    leave_with(&p, ARG(code_ud), cs, ~0UL & ~RFLAGS_TF, ss);
    trapped("iret.all_flags", &p);
    /* Upcalls can be masked, interrupts can't. */
    leave_with(&p, ARG(code_flags), cs, 2, ss);
    test_check("iret.if", p.trapped && p.vector == TRAP_UD && p.regs.rax & RFLAGS_IF, "%s, flags 0x%lx",
               probe_describe(&p), p.regs.rax);
}

static void attack_trap_table(void) {
    struct trap_info table[2] = {{TRAP_UD, 0, FLAT_KERNEL_CS, 1UL << 63}, {0, 0, 0, 0}};

    refused("trap.noncanonical", hv_set_trap_table(table));
    table[0] = (struct trap_info){TRAP_OF, 3, 0, ARG(code_ud)};
    hv_set_trap_table(table);
    table[0].cs = 0xe008;
    hv_set_trap_table(table);
    for (unsigned v = 0; v < 256; v++) {
        if (v == TRAP_PF || v == TRAP_GP || v == TRAP_UD)
            continue;
        table[0] = (struct trap_info){(uint8_t)v, 7, 0x10, reserved_addresses[v % 6]};
        hv_set_trap_table(table);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(reserved_addresses); i++)
        refused("trap.reserved_pointer", hv_set_trap_table((void *)reserved_addresses[i]));
    hv_set_trap_table(NULL);
    test_equal("trap.restored", hv_set_trap_table(trap_table()), 0);
}

static void attack_callbacks(void) {
    struct callback_register reg = {.type = CALLBACKTYPE_failsafe, .address = 1UL << 62};

    refused("callback.noncanonical", hv_callback_op(CALLBACKOP_register, &reg));
    events_disable();
    hv_set_callbacks(1UL << 63, 1UL << 62, ~0UL >> 1);
    hv_set_callbacks(reserved_addresses[0], reserved_addresses[1], reserved_addresses[2]);
    trap_install_callbacks();
    events_enable();
    test_pass("callback.wild_but_unused");
}

static void attack_stacks(void) {
    /* Xen takes any, and looks when it uses it. */
    for (unsigned i = 0; i < ARRAY_SIZE(reserved_addresses); i++)
        hv_stack_switch(FLAT_KERNEL_SS, reserved_addresses[i]);
    hv_stack_switch(0, 0);
    hv_stack_switch(0xe010, 1UL << 63);
    test_equal("stack.restored", hv_stack_switch(FLAT_KERNEL_SS, ARG(stack + sizeof(stack))), 0);
}

static void do_read_fs(void *arg) {
    __asm__ volatile("mov %%fs:0, %0" : "=r"(*(uint64_t *)arg));
}

static void attack_bases(void) {
    uint64_t value;
    struct probe p;

    for (unsigned i = 0; i < ARRAY_SIZE(reserved_addresses); i++)
        if (!hv_set_segment_base(SEGBASE_FS, reserved_addresses[i])) {
            probe_run(&p, do_read_fs, &value);
            trapped("base.reserved", &p);
        }
    for (unsigned which = SEGBASE_FS; which <= SEGBASE_GS_KERNEL; which++)
        refused("base.noncanonical", hv_set_segment_base(which, 1UL << 63));
    for (unsigned long selector = 0; selector < 0x10000; selector += 8)
        hv_set_segment_base(SEGBASE_GS_USER_SEL, selector | selector / 8 % 4);
    hv_set_segment_base(SEGBASE_GS_USER_SEL, 0);
    hv_set_segment_base(SEGBASE_FS, 0);
    test_check("base.kernel_gs_kept", cpu_this() == &cpus[0], "%p", (void *)cpu_this());
}

static void attack_debug_registers(void) {
    refused("debugreg.m2p", hv_set_debugreg(0, HYPERVISOR_VIRT_START));
    for (unsigned i = 0; i < ARRAY_SIZE(reserved_addresses); i++)
        refused("debugreg.reserved", hv_set_debugreg((int)(i % 4), reserved_addresses[i]));
    hv_set_debugreg(7, ~0UL);
    hv_set_debugreg(7, 0x2000);
    hv_set_debugreg(6, ~0UL);
    refused("debugreg.number", hv_set_debugreg(-1, 0));
    hv_get_debugreg(-1);
    hv_get_debugreg(0x7fffffff);
    test_equal("debugreg.off", hv_set_debugreg(7, 0), 0);
}

void attack_frames(void) {
    attack_iret();
    attack_trap_table();
    attack_callbacks();
    attack_stacks();
    attack_bases();
    attack_debug_registers();
}
