// SPDX-License-Identifier: MIT
/*
 * Ring 3: mapping its pages and running it under a probe.
 */
#include <sdk/user.h>

void user_enter(void *regs);

void *user_map_data(uint64_t *root, unsigned long va) {
    void *page = page_alloc();

    if (pt_map_in(root, va, virt_to_mfn(page), PTE_USER))
        panic("user page at 0x%lx refused", va);
    return page;
}

void *user_map_code(uint64_t *root, unsigned long va, const void *code, size_t n) {
    return memcpy(user_map_data(root, va), code, n);
}

void user_regs_init(struct regs *regs, unsigned long rip, unsigned long rsp) {
    memset(regs, 0, sizeof(*regs));
    regs->rip = rip;
    regs->rsp = rsp;
    regs->cs = FLAT_USER_CS64;
    regs->ss = FLAT_USER_SS64;
    regs->rflags = RFLAGS_IF | 2;
}

void user_run(struct probe *p, struct regs *regs) {
    probe_run(p, user_enter, regs);
}
