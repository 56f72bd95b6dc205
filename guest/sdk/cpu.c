// SPDX-License-Identifier: MIT
/*
 * The record of each vCPU, and starting vCPUs beyond the first.
 */
#include <sdk/clock.h>
#include <sdk/memory.h>

struct cpu cpus[MAX_CPUS];
extern uint8_t boot_stack_top[];
void cpu_main(struct cpu *cpu);

static void cpu_init(unsigned id) {
    cpus[id].self = &cpus[id];
    cpus[id].id = id;
    if (!cpus[id].info)
        cpus[id].info = &shared_info->vcpu_info[id];
}

void cpu_init_first(void) {
    cpu_init(0);
    cpus[0].stack_top = boot_stack_top;
    hv_set_segment_base(SEGBASE_GS_KERNEL, ARG(&cpus[0]));
}

unsigned cpu_count_possible(void) {
    unsigned n = 0;

    while (n < MAX_CPUS && hv_vcpu_op(VCPUOP_is_up, n, NULL) >= 0)
        n++;
    return n;
}

static uint8_t *new_stack(void) {
    static uint8_t stacks[MAX_CPUS - 1][STACK_SIZE] __attribute__((aligned(16)));
    static unsigned used;

    return stacks[__atomic_fetch_add(&used, 1, __ATOMIC_RELAXED)] + STACK_SIZE;
}

/* See CPU_START_*. From vCPU 3 on MXCSR has bits that no processor has, which the hypervisor has to cope with. */
static void fill_fpu(char *fxsave, unsigned id) {
    const uint16_t control = 0x37f;
    const uint32_t mxcsr = CPU_START_MXCSR | (id < 3 ? 0 : 0xffff0000);
    const uint64_t xmm0 = CPU_START_XMM0 + id;

    memcpy(fxsave, &control, sizeof(control));
    memcpy(fxsave + 24, &mxcsr, sizeof(mxcsr));
    memcpy(fxsave + 160, &xmm0, sizeof(xmm0));
}

void cpu_fill_context(unsigned id, struct vcpu_guest_context *ctxt) {
    struct cpu *cpu = &cpus[id];

    memset(ctxt, 0, sizeof(*ctxt));
    ctxt->flags = VGCF_in_kernel | VGCF_I387_VALID;
    fill_fpu(ctxt->fpu_ctxt.x, id);
    ctxt->user_regs.rdi = ARG(cpu);
    ctxt->user_regs.rip = ARG(entry_vcpu);
    ctxt->user_regs.rsp = ARG(cpu->stack_top);
    ctxt->user_regs.cs = FLAT_KERNEL_CS;
    ctxt->user_regs.ss = FLAT_KERNEL_SS;
    ctxt->user_regs.rflags = RFLAGS_IOPL & 0x1000;
    for (const struct trap_info *t = trap_table(); t->address; t++)
        ctxt->trap_ctxt[t->vector] = *t;
    ctxt->kernel_ss = FLAT_KERNEL_SS;
    ctxt->kernel_sp = ARG(cpu->stack_top);
    ctxt->ctrlreg[3] = xen_pfn_to_cr3(virt_to_mfn(pt_root()));
    ctxt->event_callback_eip = ARG(entry_event);
    ctxt->failsafe_callback_eip = ARG(entry_failsafe);
    ctxt->syscall_callback_eip = ARG(entry_syscall);
    ctxt->gs_base_kernel = ARG(cpu);
}

long cpu_start(unsigned id, void (*main)(void *), void *arg) {
    static struct vcpu_guest_context ctxt;
    long rc;

    if (id >= MAX_CPUS)
        return -XEN_EINVAL;
    cpu_init(id);
    if (!cpus[id].stack_top)
        cpus[id].stack_top = new_stack();
    cpus[id].main = main;
    cpus[id].arg = arg;
    cpu_fill_context(id, &ctxt);
    rc = hv_vcpu_op(VCPUOP_initialise, id, &ctxt);
    if (rc && rc != -XEN_EEXIST)
        return rc;
    return hv_vcpu_op(VCPUOP_up, id, NULL);
}

/* All events are marked pending in the new record: with the old one at hand still, an upcall would come without end. */
long cpu_move_info(unsigned id) {
    struct vcpu_info *info = page_alloc();
    struct vcpu_register_vcpu_info place = {.mfn = virt_to_mfn(info)};
    bool were_enabled = events_disable();
    long rc = hv_vcpu_op(VCPUOP_register_vcpu_info, id, &place);

    if (!rc)
        cpus[id].info = info;
    events_restore(were_enabled);
    return rc;
}

/* A vCPU taken down goes on behind the hypercall when it is brought up again: take the new work then. */
void cpu_main(struct cpu *cpu) {
    clock_init_cpu();
    for (;;) {
        events_enable();
        cpu->main(cpu->arg);
        events_disable();
        hv_vcpu_op(VCPUOP_down, cpu->id, NULL);
    }
}
