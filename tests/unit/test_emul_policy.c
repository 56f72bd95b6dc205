// sources: hypervisor/emul/cpuid.c hypervisor/emul/msr.c
// SPDX-License-Identifier: MIT
/*
 * What a guest sees of CPUID and MSRs, on a host that claims every feature there is: nothing passes that a guest must
 * not see, what it needs stays, and topology and XSAVE sizes add up.
 */
#include <pv/emul.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

enum { EAX, EBX, ECX, EDX };

static bool amd_host;
static u32 max_basic, max_extended;

static void vendor(u32 out[4]) {
    memcpy(&out[EBX], amd_host ? "Auth" : "Genu", 4);
    memcpy(&out[EDX], amd_host ? "enti" : "ineI", 4);
    memcpy(&out[ECX], amd_host ? "cAMD" : "ntel", 4);
}

static void host_xstate(u32 sub, u32 out[4]) {
    static const u32 size[] = {[2] = 256, [3] = 64, [4] = 64, [5] = 64, [6] = 512, [7] = 1024, [8] = 128, [9] = 8};
    static const u32 offset[] = {[2] = 576, [3] = 960, [4] = 1024, [5] = 1088, [6] = 1152, [7] = 1664, [9] = 2688};

    memset(out, 0xff, 16);
    if (sub < 2)
        return;
    memset(out, 0, 16);
    if (sub < ARRAY_SIZE(size)) {
        out[EAX] = size[sub];
        out[EBX] = sub < ARRAY_SIZE(offset) ? offset[sub] : 0;
        out[ECX] = sub == 8 ? 1 : sub == 6 || sub == 7 ? 0xfffffffe : 0;
    }
}

static void host(void *arg, u32 leaf, u32 sub, u32 out[4]) {
    (void)arg;
    memset(out, 0xff, 16);
    if (leaf == 0 || leaf == 0x80000000) {
        out[EAX] = leaf ? max_extended : max_basic;
        vendor(out);
    } else if (leaf == 4) {
        out[EAX] = sub < 3 ? 0xffffc001 | (sub + 1) << 5 : 0xffffffe0;
        if (sub < 3)
            out[EAX] &= ~(7u << 5) | (sub + 1) << 5;
    } else if (leaf == 0xd) {
        host_xstate(sub, out);
    }
}

static struct cpuid_policy_ctx usual(void) {
    amd_host = false;
    max_basic = 0x20;
    max_extended = 0x80000028;
    return (struct cpuid_policy_ctx){
        .host = host,
        .vcpu_id = 3,
        .nr_vcpus = 5,
        .xcr0 = 3,
        .xfeatures = 0xe7,
        .kernel_view = true,
        .tsc_khz = 2500000,
        .tsc_mul = 0xcccccccd,
        .tsc_shift = -1,
        .tsc_offset_ns = 0x1122334455667788,
        .tsc_incarnation = 9,
        .maddr_bits = 39,
    };
}

static void check(const struct cpuid_policy_ctx *c, u32 leaf, u32 sub, const u32 want[4]) {
    u32 out[4];

    emul_cpuid(c, leaf, sub, out);
    for (int i = 0; i < 4; i++)
        assert_int_equal(out[i], want[i]);
}

#define CHECK(c, leaf, sub, ...) check(c, leaf, sub, (const u32[4]){__VA_ARGS__})

static u32 ask(const struct cpuid_policy_ctx *c, u32 leaf, u32 sub, int reg) {
    u32 out[4];

    emul_cpuid(c, leaf, sub, out);
    return out[reg];
}

static void hypervisor_leaves(void **state) {
    struct cpuid_policy_ctx c = usual();
    u32 out[4];

    (void)state;
    emul_cpuid(&c, 0x40000000, 0, out);
    assert_int_equal(out[EAX], 0x40000005);
    assert_memory_equal(&out[EBX], "XenVMMXenVMM", 12);
    CHECK(&c, 0x40000001, 0, 0x40011, 0, 0, 0);
    CHECK(&c, 0x40000002, 0, 1, 0x40000000, 1, 0);
    CHECK(&c, 0x40000003, 0, 0, 0, 2500000, 9);
    CHECK(&c, 0x40000003, 1, 0x55667788, 0x11223344, 0xcccccccd, 0xffffffff);
    CHECK(&c, 0x40000003, 2, 2500000, 0, 0, 0);
    CHECK(&c, 0x40000003, 3, 0, 0, 0, 0);
    CHECK(&c, 0x40000004, 0, 0, 0, 0, 0);
    CHECK(&c, 0x40000005, 0, 0, 39, 0, 0);
    CHECK(&c, 0x40000005, 1, 0, 0, 0, 0);
    CHECK(&c, 0x40000006, 0, 0, 0, 0, 0);
    CHECK(&c, 0x40000100, 0, 0, 0, 0, 0);
    CHECK(&c, 0x4000ffff, 0, 0, 0, 0, 0);
    c.tsc_invariant = c.tsc_aux = true;
    CHECK(&c, 0x40000003, 0, 6, 2, 2500000, 9);
}

/* On a host with all bits set. */
static const struct {
    u32 leaf, sub, reg, hidden, shown;
} policy[] = {
    /* DTES64 MONITOR DS-CPL VMX SMX EST TM2 CNXT-ID SDBG xTPR PDCM PCID DCA x2APIC TSC-deadline */
    {1, 0, ECX, 0x126cdfc, 0xfed83203},
    /* VME PSE MTRR PGE PSE36 DS ACPI TM */
    {1, 0, EDX, 0x2062300a, 0x7008175},
    /* TSC_ADJUST SGX SMEP INVPCID PQM MPX PQE SMAP PT */
    {7, 0, EBX, 0x210d486, 0x600d0329},
    /* UMIP PKU OSPKE WAITPKG CET_SS TME LA57 RDPID ENQCMD */
    {7, 0, ECX, 0x204120bc, 0x702},
    /* UINTR PCONFIG CET_IBT AMX IBRS STIBP ARCH_CAPS SSBD */
    {7, 0, EDX, 0xaf540020, 0x410},
    {7, 1, EAX, ~0u & ~0x1c30u, 0x1c30},
    {7, 1, EDX, ~0u, 0},
    {7, 2, EDX, ~0u, 0},
    /* CMP_LEGACY (no AMD host) SVM EXTAPIC CR8 IBS SKINIT WDT LWP TOPOEXT MONITORX */
    {0x80000001, 0, ECX, 0x2040b41e, 0x10921},
    /* 1 GiB pages, RDTSCP */
    {0x80000001, 0, EDX, 0xc000000, 0x20100800},
    {0x80000007, 0, EAX, ~0u, 0},
    {0x80000007, 0, EDX, ~0u, 0},
    {0x80000008, 0, EBX, 1u << 12 | 1u << 14 | 1u << 15 | 1u << 24, 5},
    {0x80000021, 0, EAX, ~0x44u, 0x44},
    {0xd, 1, EAX, ~7u, 7},
    {0xd, 1, ECX, ~0u, 0},
};

static void feature_words(void **state) {
    struct cpuid_policy_ctx c = usual();

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(policy); i++) {
        u32 v = ask(&c, policy[i].leaf, policy[i].sub, policy[i].reg);

        assert_int_equal(v & policy[i].hidden, 0);
        assert_int_equal(v & policy[i].shown, policy[i].shown);
    }
}

static void empty_leaves(void **state) {
    static const u32 empty[] = {3,          5,          6,          8,          9,          0xa,        0xb,
                                0xc,        0xe,        0xf,        0x10,       0x12,       0x14,       0x20,
                                0x8000000a, 0x8000001b, 0x8000001d, 0x8000001e, 0x8000001f, 0x80000020, 0x80000022,
                                0x8fffffff, 0x80860000, 0xc0000000, 0xffffffff, 0x7fffffff};
    struct cpuid_policy_ctx c = usual();

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(empty); i++)
        CHECK(&c, empty[i], 0, 0, 0, 0, 0);
    assert_int_equal(ask(&c, 0, 0, EAX), 0xd);
    assert_int_equal(ask(&c, 0x80000000, 0, EAX), 0x80000021);
    assert_int_equal(ask(&c, 0x80000002, 0, EAX), ~0u);
    max_basic = 4;
    max_extended = 0x80000004;
    assert_int_equal(ask(&c, 0, 0, EAX), 4);
    CHECK(&c, 7, 0, 0, 0, 0, 0);
    CHECK(&c, 0x80000008, 0, 0, 0, 0, 0);
}

static void features_offered_by_choice(void **state) {
    struct cpuid_policy_ctx c = usual();

    (void)state;
    c.tsc_invariant = c.tsc_aux = c.spec_ctrl = true;
    assert_int_equal(ask(&c, 0x80000007, 0, EDX), 0x100);
    assert_true(ask(&c, 0x80000001, 0, EDX) & 1u << 27);
    assert_true(ask(&c, 7, 0, ECX) & 1u << 22);
    assert_int_equal(ask(&c, 7, 0, EDX) & 0x8c000000, 0x8c000000);
    assert_int_equal(ask(&c, 0x80000008, 0, EBX) & 0x0100d000, 0x0100d000);
    assert_int_equal(ask(&c, 0x80000008, 0, EAX), 0x30ff);
}

static void osxsave_follows_cr4(void **state) {
    struct cpuid_policy_ctx c = usual();

    (void)state;
    assert_true(ask(&c, 1, 0, ECX) & 1u << 27);
    c.kernel_view = false;
    assert_false(ask(&c, 1, 0, ECX) & 1u << 27);
    c.cr4 = 1u << 18;
    assert_true(ask(&c, 1, 0, ECX) & 1u << 27);
    c.kernel_view = true;
    c.xfeatures = 0;
    assert_false(ask(&c, 1, 0, ECX) & (3u << 26));
}

/* Features whose registers are not saved are not there. */
static void xsave_dependents(void **state) {
    struct cpuid_policy_ctx c = usual();

    (void)state;
    assert_true(ask(&c, 7, 0, EBX) & 1u << 16);
    c.xfeatures = 7;
    assert_false(ask(&c, 7, 0, EBX) & 1u << 16);
    assert_true(ask(&c, 7, 0, EBX) & 1u << 5);
    c.xfeatures = 3;
    assert_false(ask(&c, 7, 0, EBX) & 1u << 5);
    assert_false(ask(&c, 1, 0, ECX) & (1u << 28 | 1u << 12 | 1u << 29));
    assert_true(ask(&c, 1, 0, ECX) & 1u << 26);
    c.xfeatures = 0;
    CHECK(&c, 0xd, 0, 0, 0, 0, 0);
    CHECK(&c, 0xd, 1, 0, 0, 0, 0);
}

static void xsave_sizes(void **state) {
    struct cpuid_policy_ctx c = usual();

    (void)state;
    CHECK(&c, 0xd, 0, 0xe7, 576, 2688, 0);
    c.xcr0 = 0xffffffffffffffff;
    CHECK(&c, 0xd, 0, 0xe7, 2688, 2688, 0);
    CHECK(&c, 0xd, 1, 7, 576 + 256 + 64 + 512 + 1024, 0, 0); /* opmask at 832, then aligned: 896 */
    c.xcr0 = 7;
    CHECK(&c, 0xd, 0, 0xe7, 832, 2688, 0);
    CHECK(&c, 0xd, 2, 256, 576, 0, 0);
    CHECK(&c, 0xd, 6, 512, 1152, 2, 0);
    CHECK(&c, 0xd, 8, 0, 0, 0, 0);
    CHECK(&c, 0xd, 9, 0, 0, 0, 0);
    CHECK(&c, 0xd, 63, 0, 0, 0, 0);
    CHECK(&c, 0xd, 0xffffffff, 0, 0, 0, 0);
}

static void topology(void **state) {
    struct cpuid_policy_ctx c = usual();

    (void)state;
    assert_int_equal(ask(&c, 1, 0, EBX), 6u << 24 | 16u << 16 | 0xffff);
    assert_true(ask(&c, 1, 0, EDX) & 1u << 28);
    assert_int_equal(ask(&c, 4, 0, EAX), 15u << 26 | 1u << 5 | 1);
    assert_int_equal(ask(&c, 4, 2, EAX), 15u << 26 | 15u << 14 | 3u << 5 | 1);
    CHECK(&c, 4, 3, 0, 0, 0, 0);
    assert_int_equal(ask(&c, 0x80000008, 0, ECX), 0);
    amd_host = true;
    assert_int_equal(ask(&c, 0x80000008, 0, ECX), 4u << 12 | 4);
    assert_true(ask(&c, 0x80000001, 0, ECX) & 2);
    assert_int_equal(ask(&c, 0x80000001, 0, EDX) & 0x40b, 1); /* copies of leaf 1's FPU; no VME, PSE */
    c.nr_vcpus = 1;
    c.vcpu_id = 0;
    assert_false(ask(&c, 1, 0, EDX) & 1u << 28);
    assert_false(ask(&c, 0x80000001, 0, ECX) & 2);
    c.nr_vcpus = 64;
    c.vcpu_id = 63;
    assert_int_equal(ask(&c, 1, 0, EBX) >> 24, 126);
}

/* --- a host as QEMU's `max` CPU is, and what the reference implementation of this ABI shows its guests there --- */

static const struct {
    u32 leaf, sub, host[4], guest[4];
} measured[] = {
    {0, 0, {0xd, 0x68747541, 0x444d4163, 0x69746e65}, {0xd, 0x68747541, 0x444d4163, 0x69746e65}},
    /* There, the guest was the control domain and saw MTRR and ACPI too; the count of APIC IDs is our own. */
    {1, 0, {0x60fb1, 0x20800, 0xfed8320b, 0x1fcbfbfd}, {0x60fb1, 0x40800, 0xfed83203, 0x1f89c3f5}},
    {7, 0, {0, 0x01c843a9, 0x8001021c, 0}, {0, 0x01880329, 0x200, 0}},
    {0xb, 0, {0, 1, 0x100, 0}, {0, 0, 0, 0}},
    {0xd, 0, {0x21f, 0xa88, 0xa88, 0}, {7, 0x340, 0x340, 0}},
    {0xd, 1, {5, 0x3c8, 0, 0}, {5, 0, 0, 0}},
    {0xd, 2, {0x100, 0x240, 0, 0}, {0x100, 0x240, 0, 0}},
    {0x80000000, 0, {0x80000021, 0x68747541, 0x444d4163, 0x69746e65}, {0x80000021, 0x68747541, 0x444d4163, 0x69746e65}},
    {0x80000001, 0, {0x60fb1, 0, 0x77, 0xedd3fbfd}, {0x60fb1, 0, 0x63, 0xe9d1cbf5}}, /* MTRR again */
    {0x80000008, 0, {0x3928, 0, 0x1001, 0}, {0x3028, 0, 0x2001, 0}},
    {0x8000000a, 0, {1, 0x10, 0, 0x10010001}, {0, 0, 0, 0}},
    {0x80000021, 0, {4, 0, 0, 0}, {4, 0, 0, 0}},
};

static void measured_host(void *arg, u32 leaf, u32 sub, u32 out[4]) {
    (void)arg;
    memset(out, 0, 16);
    for (size_t i = 0; i < ARRAY_SIZE(measured); i++) {
        if (measured[i].leaf == leaf && measured[i].sub == sub)
            memcpy(out, measured[i].host, 16);
    }
}

static void as_measured(void **state) {
    struct cpuid_policy_ctx c = {
        .host = measured_host, .nr_vcpus = 2, .xcr0 = 7, .xfeatures = 7, .kernel_view = true, .tsc_aux = true};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(measured); i++)
        check(&c, measured[i].leaf, measured[i].sub, measured[i].guest);
}

/* --- MSRs --- */

static u64 base[3], spec, aux;
static u32 spec_msr;

static u64 read_base(void *arg, enum emul_base which) {
    (void)arg;
    return base[which];
}

static void write_base(void *arg, enum emul_base which, u64 val) {
    (void)arg;
    base[which] = val;
}

static u64 read_tsc(void *arg) {
    (void)arg;
    return 12345;
}

static u64 read_spec(void *arg) {
    (void)arg;
    return spec;
}

static void write_spec(void *arg, u32 msr, u64 val) {
    (void)arg;
    spec_msr = msr;
    spec = val;
}

static void write_tsc_aux(void *arg, u32 val) {
    (void)arg;
    aux = val;
}

static struct emul_msr_ctx msr_ctx(bool amd) {
    return (struct emul_msr_ctx){.read_base = read_base,
                                 .write_base = write_base,
                                 .read_tsc = read_tsc,
                                 .amd = amd,
                                 .nx = true,
                                 .microcode_rev = 0x700000000,
                                 .tsc_aux = 5};
}

static void msr_reads(void **state) {
    static const struct {
        u32 msr;
        int vendors; /* 1 Intel, 2 AMD */
        u64 val;
    } rows[] = {
        {0x10, 3, 12345},
        {0x1b, 3, 0xfee00900},
        {0x8b, 3, 0x700000000},
        {0x277, 3, 0x050100070406},
        {0xfe, 0, 0},
        {0x179, 3, 0},
        {0x17a, 3, 0},
        {0x17b, 3, 0},
        {0x400, 3, 0},
        {0x47f, 3, 0},
        {0x480, 0, 0},
        {0x1a0, 3, 0x1801},
        {0x3a, 1, 1},
        {0xc0000080, 3, 0xd01},
        {0xc0000081, 0, 0},
        {0xc0000084, 0, 0},
        {0xc0000104, 0, 0},
        {0xc0010000, 2, 0},
        {0xc0010007, 2, 0},
        {0xc0010008, 0, 0},
        {0xc0010015, 2, 1ul << 24},
        {0xc0010055, 0, 0},
        {0xc0011029, 2, 2},
        {0x48, 0, 0},
        {0x49, 0, 0},
        {0x10a, 0, 0},
        {0xc0000103, 0, 0},
        {0x34, 0, 0},
        {0x140, 0, 0},
        {0x606, 0, 0},
        {0x40000000, 3, 0},
        {0xffffffff, 0, 0},
        {0xda0, 0, 0},
        {0x6a0, 0, 0},
        {0x1d9, 0, 0},
        {0x2ff, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        for (int v = 0; v < 2; v++) {
            struct emul_msr_ctx c = msr_ctx(v);
            u64 val;

            assert_int_equal(emul_rdmsr(&c, rows[i].msr, &val), rows[i].vendors >> v & 1);
            assert_int_equal(val, rows[i].vendors >> v & 1 ? rows[i].val : 0);
        }
    }
}

static void msr_writes(void **state) {
    static const struct {
        u32 msr;
        int vendors;
        u64 val;
    } rows[] = {
        {0xc0000080, 3, 0xd01}, {0xc0000080, 0, 0x1d01},
        {0xc0000080, 0, 0x501}, {0x1b, 3, 0xfee00900},
        {0x1b, 0, 0xfee00d00},  {0x277, 3, 0x050100070406},
        {0x277, 0, 0},          {0x8b, 3, 0},
        {0x8b, 0, 1},           {0x10, 0, 0},
        {0x400, 3, ~0ul},       {0x174, 0, 0x10},
        {0xc0000082, 0, 1},     {0xc0010007, 2, 1},
        {0xc0010015, 2, 0},     {0x79, 0, 0},
        {0x1d9, 0, 0},          {0x1d9, 0, 2},
        {0x48, 0, 1},           {0x49, 0, 1},
        {0xc0000103, 0, 1},     {0x3a, 1, 1},
        {0x3a, 0, 5},           {0xfe, 0, 0},
        {0x40000000, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        for (int v = 0; v < 2; v++) {
            struct emul_msr_ctx c = msr_ctx(v);

            assert_int_equal(emul_wrmsr(&c, rows[i].msr, rows[i].val), rows[i].vendors >> v & 1);
        }
    }
}

static void msr_bases(void **state) {
    struct emul_msr_ctx c = msr_ctx(false), none = {0};
    u64 val;

    (void)state;
    for (u32 i = 0; i < 3; i++) {
        assert_true(emul_wrmsr(&c, 0xc0000100 + i, 0xffff888000000000 + i));
        assert_true(emul_rdmsr(&c, 0xc0000100 + i, &val));
        assert_int_equal(val, 0xffff888000000000 + i);
        assert_false(emul_wrmsr(&c, 0xc0000100 + i, 0x800000000000));
        assert_int_equal(base[i], 0xffff888000000000 + i);
        assert_false(emul_rdmsr(&none, 0xc0000100 + i, &val));
        assert_false(emul_wrmsr(&none, 0xc0000100 + i, 0));
    }
    assert_true(emul_wrmsr(&c, 0xc0000100, 0x7fffffffffff));
    assert_false(emul_rdmsr(&none, 0x10, &val));
}

static void msr_offered(void **state) {
    struct emul_msr_ctx c = msr_ctx(false);
    u64 val;

    (void)state;
    c.read_spec = read_spec;
    c.write_spec = write_spec;
    c.write_tsc_aux = write_tsc_aux;
    assert_true(emul_wrmsr(&c, 0x48, 7));
    assert_true(emul_rdmsr(&c, 0x48, &val));
    assert_int_equal(val, 7);
    assert_false(emul_wrmsr(&c, 0x48, 8));
    assert_false(emul_rdmsr(&c, 0x49, &val));
    assert_true(emul_wrmsr(&c, 0x49, 0)); /* asks for nothing */
    assert_int_equal(spec_msr, 0x48);
    assert_true(emul_wrmsr(&c, 0x49, 1));
    assert_int_equal(spec_msr, 0x49);
    assert_false(emul_wrmsr(&c, 0x10b, 2));
    assert_true(emul_wrmsr(&c, 0xc0000103, 9));
    assert_int_equal(aux, 9);
    assert_false(emul_wrmsr(&c, 0xc0000103, 1ul << 32));
    assert_true(emul_rdmsr(&c, 0xc0000103, &val));
    assert_int_equal(val, 5);
    c.vcpu_id = 1;
    assert_true(emul_rdmsr(&c, 0x1b, &val));
    assert_int_equal(val, 0xfee00800);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hypervisor_leaves),   cmocka_unit_test(feature_words),
        cmocka_unit_test(empty_leaves),        cmocka_unit_test(features_offered_by_choice),
        cmocka_unit_test(osxsave_follows_cr4), cmocka_unit_test(xsave_dependents),
        cmocka_unit_test(xsave_sizes),         cmocka_unit_test(topology),
        cmocka_unit_test(as_measured),         cmocka_unit_test(msr_reads),
        cmocka_unit_test(msr_writes),          cmocka_unit_test(msr_bases),
        cmocka_unit_test(msr_offered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
