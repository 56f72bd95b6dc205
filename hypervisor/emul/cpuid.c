// SPDX-License-Identifier: MIT
/*
 * What a PV guest sees of CPUID: the host's features that work in ring 1 and ring 3 without the hypervisor, or with its
 * help; a topology made of the guest's vCPUs; and the hypervisor's own leaves.
 *
 * Feature words are white lists: a bit that is not named here is hidden. Left out on purpose: what a ring 1 kernel
 * cannot use (VME, PSE, PGE, PCID, SMEP, SMAP, UMIP, PKU, LA57, CET, INVPCID, MONITOR, VMX, SVM, SMX), what would need
 * state that vCPUs do not have (MPX, x2APIC, TSC deadline, TSC_ADJUST, debug store, performance monitoring, XSAVES),
 * and 1 GiB pages. User code may execute CPUID natively where the CPU cannot fault it, and then sees the host's.
 */
#include "internal.h"
#include <xen/arch-x86/cpuid.h>

#define BITS1(a) (1u << (a))

enum { EAX, EBX, ECX, EDX };

#define MAX_BASIC 0xdu
#define MAX_EXTENDED 0x80000021u
#define MAX_HYPERVISOR XEN_CPUID_LEAF(XEN_CPUID_MAX_NUM_LEAVES)

/* Leaf 1 */
#define L1D_PAE_ETC                                                                                                    \
    (BITS1(0) /* FPU */ | BITS1(2) /* DE */ | BITS1(4) /* TSC */ | BITS1(5) /* MSR */ | BITS1(6) /* PAE */ |           \
     BITS1(7) /* MCE */ | BITS1(8) /* CX8 */ | BITS1(9) /* APIC */ | L1D_SEP | BITS1(14) /* MCA */ |                   \
     BITS1(15) /* CMOV */ | BITS1(16) /* PAT */)
#define L1D_SIMD                                                                                                       \
    (BITS1(19) /* CLFLUSH */ | BITS1(23) /* MMX */ | BITS1(24) /* FXSR */ | BITS1(25) /* SSE */ |                      \
     BITS1(26) /* SSE2 */ | BITS1(27) /* SS */)
#define L1D_HTT BITS1(28)
#define L1D_SEP BITS1(11)
#define L1C_XSAVE BITS1(26)
#define L1C_OSXSAVE BITS1(27)
#define L1C_HYPERVISOR BITS1(31)
#define L1C_AVX_FAMILY (BITS1(12) /* FMA */ | BITS1(28) /* AVX */ | BITS1(29) /* F16C */)
#define L1C_PLAIN                                                                                                      \
    (BITS1(0) /* SSE3 */ | BITS1(1) /* PCLMULQDQ */ | BITS1(9) /* SSSE3 */ | BITS1(13) /* CX16 */ |                    \
     BITS1(19) /* SSE4.1 */ | BITS1(20) /* SSE4.2 */ | BITS1(22) /* MOVBE */ | BITS1(23) /* POPCNT */ |                \
     BITS1(25) /* AES */ | BITS1(30) /* RDRAND */)

/* Leaf 7 */
#define L7B_PLAIN                                                                                                      \
    (BITS1(0) /* FSGSBASE */ | BITS1(3) /* BMI1 */ | BITS1(4) /* HLE */ | BITS1(6) /* FDP_EXCPTN_ONLY */ |             \
     BITS1(8) /* BMI2 */ | BITS1(9) /* ERMS */ | BITS1(11) /* RTM */ | BITS1(13) /* no FPU CS/DS */ |                  \
     BITS1(18) /* RDSEED */ | BITS1(19) /* ADX */ | BITS1(23) /* CLFLUSHOPT */ | BITS1(24) /* CLWB */ |                \
     BITS1(29) /* SHA */)
#define L7B_AVX2 BITS1(5)
#define L7B_AVX512 (BITS1(16) | BITS1(17) | BITS1(21) | BITS1(26) | BITS1(27) | BITS1(28) | BITS1(30) | BITS1(31))
#define L7C_PLAIN                                                                                                      \
    (BITS1(0) /* PREFETCHWT1 */ | BITS1(8) /* GFNI */ | BITS1(25) /* CLDEMOTE */ | BITS1(27) /* MOVDIRI */ |           \
     BITS1(28) /* MOVDIR64B */)
#define L7C_AVX (BITS1(9) /* VAES */ | BITS1(10) /* VPCLMULQDQ */)
#define L7C_AVX512 (BITS1(1) | BITS1(6) | BITS1(11) | BITS1(12) | BITS1(14))
#define L7C_RDPID BITS1(22)
#define L7D_PLAIN (BITS1(4) /* FSRM */ | BITS1(10) /* MD_CLEAR */ | BITS1(14) /* SERIALIZE */)
#define L7D_AVX512 (BITS1(2) | BITS1(3) | BITS1(8) | BITS1(23))
#define L7D_SPEC (BITS1(26) /* IBRS, IBPB */ | BITS1(27) /* STIBP */ | BITS1(31) /* SSBD */)
#define L71A_PLAIN (BITS1(10) | BITS1(11) | BITS1(12)) /* fast short REP MOVSB, STOSB, CMPSB */
#define L71A_AVX BITS1(4)                              /* AVX-VNNI */
#define L71A_AVX512 BITS1(5)                           /* BF16 */

/* Leaf 0xd, subleaf 1 */
#define XSTATE_INSNS 7u /* XSAVEOPT, XSAVEC, XGETBV with ECX=1 */
#define XSTATE_XSAVEC 2u
#define XSTATE_ALIGN64 2u /* component subleaves, ECX */
#define XSTATE_FP_SSE 3ul
#define XSTATE_YMM 4ul
#define XSTATE_AVX512 0xe0ul
#define XSTATE_LEGACY_SIZE 576u
#define XSTATE_NR 63

/* Leaves 0x80000001, 7, 8, 0x21 */
#define E1D_PLAIN (BITS1(11) /* SYSCALL */ | BITS1(20) /* NX */ | BITS1(29) /* LM */)
#define E1D_AMD (BITS1(22) /* MMXEXT */ | BITS1(25) /* FFXSR */ | BITS1(30) | BITS1(31) /* 3DNOW */)
#define E1D_AMD_COPIES 0x0183f3ffu /* AMD repeats these bits of leaf 1's EDX */
#define E1D_RDTSCP BITS1(27)
#define E1C_CMP_LEGACY BITS1(1)
#define E1C_PLAIN                                                                                                      \
    (BITS1(0) /* LAHF */ | BITS1(5) /* LZCNT */ | BITS1(6) /* SSE4A */ | BITS1(7) /* misaligned SSE */ |               \
     BITS1(8) /* PREFETCHW */ | BITS1(21) /* TBM */)
#define E1C_AVX (BITS1(11) /* XOP */ | BITS1(16) /* FMA4 */)
#define E7D_ITSC BITS1(8)
#define E8B_PLAIN (BITS1(0) /* CLZERO */ | BITS1(2) /* FPU error pointers restored */ | BITS1(9) /* WBNOINVD */)
#define E8B_SPEC (BITS1(12) /* IBPB */ | BITS1(14) /* IBRS */ | BITS1(15) /* STIBP */ | BITS1(24) /* SSBD */)
#define E21A_PLAIN (BITS1(2) /* LFENCE serializes */ | BITS1(6) /* null selector clears base */)

static void host(const struct cpuid_policy_ctx *ctx, u32 leaf, u32 sub, u32 out[4]) {
    ctx->host(ctx->arg, leaf, sub, out);
}

static void clear(u32 out[4]) {
    memset(out, 0, 4 * sizeof(out[0]));
}

static bool is_amd(const struct cpuid_policy_ctx *ctx) {
    u32 out[4];

    host(ctx, 0, 0, out);
    return out[ECX] == 0x444d4163 /* "cAMD" */ || out[ECX] == 0x656e6975 /* "uine" of HygonGenuine */;
}

static bool has_xsave(const struct cpuid_policy_ctx *ctx) {
    return (ctx->xfeatures & XSTATE_FP_SSE) == XSTATE_FP_SSE;
}

/* What depends on register state that XSAVE manages. */
static bool has_avx(const struct cpuid_policy_ctx *ctx) {
    return has_xsave(ctx) && ctx->xfeatures & XSTATE_YMM;
}

static bool has_avx512(const struct cpuid_policy_ctx *ctx) {
    return has_avx(ctx) && (ctx->xfeatures & XSTATE_AVX512) == XSTATE_AVX512;
}

static u32 pick(const struct cpuid_policy_ctx *ctx, u32 plain, u32 avx, u32 avx512) {
    return plain | (has_avx(ctx) ? avx : 0) | (has_avx512(ctx) ? avx512 : 0);
}

/* --- topology: one package, a core for each vCPU, no SMT. APIC IDs are even, as guests of this ABI expect. --- */

static u32 apic_id(const struct cpuid_policy_ctx *ctx) {
    return ctx->vcpu_id * 2;
}

/* log2 of the APIC IDs the package spans. */
static u32 package_shift(const struct cpuid_policy_ctx *ctx) {
    u32 shift = 1;

    while (shift < 8 && (1u << shift) < ctx->nr_vcpus * 2)
        shift++;
    return shift;
}

/* Leaf 4 has room for 64 cores. */
static u32 legacy_cores(const struct cpuid_policy_ctx *ctx) {
    return MIN(1u << package_shift(ctx), 64u);
}

/* --- basic leaves --- */

static void leaf_0(const struct cpuid_policy_ctx *ctx, u32 sub, u32 out[4]) {
    (void)ctx;
    (void)sub;
    out[EAX] = MIN(out[EAX], MAX_BASIC);
}

static void leaf_1(const struct cpuid_policy_ctx *ctx, u32 sub, u32 out[4]) {
    u32 plain_ecx = L1C_PLAIN | (has_xsave(ctx) ? L1C_XSAVE : 0);
    bool osxsave = ctx->kernel_view || ctx->cr4 & (1u << 18);

    (void)sub;
    out[EBX] = (out[EBX] & 0xffff) | legacy_cores(ctx) << 16 | (apic_id(ctx) & 0xff) << 24;
    out[ECX] = (out[ECX] & pick(ctx, plain_ecx, L1C_AVX_FAMILY, 0)) | L1C_HYPERVISOR;
    if (out[ECX] & L1C_XSAVE && osxsave)
        out[ECX] |= L1C_OSXSAVE;
    out[EDX] = (out[EDX] & (L1D_PAE_ETC | L1D_SIMD)) | (ctx->nr_vcpus > 1 ? L1D_HTT : 0);
    if (is_amd(ctx))
        out[EDX] &= ~L1D_SEP; /* these have no SYSENTER in long mode */
}

/* Caches: all levels belong to one core but the last ones, which the host's cores share, to the package. */
static void leaf_4(const struct cpuid_policy_ctx *ctx, u32 sub, u32 out[4]) {
    u32 cores = legacy_cores(ctx), level = out[EAX] >> 5 & 7;

    (void)sub;
    if (!(out[EAX] & 0x1f)) {
        clear(out);
        return;
    }
    out[EAX] = (out[EAX] & 0x3fff) | (level >= 3 ? cores - 1 : 0) << 14 | (cores - 1) << 26;
}

static void leaf_7(const struct cpuid_policy_ctx *ctx, u32 sub, u32 out[4]) {
    if (sub == 0) {
        out[EAX] = MIN(out[EAX], 1u);
        out[EBX] &= pick(ctx, L7B_PLAIN, L7B_AVX2, L7B_AVX512);
        out[ECX] &= pick(ctx, L7C_PLAIN | (ctx->tsc_aux ? L7C_RDPID : 0), L7C_AVX, L7C_AVX512);
        out[EDX] &= pick(ctx, L7D_PLAIN | (ctx->spec_ctrl ? L7D_SPEC : 0), 0, L7D_AVX512);
    } else if (sub == 1) {
        out[EAX] &= pick(ctx, L71A_PLAIN, L71A_AVX, L71A_AVX512);
        out[EBX] = out[ECX] = out[EDX] = 0;
    } else {
        clear(out);
    }
}

/* The size of an XSAVE area with these components, in the standard or the compacted form. */
static u32 xsave_size(const struct cpuid_policy_ctx *ctx, u64 components, bool compacted) {
    u32 size = XSTATE_LEGACY_SIZE, c[4];

    for (u32 i = 2; i < XSTATE_NR; i++) {
        if (!(components & BIT(i)))
            continue;
        host(ctx, 0xd, i, c);
        if (!compacted)
            size = MAX(size, c[EBX] + c[EAX]);
        else
            size = (c[ECX] & XSTATE_ALIGN64 ? ALIGN_UP(size, 64u) : size) + c[EAX];
    }
    return size;
}

static void leaf_d(const struct cpuid_policy_ctx *ctx, u32 sub, u32 out[4]) {
    if (!has_xsave(ctx) || (sub >= 2 && (sub >= XSTATE_NR || !(ctx->xfeatures & BIT(sub))))) {
        clear(out);
    } else if (sub == 0) {
        out[EAX] = (u32)ctx->xfeatures;
        out[EBX] = xsave_size(ctx, ctx->xcr0 & ctx->xfeatures, false);
        out[ECX] = xsave_size(ctx, ctx->xfeatures, false);
        out[EDX] = ctx->xfeatures >> 32;
    } else if (sub == 1) {
        out[EAX] &= XSTATE_INSNS;
        out[EBX] = out[EAX] & XSTATE_XSAVEC ? xsave_size(ctx, ctx->xcr0 & ctx->xfeatures, true) : 0;
        out[ECX] = out[EDX] = 0;
    } else {
        out[ECX] &= XSTATE_ALIGN64;
        out[EDX] = 0;
    }
}

/* --- extended leaves --- */

static void leaf_ext_0(const struct cpuid_policy_ctx *ctx, u32 sub, u32 out[4]) {
    (void)ctx;
    (void)sub;
    out[EAX] = MIN(out[EAX], MAX_EXTENDED);
}

static void leaf_ext_1(const struct cpuid_policy_ctx *ctx, u32 sub, u32 out[4]) {
    bool amd = is_amd(ctx);
    u32 edx = E1D_PLAIN | (ctx->tsc_aux ? E1D_RDTSCP : 0);

    (void)sub;
    if (amd)
        edx |= E1D_AMD | (E1D_AMD_COPIES & (L1D_PAE_ETC | L1D_SIMD));
    out[ECX] &= pick(ctx, E1C_PLAIN, E1C_AVX, 0);
    if (amd && ctx->nr_vcpus > 1)
        out[ECX] |= E1C_CMP_LEGACY;
    out[EDX] &= edx;
}

static void leaf_ext_7(const struct cpuid_policy_ctx *ctx, u32 sub, u32 out[4]) {
    (void)sub;
    clear(out);
    out[EDX] = ctx->tsc_invariant ? E7D_ITSC : 0;
}

/* Machine addresses are as wide as the host's, linear ones have 48 bits. */
static void leaf_ext_8(const struct cpuid_policy_ctx *ctx, u32 sub, u32 out[4]) {
    (void)sub;
    out[EAX] = (out[EAX] & 0xff) | 48 << 8;
    out[EBX] &= E8B_PLAIN | (ctx->spec_ctrl ? E8B_SPEC : 0);
    out[ECX] = is_amd(ctx) ? package_shift(ctx) << 12 | (ctx->nr_vcpus - 1) : 0;
    out[EDX] = 0;
}

static void leaf_ext_21(const struct cpuid_policy_ctx *ctx, u32 sub, u32 out[4]) {
    u32 eax = out[EAX] & E21A_PLAIN;

    (void)ctx;
    (void)sub;
    clear(out);
    out[EAX] = eax;
}

static void leaf_as_host(const struct cpuid_policy_ctx *ctx, u32 sub, u32 out[4]) {
    (void)ctx;
    (void)sub;
    (void)out;
}

/* --- the hypervisor's leaves --- */

static void leaf_time(const struct cpuid_policy_ctx *ctx, u32 sub, u32 out[4]) {
    enum { TSC_RELIABLE = 2, TSC_RDTSCP = 4, MODE_DEFAULT = 0, MODE_NATIVE = 2 };

    if (sub == 0) {
        out[EAX] = (ctx->tsc_invariant ? TSC_RELIABLE : 0) | (ctx->tsc_aux ? TSC_RDTSCP : 0);
        out[EBX] = ctx->tsc_invariant ? MODE_NATIVE : MODE_DEFAULT; /* Linux makes the TSC its clock for the former */
        out[ECX] = ctx->tsc_khz;
        out[EDX] = ctx->tsc_incarnation;
    } else if (sub == 1) {
        out[EAX] = (u32)ctx->tsc_offset_ns;
        out[EBX] = ctx->tsc_offset_ns >> 32;
        out[ECX] = ctx->tsc_mul;
        out[EDX] = (u32)(s32)ctx->tsc_shift;
    } else if (sub == 2) {
        out[EAX] = ctx->tsc_khz;
    }
}

static void leaf_hypervisor(const struct cpuid_policy_ctx *ctx, u32 leaf, u32 sub, u32 out[4]) {
    clear(out);
    switch (leaf - XEN_CPUID_FIRST_LEAF) {
    case 0:
        out[EAX] = MAX_HYPERVISOR;
        out[EBX] = XEN_CPUID_SIGNATURE_EBX;
        out[ECX] = XEN_CPUID_SIGNATURE_ECX;
        out[EDX] = XEN_CPUID_SIGNATURE_EDX;
        break;
    case 1:
        out[EAX] = 4 << 16 | 17;
        break;
    case 2:
        out[EAX] = 1; /* hypercall page, which kernels of this kind have from their ELF notes and not by the MSR */
        out[EBX] = XEN_CPUID_FIRST_LEAF;
        out[ECX] = XEN_CPUID_FEAT1_MMU_PT_UPDATE_PRESERVE_AD;
        break;
    case 3:
        leaf_time(ctx, sub, out);
        break;
    case 5:
        if (sub == 0)
            out[EBX] = ctx->maddr_bits & XEN_CPUID_MACHINE_ADDRESS_WIDTH_MASK;
        break;
    default:
        break;
    }
}

/* --- dispatch --- */

typedef void (*leaf_filter)(const struct cpuid_policy_ctx *ctx, u32 sub, u32 out[4]);

/* Leaves without an entry are all zero. */
static const leaf_filter basic[MAX_BASIC + 1] = {
    [0x0] = leaf_0, [0x1] = leaf_1, [0x2] = leaf_as_host, [0x4] = leaf_4, [0x7] = leaf_7, [0xd] = leaf_d,
};

static const leaf_filter extended[(MAX_EXTENDED & 0xffff) + 1] = {
    [0x00] = leaf_ext_0,   [0x01] = leaf_ext_1,   [0x02] = leaf_as_host, [0x03] = leaf_as_host,
    [0x04] = leaf_as_host, [0x05] = leaf_as_host, [0x06] = leaf_as_host, [0x07] = leaf_ext_7,
    [0x08] = leaf_ext_8,   [0x19] = leaf_as_host, [0x1a] = leaf_as_host, [0x21] = leaf_ext_21,
};

/* The filter of a leaf that both we and the host have, or NULL. */
static leaf_filter find_filter(const struct cpuid_policy_ctx *ctx, u32 leaf) {
    u32 first = leaf & 0x80000000, out[4];

    if ((leaf & ~first) >= (first ? ARRAY_SIZE(extended) : ARRAY_SIZE(basic)))
        return NULL;
    host(ctx, first, 0, out);
    if (leaf > out[EAX])
        return NULL;
    return first ? extended[leaf & ~first] : basic[leaf];
}

void emul_cpuid(const struct cpuid_policy_ctx *ctx, u32 leaf, u32 sub, u32 out[4]) {
    leaf_filter filter;

    if (leaf >> 16 == XEN_CPUID_FIRST_LEAF >> 16) {
        leaf_hypervisor(ctx, leaf, sub, out);
        return;
    }
    filter = find_filter(ctx, leaf);
    if (!filter) {
        clear(out);
        return;
    }
    host(ctx, leaf, sub, out);
    filter(ctx, sub, out);
}
