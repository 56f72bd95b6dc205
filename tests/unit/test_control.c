// SPDX-License-Identifier: MIT
// sources: control/policy.c control/bitmap.c
/*
 * CPU policies and sets of CPUs: lists fit what they are read into, a policy only ever takes away, and what it can't
 * decide stays.
 */
#include "host.h"
#include "../../hypervisor/control/internal.h"
#include <xen/arch-x86/cpuid.h>
#include <pv/trap.h>
#include <cmocka.h>

enum { EAX, EBX, ECX, EDX };
#define ALL 0xffffffffu
#define NONE XEN_CPUID_NO_SUBLEAF

static struct domain *d;
static struct control_record record;
static xen_cpuid_leaf_t leaves[CONTROL_LEAVES];
static xen_msr_entry_t msrs[4];

/* A CPU that has everything, with two kinds of caches, and state components up to 2. */
void trap_policy_cpuid(bool host, u32 leaf, u32 sub, u32 out[4]) {
    for (u32 i = 0; i < 4; i++)
        out[i] = ALL;
    if (leaf == 0 || leaf == 0x80000000)
        out[EAX] = leaf + (leaf ? 8 : 0xd);
    if (leaf == 7 && sub == 0)
        out[EAX] = 1;
    if (leaf == 4)
        out[EAX] = sub < 2;
    if (leaf == 0xd && sub == 0) {
        out[EAX] = 7;
        out[EDX] = 0;
    }
    (void)host;
}

static int setup(void **state) {
    (void)state;
    host_set_cpus(1);
    d = host_domain(3, 1);
    record = (struct control_record){0};
    d->control = &record;
    return 0;
}

static int teardown(void **state) {
    (void)state;
    host_domain_free(d);
    assert_int_equal(host_heap_live, 0);
    return 0;
}

static long host_policy(u32 index, u32 nr, struct xen_sysctl *op) {
    memset(op, 0, sizeof(*op));
    op->u.cpu_policy.index = index;
    op->u.cpu_policy.nr_leaves = nr;
    op->u.cpu_policy.nr_msrs = ARRAY_SIZE(msrs);
    op->u.cpu_policy.leaves.p = leaves;
    op->u.cpu_policy.msrs.p = msrs;
    return control_host_policy(NULL, op);
}

static const xen_cpuid_leaf_t *leaf_of(u32 n, u32 leaf, u32 sub) {
    for (u32 i = 0; i < n; i++)
        if (leaves[i].leaf == leaf && leaves[i].subleaf == sub)
            return &leaves[i];
    return NULL;
}

static void test_list(void **state) {
    struct xen_sysctl op;
    u32 n;

    (void)state;
    assert_int_equal(host_policy(XEN_SYSCTL_cpu_policy_pv_default, CONTROL_LEAVES, &op), 0);
    n = op.u.cpu_policy.nr_leaves;
    assert_non_null(leaf_of(n, 0, NONE));
    assert_non_null(leaf_of(n, 4, 1));
    assert_non_null(leaf_of(n, 4, 2)); /* the end of them */
    assert_null(leaf_of(n, 4, 3));
    assert_non_null(leaf_of(n, 0xb, 1));
    assert_null(leaf_of(n, 0xb, 2));
    assert_non_null(leaf_of(n, 0x40000000, NONE));
    assert_non_null(leaf_of(n, 0x40000100, NONE));
    assert_non_null(leaf_of(n, 7, 1));
    assert_non_null(leaf_of(n, 0xd, 2));
    assert_null(leaf_of(n, 0xd, 3));
    assert_non_null(leaf_of(n, 0x80000008, NONE));
    assert_null(leaf_of(n, 0x80000009, NONE));
    /* OSXSAVE is the guest's control register's. */
    assert_int_equal(leaf_of(n, 1, NONE)->c, ALL & ~(1u << 27));
    assert_int_equal(host_policy(XEN_SYSCTL_cpu_policy_host, CONTROL_LEAVES, &op), 0);
    assert_int_equal(leaf_of(n, 1, NONE)->c, ALL);
    assert_int_equal(host_policy(XEN_SYSCTL_cpu_policy_host, n, &op), 0);
    assert_int_equal(host_policy(XEN_SYSCTL_cpu_policy_host, n - 1, &op), -ENOBUFS);
    assert_int_equal(host_policy(XEN_SYSCTL_cpu_policy_hvm_max, n, &op), -EOPNOTSUPP);
    assert_int_equal(host_policy(99, n, &op), -EINVAL);
    op.u.cpu_policy._rsvd = 1;
    assert_int_equal(control_host_policy(NULL, &op), -EINVAL);
}

static long set_policy(u32 nr, struct xen_domctl *op) {
    memset(op, 0, sizeof(*op));
    op->u.cpu_policy.nr_leaves = nr;
    op->u.cpu_policy.leaves.p = leaves;
    return control_set_policy(NULL, d, op);
}

static void ask(u32 leaf, u32 sub, u32 r[4]) {
    trap_policy_cpuid(false, leaf, sub, r);
    control_narrow_cpuid(d, leaf, sub, r);
}

static void test_narrow(void **state) {
    struct xen_domctl op;
    u32 r[4];

    (void)state;
    ask(7, 0, r);
    assert_int_equal(r[EBX], ALL); /* none was set */
    leaves[0] = (xen_cpuid_leaf_t){0, NONE, 7, 0, 0, 0};
    leaves[1] = (xen_cpuid_leaf_t){1, NONE, 0, 0, 5, 6};
    leaves[2] = (xen_cpuid_leaf_t){7, 0, 0, 0x10, 0x20, 0x40};
    leaves[3] = (xen_cpuid_leaf_t){0x80000000, NONE, 0x80000001, 0, 0, 0};
    leaves[4] = (xen_cpuid_leaf_t){0x80000001, NONE, 0, 0, 0, 0x800};
    assert_int_equal(set_policy(5, &op), 0);
    ask(0, 0, r);
    assert_int_equal(r[EAX], 7);
    assert_int_equal(r[EBX], ALL); /* who made the CPU is no feature */
    ask(1, 0, r);
    assert_int_equal(r[ECX], 5 | 1u << 27 | 1u << 31);
    assert_int_equal(r[EDX], 6 | 1u << 28);
    assert_int_equal(r[EAX], ALL);
    ask(7, 0, r);
    assert_int_equal(r[EBX], 0x10);
    assert_int_equal(r[ECX], 0x20);
    assert_int_equal(r[EDX], 0x40);
    ask(7, 1, r);
    assert_int_equal(r[EAX], 0); /* the policy has none of it */
    ask(0xd, 1, r);
    assert_int_equal(r[EAX] | r[EBX] | r[ECX] | r[EDX], 0); /* beyond its last leaf */
    ask(0x80000001, 0, r);
    assert_int_equal(r[EDX], 0x800);
    ask(0x80000007, 0, r);
    assert_int_equal(r[EDX], 0);
    ask(0x40000001, 0, r);
    assert_int_equal(r[EAX], ALL); /* the hypervisor's own */
}

/* More than there is, is not given. */
static void test_widen(void **state) {
    struct xen_domctl op;
    u32 r[4] = {3, 0, 1, 2};

    (void)state;
    leaves[0] = (xen_cpuid_leaf_t){0, NONE, 0xd, 0, 0, 0};
    leaves[1] = (xen_cpuid_leaf_t){1, NONE, ALL, ALL, ALL, ALL};
    assert_int_equal(set_policy(2, &op), 0);
    control_narrow_cpuid(d, 1, 0, r);
    assert_true(r[EAX] == 3 && r[EBX] == 0 && r[ECX] == 1 && r[EDX] == 2);
}

static void test_bad_leaves(void **state) {
    static const struct {
        u32 leaf, sub;
    } bad[] = {{0xe, NONE}, {0x50, NONE}, {0x80000022, NONE}, {0x90000000, NONE}, {1, 0}, {7, NONE}, {0xd, 63}};
    struct xen_domctl op;

    (void)state;
    leaves[0] = (xen_cpuid_leaf_t){0, NONE, 1, 0, 0, 0};
    for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
        leaves[1] = (xen_cpuid_leaf_t){bad[i].leaf, bad[i].sub, 0, 0, 0, 0};
        assert_int_equal(set_policy(2, &op), -ERANGE);
        assert_int_equal(op.u.cpu_policy.err_leaf, bad[i].leaf);
        assert_int_equal(op.u.cpu_policy.err_subleaf, bad[i].sub);
        assert_int_equal(record.nr_leaves, 0);
    }
    assert_int_equal(set_policy(CONTROL_LEAVES + 1, &op), -E2BIG);
    d->control = NULL;
    assert_int_equal(set_policy(1, &op), -EINVAL);
}

static void test_bitmaps(void **state) {
    u8 bytes[20];
    struct xenctl_bitmap b = {.bitmap.p = bytes};
    u64 bits;

    (void)state;
    memset(bytes, 0xff, sizeof(bytes));
    b.nr_bits = 3;
    assert_int_equal(control_read_bitmap(&b, &bits), 0);
    assert_int_equal(bits, 7);
    b.nr_bits = 160;
    assert_int_equal(control_read_bitmap(&b, &bits), 0);
    assert_true(bits == ~0ul);
    b.nr_bits = CONTROL_BITMAP_LIMIT + 1;
    assert_int_equal(control_read_bitmap(&b, &bits), -EINVAL);
    assert_int_equal(control_write_bitmap(&b, 1), -EINVAL);
    b.nr_bits = 12;
    assert_int_equal(control_write_bitmap(&b, 0x1234), 0);
    assert_true(bytes[0] == 0x34 && bytes[1] == 0x12 && bytes[2] == 0xff);
    b.nr_bits = 144;
    assert_int_equal(control_write_bitmap(&b, 1), 0);
    assert_true(bytes[0] == 1 && bytes[8] == 0 && bytes[17] == 0 && bytes[18] == 0xff);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_list, setup, teardown),
        cmocka_unit_test_setup_teardown(test_narrow, setup, teardown),
        cmocka_unit_test_setup_teardown(test_widen, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_leaves, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bitmaps, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
