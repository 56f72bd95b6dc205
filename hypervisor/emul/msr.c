// SPDX-License-Identifier: MIT
/*
 * The model-specific registers of a PV guest: the few that are the vCPU's own, and a table of constants for those that
 * kernels look at on every CPU. What neither knows is a #GP, which kernels survive: they ask with fix-ups.
 */
#include "internal.h"

#define MSR_TSC 0x10
#define MSR_APIC_BASE 0x1b
#define MSR_SPEC_CTRL 0x48
#define MSR_PRED_CMD 0x49
#define MSR_UCODE_REV 0x8b
#define MSR_FLUSH_CMD 0x10b
#define MSR_EFER 0xc0000080
#define MSR_FS_BASE 0xc0000100
#define MSR_GS_BASE 0xc0000101
#define MSR_KERNEL_GS_BASE 0xc0000102
#define MSR_TSC_AUX 0xc0000103

#define APIC_BASE_DEFAULT 0xfee00000ul
#define APIC_BASE_ENABLED (1ul << 11)
#define APIC_BASE_BSP (1ul << 8)
#define EFER_SCE (1ul << 0)
#define EFER_LME (1ul << 8)
#define EFER_LMA (1ul << 10)
#define EFER_NXE (1ul << 11)
#define SPEC_CTRL_KNOWN 7ul /* IBRS, STIBP, SSBD */

enum msr_vendor { VENDOR_ANY, VENDOR_AMD, VENDOR_INTEL };
enum msr_write {
    WRITE_REFUSED, /* #GP */
    WRITE_SAME,    /* the value it has, else #GP */
    WRITE_IGNORED,
};

/* A register, or several in a row, that always read the same. */
struct msr_constant {
    u32 first, last;
    u8 vendor;
    u8 write;
    u64 value;
};

static const struct msr_constant constants[] = {
    {0x17, 0x17, VENDOR_INTEL, WRITE_REFUSED, 0}, /* PLATFORM_ID */
    {0x3a, 0x3a, VENDOR_INTEL, WRITE_SAME, 1},    /* FEATURE_CONTROL: locked, nothing on */
    {0xce, 0xce, VENDOR_ANY, WRITE_REFUSED, 0},   /* PLATFORM_INFO: no CPUID faulting */
    /* MCG_CAP: no banks; MCG_STATUS, MCG_CTL; and the banks, for who does not look at MCG_CAP. */
    {0x179, 0x17b, VENDOR_ANY, WRITE_IGNORED, 0},
    {0x400, 0x47f, VENDOR_ANY, WRITE_IGNORED, 0},
    {0x1a0, 0x1a0, VENDOR_ANY, WRITE_IGNORED, 0x1801}, /* MISC_ENABLE: fast strings; no BTS, no PEBS */
    /* PAT: WB WT UC- UC WC WP, fixed by the ABI */
    {0x277, 0x277, VENDOR_ANY, WRITE_SAME, 0x050100070406},
    {0x40000000, 0x40000000, VENDOR_ANY, WRITE_REFUSED, 0}, /* hypercall page: not placed this way */
    {0xc0010000, 0xc0010007, VENDOR_AMD, WRITE_IGNORED, 0}, /* performance counters: never count */
    {0xc0010010, 0xc0010010, VENDOR_AMD, WRITE_IGNORED, 0}, /* SYSCFG */
    /* HWCR: the TSC counts at P0's rate. Linux complains otherwise. */
    {0xc0010015, 0xc0010015, VENDOR_AMD, WRITE_IGNORED, 1ul << 24},
    {0xc001001a, 0xc001001a, VENDOR_AMD, WRITE_REFUSED, 0}, /* TOP_MEM */
    {0xc001001d, 0xc001001d, VENDOR_AMD, WRITE_REFUSED, 0}, /* TOP_MEM2 */
    /* NB_CFG: extended configuration space is on already, so that nobody turns it on. */
    {0xc001001f, 0xc001001f, VENDOR_AMD, WRITE_IGNORED, 1ul << 46},
    {0xc0011029, 0xc0011029, VENDOR_AMD, WRITE_IGNORED, 2}, /* DE_CFG: LFENCE serializes */
};

static const struct msr_constant *find_constant(const struct emul_msr_ctx *ctx, u32 msr) {
    enum msr_vendor vendor = ctx->amd ? VENDOR_AMD : VENDOR_INTEL;

    for (size_t i = 0; i < ARRAY_SIZE(constants); i++) {
        const struct msr_constant *c = &constants[i];

        if (msr >= c->first && msr <= c->last && (c->vendor == VENDOR_ANY || c->vendor == vendor))
            return c;
    }
    return NULL;
}

static u64 efer(const struct emul_msr_ctx *ctx) {
    return EFER_SCE | EFER_LME | EFER_LMA | (ctx->nx ? EFER_NXE : 0);
}

static u64 apic_base(const struct emul_msr_ctx *ctx) {
    return APIC_BASE_DEFAULT | APIC_BASE_ENABLED | (ctx->vcpu_id == 0 ? APIC_BASE_BSP : 0);
}

static bool is_canonical(u64 addr) {
    return (u64)((s64)(addr << 16) >> 16) == addr;
}

static bool read_base(const struct emul_msr_ctx *ctx, enum emul_base which, u64 *val) {
    if (!ctx->read_base)
        return false;
    *val = ctx->read_base(ctx->arg, which);
    return true;
}

static bool write_base(const struct emul_msr_ctx *ctx, enum emul_base which, u64 val) {
    if (!ctx->write_base || !is_canonical(val))
        return false;
    ctx->write_base(ctx->arg, which, val);
    return true;
}

static bool write_tsc_aux(const struct emul_msr_ctx *ctx, u64 val) {
    if (!ctx->write_tsc_aux || val >> 32)
        return false;
    ctx->write_tsc_aux(ctx->arg, val);
    return true;
}

static bool write_spec(const struct emul_msr_ctx *ctx, u32 msr, u64 val) {
    if (!ctx->write_spec || val & ~(msr == MSR_SPEC_CTRL ? SPEC_CTRL_KNOWN : 1ul))
        return false;
    if (msr == MSR_SPEC_CTRL || val)
        ctx->write_spec(ctx->arg, msr, val);
    return true;
}

static bool read_constant(const struct emul_msr_ctx *ctx, u32 msr, u64 *val) {
    const struct msr_constant *c = find_constant(ctx, msr);

    if (c)
        *val = c->value;
    return c;
}

static bool write_constant(const struct emul_msr_ctx *ctx, u32 msr, u64 val) {
    const struct msr_constant *c = find_constant(ctx, msr);

    return c && (c->write == WRITE_IGNORED || (c->write == WRITE_SAME && c->value == val));
}

bool emul_rdmsr(const struct emul_msr_ctx *ctx, u32 msr, u64 *val) {
    *val = 0;
    switch (msr) {
    case MSR_TSC:
        if (ctx->read_tsc)
            *val = ctx->read_tsc(ctx->arg);
        return ctx->read_tsc;
    case MSR_SPEC_CTRL:
        if (ctx->read_spec)
            *val = ctx->read_spec(ctx->arg);
        return ctx->read_spec;
    case MSR_APIC_BASE:
        *val = apic_base(ctx);
        return true;
    case MSR_UCODE_REV:
        *val = ctx->microcode_rev;
        return true;
    case MSR_EFER:
        *val = efer(ctx);
        return true;
    case MSR_FS_BASE:
        return read_base(ctx, EMUL_FS_BASE, val);
    case MSR_GS_BASE:
        return read_base(ctx, EMUL_GS_BASE, val);
    case MSR_KERNEL_GS_BASE:
        return read_base(ctx, EMUL_GS_BASE_USER, val);
    case MSR_TSC_AUX:
        if (ctx->write_tsc_aux)
            *val = ctx->tsc_aux;
        return ctx->write_tsc_aux;
    default:
        return read_constant(ctx, msr, val);
    }
}

bool emul_wrmsr(const struct emul_msr_ctx *ctx, u32 msr, u64 val) {
    switch (msr) {
    case MSR_SPEC_CTRL:
    case MSR_PRED_CMD:
    case MSR_FLUSH_CMD:
        return write_spec(ctx, msr, val);
    case MSR_APIC_BASE:
        return val == apic_base(ctx);
    case MSR_UCODE_REV:
        return val == 0; /* how a kernel asks for the revision anew */
    case MSR_EFER:
        return val == efer(ctx);
    case MSR_FS_BASE:
        return write_base(ctx, EMUL_FS_BASE, val);
    case MSR_GS_BASE:
        return write_base(ctx, EMUL_GS_BASE, val);
    case MSR_KERNEL_GS_BASE:
        return write_base(ctx, EMUL_GS_BASE_USER, val);
    case MSR_TSC_AUX:
        return write_tsc_aux(ctx, val);
    default:
        return write_constant(ctx, msr, val);
    }
}
