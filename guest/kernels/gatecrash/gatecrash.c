// SPDX-License-Identifier: MIT
/*
 * Background: the fast way between user mode, kernel and hypervisor is code that runs with the highest rights on
 *   the guest's own address space, and writes frames to the guest's stacks.
 * Scenario: every way in and out of the kernel, with all registers and control state known (paths), with upcalls
 *   masked and pending (masks), with wild flags (flags) and frames (frames), on stacks at all edges (stacks), with
 *   breakpoints on what is touched (breakpoints); user roots of both kinds in turn (split); addresses that must be
 * closed (reads); another vCPU that writes whatever it can reach meanwhile (tamper); and, only if asked for, a null
 * stack segment (null_stack), which makes ring 0 under QEMU. `only=<group>`; `rounds=N` repeats paths and masks;
 * `attack=<name>` instead does one of those that must end this domain (endings.c). Good: PASS lines, the same with and
 * without fast paths. Bad: FAIL, `SURVIVED name`, or the end.
 */
#include "gatecrash.h"

const char kernel_name[] = "gatecrash";

uint64_t *user_data;
volatile unsigned events_seen;
static unsigned port;

static void note_event(unsigned which) {
    (void)which;
    events_seen++;
    user_data[0] = events_seen;
}

void post_event(void) {
    event_send(port);
}

unsigned event_is_missed(void) {
    unsigned before = events_seen;

    post_event();
    return events_seen != before + 1;
}

static uint64_t *fused_root;

static uint64_t *new_user_root(void) {
    uint64_t *root = pt_new_root(false);

    for (unsigned slot = 0; slot < 256; slot++)
        if (pt_root()[slot] & PTE_P)
            pt_write(&root[slot], pt_root()[slot]);
    return root;
}

/* As common kernels do it: user mode has a root of its own, with the same low half. */
void make_user_root(void) {
    size_t n = (size_t)(user_code_end - user_code);

    user_map_code(pt_root(), CODE_VA, user_code, n);
    user_map_code(pt_root(), LOW_VA, user_code, n);
    user_map_data(pt_root(), STACK_VA);
    user_data = user_map_data(pt_root(), DATA_VA);
    fused_root = new_user_root();
    mmuext(MMUEXT_NEW_USER_BASEPTR, virt_to_mfn(fused_root));
}

static uint64_t value_for_user(uint64_t *root) {
    struct regs regs;
    struct probe p;

    mmuext(MMUEXT_NEW_USER_BASEPTR, virt_to_mfn(root));
    fill_user(&regs, AT(user_load));
    user_run(&p, &regs);
    return p.vector == TRAP_SYSCALL ? p.regs.rdi : 0;
}

/* User mode sees a page of its own, and the kernel's again. */
static void group_split(void) {
    uint64_t *root = new_user_root(), *data;

    pt_write(&root[pt_index(USER_VA, 4)], 0);
    user_map_code(root, CODE_VA, user_code, (size_t)(user_code_end - user_code));
    user_map_data(root, STACK_VA);
    data = user_map_data(root, DATA_VA);
    for (uint64_t i = 1; i < 5; i++) {
        user_data[0] = i;
        data[0] = i + 100;
        test_equal("split.fused", (long)value_for_user(fused_root), (long)i);
        test_equal("split.split", (long)value_for_user(root), (long)i + 100);
    }
    value_for_user(fused_root);
}

static const struct {
    const char *name;
    void (*run)(void);
    enum { ONCE, REPEATED, IF_ASKED } how;
} groups[] = {
    {"paths", group_paths, REPEATED},
    {"masks", group_masks, REPEATED},
    {"flags", group_flags, ONCE},
    {"frames", group_frames, ONCE},
    {"stacks", group_stacks, ONCE},
    {"breakpoints", group_breakpoints, ONCE},
    {"reads", group_reads, ONCE},
    {"split", group_split, ONCE},
    {"tamper", group_tamper, ONCE},
    {"steps", group_steps, ONCE},
    {"null_stack", group_null_stack, IF_ASKED},
};

void kernel_main(void) {
    unsigned long rounds = cmdline_number("rounds", 1);
    char only[32] = "";

    make_user_root();
    if (cmdline_value("attack", only, sizeof(only))) {
        printf("ATTACK %s\n", only);
        console_flush();
        attack_to_the_end(only);
        printf("SURVIVED %s\n", only);
        test_fail(only, "unknown attack, or it did not end the domain");
        return;
    }
    cmdline_value("only", only, sizeof(only));
    port = (unsigned)event_bind_ipi(0);
    event_set_handler(port, note_event);
    event_unmask(port);
    for (unsigned i = 0; i < ARRAY_SIZE(groups); i++)
        for (unsigned long n = groups[i].how == REPEATED ? rounds : 1; n; n--)
            if (only[0] ? !strcmp(only, groups[i].name) : groups[i].how != IF_ASKED)
                groups[i].run();
}
