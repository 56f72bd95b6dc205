// SPDX-License-Identifier: MIT
/*
 * Where entries push: kernel stacks for user mode in every region, unaligned, across pages; the kernel's own stacks
 * likewise.
 */
#include "gatecrash.h"

#define PAGES_VA (SCRATCH_VA + (8UL << 30))
/* Its lower half is a place of its own. */
#define LOW_PAGES_VA 0x20000000UL
#define HIGH_VA (0xffffff0000000000UL | LOW_PAGES_VA)

static const char *name_of(const char *what, unsigned long stack) {
    static char name[64];

    snprintf(name, sizeof(name), "stacks.%s.%lx", what, stack);
    return name;
}

static uint64_t frame[5];

static void enter(void *arg) {
    user_on_stack(ARG(arg), frame);
}

/* User mode's system call, int3 and ud2 arrive on this stack, aligned, twice. */
static void check_user_entries(unsigned long stack) {
    static uint8_t *const pieces[] = {user_syscall, user_int3, user_ud, user_syscall};
    struct probe p;

    for (unsigned i = 0; i < ARRAY_SIZE(pieces); i++) {
        uint64_t words[5] = {AT(pieces[i]), FLAT_USER_CS64, RFLAGS_IF | 2, STACK_VA + 0x800, FLAT_USER_SS64};

        memcpy(frame, words, sizeof(frame));
        last_frame_end = 0;
        probe_run(&p, enter, (void *)stack);
        test_check(name_of("user", stack),
                   regs_from_user(&p.regs) && p.regs.rsp == STACK_VA + 0x800 && last_frame_end == (stack & ~15UL),
                   "%s, frame ended at 0x%lx", probe_describe(&p), last_frame_end);
    }
}

/* The kernel's own traps push below its stack pointer, aligned, wherever it is. */
static void check_kernel_traps(unsigned long stack) {
    static unsigned (*const trapping[])(void) = {kernel_int3, kernel_int80, kernel_divide, kernel_load};

    for (unsigned i = 0; i < ARRAY_SIZE(trapping); i++) {
        unsigned changed;

        last_frame_end = 0;
        changed = call_on_stack(stack, trapping[i]);
        /* A return address and six registers lie above. */
        test_check(name_of("kernel", stack), !changed && last_frame_end == ((stack - 7 * 8) & ~15UL),
                   "%u registers changed, frame ended at 0x%lx", changed, last_frame_end);
    }
}

static void check_refused(void) {
    static const unsigned long wild[] = {1UL << 63,          0x800000000000,     0xffff7fffffffffff, 0xffff800000000000,
                                         0xffff808000051000, 0xffff830000000000, 0xffff87ffffffffff};

    if (!refuses_wild_stacks()) {
        test_skip("stacks.refused", "this hypervisor takes any stack");
        return;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(wild); i++) {
        hv_stack_switch(FLAT_KERNEL_SS, ARG(cpus[0].stack_top));
        test_equal(name_of("refused", wild[i]), hv_stack_switch(FLAT_KERNEL_SS, wild[i]), -XEN_EINVAL);
    }
}

static void *map_pages(unsigned long va, unsigned n, uint64_t flags) {
    void *page = NULL;

    for (unsigned i = 0; i < n; i++) {
        page = page_alloc();
        if (pt_map_page(va + i * PAGE_SIZE, page, flags))
            panic("stack page at 0x%lx refused", va);
    }
    return page;
}

void group_stacks(void) {
    static const unsigned long at[] = {PAGES_VA, HIGH_VA, USER_VA + 0x100000, LOW_PAGES_VA};

    resume_traps(true);
    trap_set_handler(TRAP_SYSCALL, NULL);
    for (unsigned i = 0; i < ARRAY_SIZE(at); i++) {
        unsigned long middle = at[i] + 4 * PAGE_SIZE;

        map_pages(at[i], 5, at[i] >> 63 ? PTE_KERNEL : PTE_USER);
        check_kernel_traps(middle);
        check_kernel_traps(middle + 8);
        check_kernel_traps(middle + 0x23);
        check_kernel_traps(middle + 0x40);
    }
    resume_traps(true);
    for (unsigned i = 0; i < ARRAY_SIZE(at); i++) {
        unsigned long middle = at[i] + 4 * PAGE_SIZE;

        check_user_entries(middle);
        check_user_entries(middle + 0x18);
        check_user_entries(middle + 0x2f);
        check_user_entries(middle + PAGE_SIZE);
    }
    check_refused();
    hv_stack_switch(FLAT_KERNEL_SS, ARG(cpus[0].stack_top));
    resume_traps(false);
}
