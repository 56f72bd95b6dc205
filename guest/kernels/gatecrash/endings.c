// SPDX-License-Identifier: MIT
/*
 * Entries that cannot push their frame: the domain ends, and nothing else. Each is tried by user mode's system call or
 * by traps of the kernel, on a stack that is not mapped, read-only, crosses into either, or is not the guest's.
 */
#include "gatecrash.h"

#define PAGE_VA (SCRATCH_VA + (9UL << 30))
#define UNMAPPED (SCRATCH_VA + (55UL << 30))
#define VCPU_PAGE 0xffff808000050000UL

static uint64_t frame[5];

static void user_entry_at(unsigned long stack, unsigned long rip, uint64_t cs) {
    uint64_t words[5] = {rip, cs, RFLAGS_IF | 2, LOW_VA + 0x800, FLAT_USER_SS64};

    memcpy(frame, words, sizeof(frame));
    user_on_stack(stack, frame);
}

static void user_entry(unsigned long stack, const uint8_t *piece) {
    user_entry_at(stack, AT(piece), FLAT_USER_CS64);
}

/* One page with nothing below or above it. */
static unsigned long lone_page(uint64_t flags) {
    if (pt_map_page(PAGE_VA, page_alloc(), flags))
        panic("page refused");
    return PAGE_VA;
}

static void syscall_unmapped(void) {
    user_entry(UNMAPPED, user_syscall);
}
static void int80_unmapped(void) {
    user_entry(UNMAPPED, user_int80);
}
static void int3_unmapped(void) {
    user_entry(UNMAPPED, user_int3);
}
static void divide_unmapped(void) {
    user_entry(UNMAPPED, user_divide);
}
static void fault_unmapped(void) {
    user_entry(UNMAPPED, user_code + (NOWHERE_VA - CODE_VA));
}
static void compat_unmapped(unsigned type, unsigned long handler, const uint8_t *piece) {
    struct callback_register reg = {(uint16_t)type, CALLBACKF_mask_events, handler};

    hv_callback_op(CALLBACKOP_register, &reg);
    user_entry_at(UNMAPPED, LOW_AT(piece), FLAT_USER_CS32);
}
static void syscall32_unmapped(void) {
    compat_unmapped(CALLBACKTYPE_syscall32, ARG(noting_syscall32), user_syscall32);
}
static void sysenter_unmapped(void) {
    compat_unmapped(CALLBACKTYPE_sysenter, ARG(noting_sysenter), user_sysenter);
}
static void syscall_read_only(void) {
    user_entry(lone_page(PTE_KERNEL_RO) + 0x800, user_syscall);
}
static void syscall_table(void) {
    user_entry(ARG(pt_root()) + 0x800, user_syscall);
}
static void int80_table(void) {
    user_entry(ARG(pt_root()) + 0x800, user_int80);
}
static void syscall_crossing(void) {
    user_entry(lone_page(PTE_KERNEL) + 0x20, user_syscall);
}
static void int3_crossing(void) {
    user_entry(lone_page(PTE_KERNEL) + 0x10, user_int3);
}
static void syscall_above_reserved(void) {
    user_entry(0xffff880000000000, user_syscall);
}
static void syscall_at_zero(void) {
    user_entry(0, user_syscall);
}
static void syscall_at_canonical_edge(void) {
    user_entry(0x7ffffffffff0, user_syscall);
}

/* The lower half of the stack, which the kernel can write itself. */
static void enter_falsified(void) {
    hv_stack_switch(FLAT_KERNEL_SS, ARG(cpus[0].stack_top));
    if (refuses_wild_stacks())
        *(volatile uint32_t *)(VCPU_PAGE + 8) = 0x7fffffff;
    else
        shutdown(SHUTDOWN_crash);
    __asm__ volatile("mov %0, %%rsp; push $0; jmp hypercall_page + 23 * 32" ::"r"(frame) : "memory");
}

static void syscall_falsified(void) {
    uint64_t words[5] = {AT(user_syscall), FLAT_USER_CS64, RFLAGS_IF | 2, STACK_VA + 0x800, FLAT_USER_SS64};

    memcpy(frame, words, sizeof(frame));
    enter_falsified();
}

/* With ring 0's rights these could be written. */
static void kernel_int3_on_gate(void) {
    trap_on_stack(VCPU_PAGE + 0x800, ON_STACK_INT3);
}
static void kernel_int80_on_gate(void) {
    trap_on_stack(VCPU_PAGE + 0x800, ON_STACK_INT80);
}
static void kernel_divide_on_gate(void) {
    trap_on_stack(VCPU_PAGE + 0x800, ON_STACK_DIVIDE);
}
static void kernel_load_on_gate(void) {
    trap_on_stack(VCPU_PAGE + 0x800, ON_STACK_LOAD);
}
static void kernel_int3_on_constants(void) {
    trap_on_stack(0xffff808000010800, ON_STACK_INT3);
}
static void kernel_int3_unmapped(void) {
    trap_on_stack(UNMAPPED, ON_STACK_INT3);
}
static void kernel_divide_noncanonical(void) {
    trap_on_stack(0x800000000040, ON_STACK_DIVIDE);
}
static void kernel_load_crossing(void) {
    trap_on_stack(lone_page(PTE_KERNEL) + 0x10, ON_STACK_LOAD);
}
static void kernel_int3_above_reserved(void) {
    trap_on_stack(0xffff880000000000, ON_STACK_INT3);
}
static void kernel_load_at_zero(void) {
    trap_on_stack(8, ON_STACK_LOAD);
}
static void kernel_int80_on_table(void) {
    trap_on_stack(ARG(pt_root()) + 0x800, ON_STACK_INT80);
}

static void iret_crossing(void) {
    __asm__ volatile("mov %0, %%rsp; jmp hypercall_page + 23 * 32" ::"r"(lone_page(PTE_KERNEL) + PAGE_SIZE - 16)
                     : "memory");
}
static void iret_unmapped(void) {
    __asm__ volatile("mov %0, %%rsp; mov $23, %%eax; syscall" ::"r"(UNMAPPED) : "memory");
}
static void iret_noncanonical(void) {
    __asm__ volatile("mov %0, %%rsp; mov $23, %%eax; syscall" ::"r"(1UL << 63) : "memory");
}

static const struct {
    const char *name;
    void (*attack)(void);
} endings[] = {
    {"syscall_unmapped", syscall_unmapped},
    {"int80_unmapped", int80_unmapped},
    {"int3_unmapped", int3_unmapped},
    {"divide_unmapped", divide_unmapped},
    {"fault_unmapped", fault_unmapped},
    {"syscall32_unmapped", syscall32_unmapped},
    {"sysenter_unmapped", sysenter_unmapped},
    {"syscall_read_only", syscall_read_only},
    {"syscall_table", syscall_table},
    {"int80_table", int80_table},
    {"syscall_crossing", syscall_crossing},
    {"int3_crossing", int3_crossing},
    {"syscall_above_reserved", syscall_above_reserved},
    {"syscall_at_zero", syscall_at_zero},
    {"syscall_at_canonical_edge", syscall_at_canonical_edge},
    {"syscall_falsified", syscall_falsified},
    {"kernel_int3_on_gate", kernel_int3_on_gate},
    {"kernel_int80_on_gate", kernel_int80_on_gate},
    {"kernel_divide_on_gate", kernel_divide_on_gate},
    {"kernel_load_on_gate", kernel_load_on_gate},
    {"kernel_int3_on_constants", kernel_int3_on_constants},
    {"kernel_int3_unmapped", kernel_int3_unmapped},
    {"kernel_divide_noncanonical", kernel_divide_noncanonical},
    {"kernel_load_crossing", kernel_load_crossing},
    {"kernel_int3_above_reserved", kernel_int3_above_reserved},
    {"kernel_load_at_zero", kernel_load_at_zero},
    {"kernel_int80_on_table", kernel_int80_on_table},
    {"iret_crossing", iret_crossing},
    {"iret_unmapped", iret_unmapped},
    {"iret_noncanonical", iret_noncanonical},
};

void attack_to_the_end(const char *name) {
    for (unsigned i = 0; i < ARRAY_SIZE(endings); i++)
        if (!strcmp(name, endings[i].name))
            endings[i].attack();
}
