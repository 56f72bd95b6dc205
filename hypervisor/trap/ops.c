// SPDX-License-Identifier: MIT
// The emulator's view of the current vCPU: its memory, control and debug registers, MSRs, ports and CPUID.
#include "internal.h"

#include <pv/control.h>
#include <pv/dom0.h>
#include <pv/mm.h>
#include <pv/platform.h>
#include <pv/run.h>
#include <pv/x86.h>

static bool page_fault(struct vcpu *v, struct emul_fault *fault, u64 va, u32 error) {
    u64 pte = mm_walk_vcpu(v, gva(va), NULL);

    error |= (pte & PTE_P ? PF_PRESENT : 0) | (v->kernel_mode ? 0 : PF_USER);
    *fault = (struct emul_fault){.vector = VEC_PF, .error_code = error, .cr2 = va};
    return false;
}

static bool op_fetch(void *arg, u64 va, void *buf, size_t len, struct emul_fault *fault) {
    return !copy_from_vcpu(arg, buf, gva(va), len) || page_fault(arg, fault, va, PF_FETCH);
}

static bool op_read(void *arg, u64 va, void *buf, size_t len, struct emul_fault *fault) {
    return !copy_from_vcpu(arg, buf, gva(va), len) || page_fault(arg, fault, va, 0);
}

static bool op_write(void *arg, u64 va, const void *buf, size_t len, struct emul_fault *fault) {
    u64 at;

    return !copy_frame_to_vcpu(arg, gva(va), buf, len, &at) || page_fault(arg, fault, at, PF_WRITE);
}

static bool op_check_write(void *arg, u64 va, size_t len, struct emul_fault *fault) {
    (void)len;
    return mm_walk_vcpu(arg, gva(va), NULL) & PTE_W || page_fault(arg, fault, va, PF_WRITE);
}

static u64 op_segment_base(void *arg, enum emul_segment seg) {
    struct vcpu *v = arg;

    return x86_get_segment_base(v, seg == EMUL_SEG_FS ? 0 : v->kernel_mode ? 1 : 2);
}

static bool op_read_cr(void *arg, u32 cr, u64 *val) {
    struct vcpu *v = arg;

    switch (cr) {
    case 0:
        *val = v->cr0 | (v->fpu_dirty_ts ? CR0_TS : 0);
        return true;
    case 2:
        *val = v->info->arch.cr2;
        return true;
    case 3:
        *val = mfn_to_maddr(v->base).a;
        return true;
    case 4:
        *val = v->cr4;
        return true;
    default:
        return false;
    }
}

static void set_guest_ts(struct vcpu *v, bool on) {
    v->fpu_dirty_ts = on;
    x86_set_ts(on);
}

static bool set_base(struct vcpu *v, u64 cr3) {
    int rc = mm_set_base(v, mfn(cr3 >> PAGE_SHIFT));

    v->emul_preempted = rc == -ERESTART;
    return !rc;
}

static bool op_was_preempted(void *arg) {
    struct vcpu *v = arg;
    bool was = v->emul_preempted;

    v->emul_preempted = false;
    return was;
}

static bool op_write_cr(void *arg, u32 cr, u64 val) {
    const u64 cr4_allowed = CR4_TSD | CR4_DE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE | CR4_FSGSBASE | CR4_PAE;
    struct vcpu *v = arg;

    switch (cr) {
    case 0: /* only TS is the guest's to change */
        if ((val ^ v->cr0) & ~(u64)CR0_TS)
            return false;
        set_guest_ts(v, val & CR0_TS);
        return true;
    case 2:
        v->info->arch.cr2 = val;
        return true;
    case 3:
        return set_base(v, val);
    case 4:
        v->cr4 = (v->cr4 & ~(u64)(CR4_TSD | CR4_DE)) | (val & cr4_allowed & (CR4_TSD | CR4_DE));
        return true;
    default:
        return false;
    }
}

static bool op_read_dr(void *arg, u32 dr, u64 *val) {
    struct vcpu *v = arg;

    if (dr > 7 || dr == 4 || dr == 5)
        return false;
    *val = v->debugreg[dr];
    return true;
}

static bool op_write_dr(void *arg, u32 dr, u64 val) {
    return vcpu_set_debugreg(arg, dr, val) == 0;
}

static u64 op_read_base(void *arg, enum emul_base which) {
    return x86_get_segment_base(arg, (unsigned)which);
}

static void op_write_base(void *arg, enum emul_base which, u64 val) {
    x86_set_segment_base(arg, (unsigned)which, val);
}

static u64 op_read_tsc(void *arg) {
    (void)arg;
    return rdtsc();
}

static struct emul_msr_ctx msr_context(struct vcpu *v) {
    u32 r[4];

    cpuid(0, 0, r);
    return (struct emul_msr_ctx){.read_base = op_read_base,
                                 .write_base = op_write_base,
                                 .read_tsc = op_read_tsc,
                                 .arg = v,
                                 .vcpu_id = v->id,
                                 .amd = r[1] == CPUID_EBX_AMD || r[1] == CPUID_EBX_HYGON,
                                 .nx = true};
}

static bool op_read_msr(void *arg, u32 msr, u64 *val) {
    struct emul_msr_ctx ctx = msr_context(arg);

    return emul_rdmsr(&ctx, msr, val);
}

static bool op_write_msr(void *arg, u32 msr, u64 val) {
    struct emul_msr_ctx ctx = msr_context(arg);

    return emul_wrmsr(&ctx, msr, val);
}

/* A bit for each port, clear where user mode may go. Two bytes hold the bits of any access. */
static bool op_port_allowed(void *arg, u16 port, u32 size) {
    struct vcpu *v = arg;
    u8 bits[2] = {0xff, 0xff};

    if ((u32)port + size > v->iobitmap_ports)
        return false;
    if (copy_from_vcpu(v, bits, gva(v->iobitmap + port / 8), port % 8 + size > 8 ? 2 : 1))
        return false;
    return !((u32)(bits[0] | bits[1] << 8) >> port % 8 & ((1u << size) - 1));
}

static u32 op_port_read(void *arg, u16 port, u32 size) {
    struct vcpu *v = arg;

    return v->domain->is_control ? dom0_port_read(v, port, size) : emul_port_read(port, size);
}

static void op_port_write(void *arg, u16 port, u32 size, u32 value) {
    struct vcpu *v = arg;

    if (v->domain->is_control)
        dom0_port_write(v, port, size, value);
}

static void host_cpuid(void *arg, u32 leaf, u32 sub, u32 out[4]) {
    (void)arg;
    cpuid(leaf, sub, out);
}

static struct cpuid_policy_ctx cpuid_context(void) {
    const struct tsc_scale *s = time_scale();

    return (struct cpuid_policy_ctx){.host = host_cpuid,
                                     .nr_vcpus = 1,
                                     .xcr0 = x86_features.xcr0,
                                     .xfeatures = x86_features.xcr0,
                                     .tsc_invariant = true,
                                     .tsc_khz = s->khz,
                                     .tsc_mul = s->mul,
                                     .tsc_shift = s->shift,
                                     .maddr_bits = x86_features.phys_bits};
}

static void op_cpuid(void *arg, u32 leaf, u32 sub, u32 out[4]) {
    struct vcpu *v = arg;
    struct cpuid_policy_ctx ctx = cpuid_context();

    ctx.vcpu_id = v->id;
    ctx.nr_vcpus = v->domain->nr_vcpus;
    ctx.cr4 = v->cr4;
    ctx.kernel_view = v->kernel_mode;
    emul_cpuid(&ctx, leaf, sub, out);
    control_narrow_cpuid(v->domain, leaf, sub, out);
}

void trap_policy_cpuid(bool host, u32 leaf, u32 sub, u32 out[4]) {
    struct cpuid_policy_ctx ctx = cpuid_context();

    if (host)
        cpuid(leaf, sub, out);
    else
        emul_cpuid(&ctx, leaf, sub, out);
}

static bool op_write_xcr(void *arg, u32 xcr, u64 val) {
    (void)arg;
    return xcr == 0 && val == x86_features.xcr0;
}

static bool op_invlpg(void *arg, u64 va) {
    (void)arg;
    (void)va;
    tlb_drop(this_cpu());
    return true;
}

const struct emul_ops trap_emul_ops = {
    .fetch = op_fetch,
    .read_mem = op_read,
    .write_mem = op_write,
    .check_write = op_check_write,
    .segment_base = op_segment_base,
    .read_cr = op_read_cr,
    .write_cr = op_write_cr,
    .was_preempted = op_was_preempted,
    .read_dr = op_read_dr,
    .write_dr = op_write_dr,
    .read_msr = op_read_msr,
    .write_msr = op_write_msr,
    .write_xcr = op_write_xcr,
    .port_allowed = op_port_allowed,
    .port_read = op_port_read,
    .port_write = op_port_write,
    .cpuid = op_cpuid,
    .read_tsc = op_read_tsc,
    .invlpg = op_invlpg,
};
