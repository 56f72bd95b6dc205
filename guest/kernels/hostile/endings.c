// SPDX-License-Identifier: MIT
/*
 * Attacks with no way back for the guest: a good hypervisor ends this domain, and nothing else.
 */
#include "hostile.h"

#define UNMAPPED (SCRATCH_VA + (55UL << 30))

static uint8_t stack[PAGE_SIZE] __attribute__((aligned(16)));

static void fault_on(unsigned long sp) {
    code_on_stack((void *)sp);
}
static void unmapped_stack(void) {
    fault_on(UNMAPPED);
}
static void noncanonical_stack(void) {
    fault_on(1UL << 63);
}
static void reserved_stack(void) {
    fault_on(0xffff818000000800);
}
static void gate_stack(void) {
    fault_on(0xffff808000000800);
}
static void m2p_stack(void) {
    fault_on(0xffff800000000800);
}
static void table_stack(void) {
    fault_on(ARG(pt_root()) + 0x800);
}

static void iret_wild_frame(void) {
    code_raw_iret((void *)UNMAPPED);
}

static void iret_bad_stack(void) {
    static uint64_t copy[16];

    copy[8] = ARG(code_ud);
    copy[9] = FLAT_KERNEL_CS & ~3;
    copy[10] = RFLAGS_IF | 2;
    copy[11] = 0xffff82d080201000;
    copy[12] = FLAT_KERNEL_SS;
    code_raw_iret(copy + 8);
}

static void use_handler(unsigned long address) {
    struct trap_info table[2] = {{TRAP_PF, 0, FLAT_KERNEL_CS, address}, {0, 0, 0, 0}};

    hv_set_trap_table(table);
    pt_map_page(SCRATCH_VA, page_alloc(), PTE_KERNEL);
    /* The page below is unmapped: the stack runs out soon. */
    __asm__ volatile("mov %0, %%rsp\n\tmovq $0, (%1)" ::"r"(SCRATCH_VA + PAGE_SIZE), "r"(UNMAPPED) : "memory");
}

static void unmapped_handler(void) {
    use_handler(UNMAPPED);
}
static void reserved_handler(void) {
    use_handler(0xffff82d080200000);
}
static void gate_handler(void) {
    use_handler(0xffff808000000000);
}

static void no_handler(void) {
    hv_set_trap_table(NULL);
    code_ud(NULL);
}

static void null_event_callback(void) {
    hv_set_callbacks(0, 0, 0);
    event_send((unsigned)event_bind_ipi(0));
    for (unsigned n = 0; n < 100; n++) /* one may be over before it blocks, where CPUs are scarce */
        clock_sleep(10 * MILLISECOND);
}

static void wild_event_callback(void) {
    unsigned port = (unsigned)event_bind_ipi(0);

    if (hv_set_callbacks(0xffff82d080200000, 0xffff82d080200000, 0xffff82d080200000))
        shutdown(SHUTDOWN_crash); /* refused at once: as good an end */
    hv_set_trap_table(NULL);
    event_unmask(port);
    event_send(port);
}

static void unmap_self(void) {
    hv_update_va_mapping(ARG(unmap_self) & PAGE_MASK, 0, UVMF_INVLPG | UVMF_ALL);
    hv_set_trap_table(NULL);
    hv_update_va_mapping(ARG(hypercall_page), 0, UVMF_INVLPG | UVMF_ALL);
}

static void empty_root(void) {
    mmuext(MMUEXT_NEW_BASEPTR, virt_to_mfn(pt_new_root(false)));
}

static void to_user_mode(unsigned long kernel_stack) {
    uint64_t frame[5] = {USER_VA, FLAT_USER_CS64, RFLAGS_IF | 2, USER_VA + 0x800, FLAT_USER_SS64};

    user_map_code(pt_root(), USER_VA, (const void *)code_user, 16);
    hv_stack_switch(FLAT_KERNEL_SS, kernel_stack);
    memcpy(stack + 2048, frame, sizeof(frame));
    code_raw_iret(stack + 2048);
}

static void user_without_root(void) {
    to_user_mode(ARG(stack + sizeof(stack)));
}

static void user_unmapped_kernel_stack(void) {
    mmuext(MMUEXT_NEW_USER_BASEPTR, virt_to_mfn(pt_root()));
    to_user_mode(UNMAPPED);
}

static void user_reserved_kernel_stack(void) {
    mmuext(MMUEXT_NEW_USER_BASEPTR, virt_to_mfn(pt_root()));
    to_user_mode(0xffff828000001000);
}

static void user_gate_kernel_stack(void) {
    mmuext(MMUEXT_NEW_USER_BASEPTR, virt_to_mfn(pt_root()));
    to_user_mode(0xffff808000001000);
}

static const struct {
    const char *name;
    void (*attack)(void);
} endings[] = {
    {"unmapped_stack", unmapped_stack},
    {"noncanonical_stack", noncanonical_stack},
    {"reserved_stack", reserved_stack},
    {"gate_stack", gate_stack},
    {"m2p_stack", m2p_stack},
    {"table_stack", table_stack},
    {"iret_wild_frame", iret_wild_frame},
    {"iret_bad_stack", iret_bad_stack},
    {"unmapped_handler", unmapped_handler},
    {"reserved_handler", reserved_handler},
    {"gate_handler", gate_handler},
    {"no_handler", no_handler},
    {"null_event_callback", null_event_callback},
    {"wild_event_callback", wild_event_callback},
    {"unmap_self", unmap_self},
    {"empty_root", empty_root},
    {"user_without_root", user_without_root},
    {"user_unmapped_kernel_stack", user_unmapped_kernel_stack},
    {"user_reserved_kernel_stack", user_reserved_kernel_stack},
    {"user_gate_kernel_stack", user_gate_kernel_stack},
};

void attack_to_the_end(const char *name) {
    for (unsigned i = 0; i < ARRAY_SIZE(endings); i++)
        if (!strcmp(name, endings[i].name))
            endings[i].attack();
}
