// SPDX-License-Identifier: MIT
/*
 * Upcalls masked or pending: what frames show of the mask, what handlers find, and that no event is left behind.
 */
#include "gatecrash.h"

static const struct {
    const char *name;
    unsigned (*trapping)(void);
    unsigned vector;
} kernel_traps[] = {{"int3", kernel_int3, TRAP_BP},
                    {"int80", kernel_int80, TRAP_INT80},
                    {"divide", kernel_divide, TRAP_DE},
                    {"load", kernel_load, TRAP_PF}};

static const struct {
    const char *name;
    uint8_t *piece;
    unsigned vector;
} user_traps[] = {{"syscall", user_syscall, TRAP_SYSCALL},
                  {"int80", user_int80, TRAP_INT80},
                  {"int3", user_int3, TRAP_BP},
                  {"divide", user_divide, TRAP_DE}};

static const char *name_of(const char *what, const char *trap) {
    static char name[64];

    snprintf(name, sizeof(name), "masks.%s.%s", what, trap);
    return name;
}

static void set_table(unsigned flags) {
    struct trap_info table[] = {{TRAP_DE, (uint8_t)flags, FLAT_KERNEL_CS, ARG(noting_de)},
                                {TRAP_BP, (uint8_t)(flags | 3), FLAT_KERNEL_CS, ARG(noting_bp)},
                                {TRAP_PF, (uint8_t)flags, FLAT_KERNEL_CS, ARG(noting_pf)},
                                {TRAP_INT80, (uint8_t)(flags | 3), FLAT_KERNEL_CS, ARG(noting_int80)},
                                {0, 0, 0, 0}};
    struct callback_register reg = {CALLBACKTYPE_syscall, flags & 4 ? CALLBACKF_mask_events : 0, ARG(noting_syscall)};

    hv_callback_op(CALLBACKOP_register, &reg);
    hv_set_trap_table(table);
}

/* Only the handlers of set_table() write down with which flags they were entered. */
static void forget_handler(void) {
    mask_in_handler = 77;
    entry_flags = ~0UL;
}

static bool by_new_handler(void) {
    return entry_flags != ~0UL;
}

/* Traps of kernel and user with upcalls on: the frame says so, and the new handler finds them masked as it asked. */
static void check_handlers(unsigned flags) {
    const char *what = flags ? "masking" : "open";
    struct regs regs;
    struct probe p;

    set_table(flags);
    for (unsigned i = 0; i < ARRAY_SIZE(kernel_traps); i++) {
        forget_handler();
        kernel_traps[i].trapping();
        test_check(name_of(what, kernel_traps[i].name),
                   by_new_handler() && mask_in_handler == (flags != 0) && !last_trap.saved_upcall_mask &&
                       last_trap.rflags & RFLAGS_IF && !cpu_this()->info->evtchn_upcall_mask,
                   "new %u, handler %u, frame %u flags 0x%lx", by_new_handler(), mask_in_handler,
                   last_trap.saved_upcall_mask, last_trap.rflags);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(user_traps); i++) {
        forget_handler();
        fill_user(&regs, AT(user_traps[i].piece));
        user_run(&p, &regs);
        test_check(name_of(what, user_traps[i].name),
                   by_new_handler() && p.vector == user_traps[i].vector && mask_in_handler == (flags != 0) &&
                       !p.regs.saved_upcall_mask && p.regs.rflags & RFLAGS_IF && regs_from_user(&p.regs),
                   "new %u, handler %u, %s", by_new_handler(), mask_in_handler, probe_describe(&p));
    }
}

/* A table given at run time counts from the next trap on; user mode's exceptions find it too. */
static void check_old_handlers(void) {
    struct regs regs;
    struct probe p;

    hv_set_trap_table(trap_table());
    for (unsigned i = 0; i < ARRAY_SIZE(kernel_traps); i++) {
        forget_handler();
        kernel_traps[i].trapping();
        test_check(name_of("restored", kernel_traps[i].name), mask_in_handler != 77 && !by_new_handler(), "new %u",
                   by_new_handler());
    }
    for (unsigned i = 0; i < ARRAY_SIZE(user_traps); i++) {
        if (user_traps[i].vector == TRAP_SYSCALL)
            continue; /* its handler is not in the table */
        forget_handler();
        fill_user(&regs, AT(user_traps[i].piece));
        user_run(&p, &regs);
        test_check(name_of("restored_user", user_traps[i].name),
                   p.vector == user_traps[i].vector && !by_new_handler() && regs_from_user(&p.regs), "new %u, %s",
                   by_new_handler(), probe_describe(&p));
    }
}

static void check_masked(void) {
    struct regs regs;
    struct probe p;

    events_disable();
    for (unsigned i = 0; i < ARRAY_SIZE(kernel_traps); i++) {
        unsigned changed = kernel_traps[i].trapping();

        test_check(name_of("off", kernel_traps[i].name),
                   !changed && last_trap.saved_upcall_mask == 1 && !(last_trap.rflags & RFLAGS_IF) &&
                       cpu_this()->info->evtchn_upcall_mask == 1,
                   "frame %u flags 0x%lx", last_trap.saved_upcall_mask, last_trap.rflags);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(user_traps); i++) {
        fill_user(&regs, AT(user_traps[i].piece));
        regs.rflags = 2;
        user_run(&p, &regs);
        test_check(name_of("off_user", user_traps[i].name),
                   p.vector == user_traps[i].vector && p.regs.saved_upcall_mask == 1 && !(p.regs.rflags & RFLAGS_IF) &&
                       regs_from_user(&p.regs),
                   "frame %u flags 0x%lx, %s", p.regs.saved_upcall_mask, p.regs.rflags, probe_describe(&p));
    }
    events_enable();
}

/* An event that waits is taken before the first instruction behind the iret. */
static void check_pending_at_iret(void) {
    struct regs regs;
    struct probe p;
    unsigned before = events_seen;

    events_disable();
    post_event();
    test_equal("masks.waits", events_seen, before);
    iret_here(FLAT_KERNEL_CS & ~3U, RFLAGS_IF | 2);
    test_equal("masks.iret_to_kernel", events_seen, before + 1);
    events_disable();
    post_event();
    fill_user(&regs, AT(user_load));
    user_run(&p, &regs);
    test_check("masks.iret_to_user", p.vector == TRAP_SYSCALL && p.regs.rdi == before + 2, "%s, saw %lu of %u",
               probe_describe(&p), p.regs.rdi, before + 2);
    events_disable();
    post_event();
    iret_here(FLAT_KERNEL_CS & ~3U, 2);
    test_check("masks.iret_masked", cpu_this()->info->evtchn_upcall_mask == 1 && events_seen == before + 2, "%u events",
               events_seen);
    events_enable();
    test_equal("masks.enable", events_seen, before + 3);
}

static void call_version(void) {
    hv_xen_version(XENVER_version, NULL);
}
static void call_stack(void) {
    hv_stack_switch(FLAT_KERNEL_SS, ARG(cpus[0].stack_top));
}
static void call_base(void) {
    hv_set_segment_base(SEGBASE_FS, 0);
}
static void call_selector(void) {
    hv_set_segment_base(SEGBASE_GS_USER_SEL, 0);
}
static void call_invlpg(void) {
    mmuext_linear(MMUEXT_INVLPG_LOCAL, SCRATCH_VA);
}
static void call_flush(void) {
    mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0);
}

static void check_pending_at_hypercall(void) {
    static void (*const calls[])(void) = {call_version, call_stack, call_base, call_selector, call_invlpg, call_flush};

    for (unsigned i = 0; i < ARRAY_SIZE(calls); i++) {
        unsigned before = events_seen;

        events_disable();
        post_event();
        WRITE_ONCE(cpu_this()->info->evtchn_upcall_mask, 0);
        calls[i]();
        test_equal("masks.hypercall", events_seen, before + 1);
        events_disable();
        post_event();
        calls[i]();
        test_equal("masks.hypercall_masked", events_seen, before + 1);
        events_enable();
    }
}

static void check_sleep(void) {
    struct state before;

    state_take(&before);
    clock_sleep(MILLISECOND);
    state_check("masks", "sleep", &before);
}

void group_masks(void) {
    resume_traps(true);
    check_handlers(0);
    check_handlers(4);
    check_masked();
    check_pending_at_iret();
    check_pending_at_hypercall();
    check_sleep();
    check_old_handlers();
    resume_traps(false);
    trap_install_callbacks();
}
