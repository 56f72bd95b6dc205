// sources: hypervisor/emul/insn.c hypervisor/emul/ptwrite.c
// SPDX-License-Identifier: MIT
/*
 * Instructions of a guest kernel on its page tables: what each byte sequence decodes to, what it refuses, and that
 * value, flags and registers come out as on the CPU this test runs on.
 */
#include <pv/emul.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define TABLE 0xffff888001234000ull
#define RIP 0xffffffff81000000ull
#define FS 0x7f0000001000ull
#define GS 0xffff88807fc00000ull
#define CANARY 0x1122334455667788ull

static const struct pt_write_ctx bases = {.fs_base = FS, .gs_base = GS};

/* RDI and R13 point at the entry that most rows use. */
static struct regs usual_regs(void) {
    return (struct regs){
        .rax = 0x8000000012345067,
        .rcx = 0xaaaabbbbccccddee,
        .rdx = 0x25,
        .rbx = 0xfffffffffffffff8,
        .rsp = TABLE,
        .rbp = TABLE + 0x80,
        .rsi = 2,
        .rdi = TABLE + 8,
        .r8 = 0x80000000000001e3,
        .r9 = 0xffffffffffffffc0,
        .r10 = 100,
        .r12 = TABLE,
        .r13 = TABLE + 0x100,
        .r14 = 0x10,
        .r15 = 0x1234,
        .rip = RIP,
        .rflags = 0x202,
    };
}

/* Decodes a copy of exactly len bytes, so that the address sanitizer sees a read past the end. */
static int decode(const char *bytes, size_t len, const struct regs *regs, struct pt_write *w) {
    u8 *copy = malloc(len ? len : 1);
    int rc;

    memcpy(copy, bytes, len);
    rc = emul_decode_pt_write(copy, len, regs, &bases, w);
    free(copy);
    return rc;
}

struct decoded {
    const char *bytes;
    size_t len;
    enum pt_write_kind kind;
    u64 addr;
    u8 width;
    u64 operand;
};

#define ROW(b, ...)                                                                                                    \
    { b, sizeof(b) - 1, __VA_ARGS__ }

static const struct decoded good[] = {
    /* mov */
    ROW("\x48\x89\x07", PT_WRITE_MOV, TABLE + 8, 8, 0x8000000012345067),
    ROW("\x89\x07", PT_WRITE_MOV, TABLE + 8, 4, 0x12345067),
    ROW("\x66\x89\x07", PT_WRITE_MOV, TABLE + 8, 2, 0x5067),
    ROW("\x88\x07", PT_WRITE_MOV, TABLE + 8, 1, 0x67),
    ROW("\x88\x27", PT_WRITE_MOV, TABLE + 8, 1, 0x50),             /* ah */
    ROW("\x40\x88\x27", PT_WRITE_MOV, TABLE + 8, 1, TABLE & 0xff), /* spl */
    ROW("\x4d\x89\x45\x10", PT_WRITE_MOV, TABLE + 0x110, 8, 0x80000000000001e3),
    ROW("\x4d\x89\x04\x24", PT_WRITE_MOV, TABLE, 8, 0x80000000000001e3), /* (%r12) */
    ROW("\x4c\x89\x04\xf7", PT_WRITE_MOV, TABLE + 0x18, 8, 0x80000000000001e3),
    ROW("\x4c\x89\x44\x1f\xf8", PT_WRITE_MOV, TABLE - 8, 8, 0x80000000000001e3),
    ROW("\x4c\x89\x04\x25\x00\x10\x00\x80", PT_WRITE_MOV, 0xffffffff80001000, 8, 0x80000000000001e3),
    ROW("\x4c\x89\x85\x80\xff\xff\xff", PT_WRITE_MOV, TABLE, 8, 0x80000000000001e3),
    ROW("\x4c\x89\x05\xf1\x0f\x00\x00", PT_WRITE_MOV, RIP + 0xff8, 8, 0x80000000000001e3),
    ROW("\x48\xc7\x05\xf5\x0f\x00\x00\x67\x00\x00\x80", PT_WRITE_MOV, RIP + 0x1000, 8, 0xffffffff80000067),
    ROW("\xc7\x07\x67\x00\x00\x80", PT_WRITE_MOV, TABLE + 8, 4, 0x80000067),
    ROW("\x66\xc7\x07\x67\x80", PT_WRITE_MOV, TABLE + 8, 2, 0x8067),
    ROW("\xc6\x07\xff", PT_WRITE_MOV, TABLE + 8, 1, 0xff),
    ROW("\x65\x4c\x89\x04\x25\x00\x10\x00\x00", PT_WRITE_MOV, GS + 0x1000, 8, 0x80000000000001e3),
    ROW("\x64\x2e\x4c\x89\x04\x25\x00\x10\x00\x00", PT_WRITE_MOV, FS + 0x1000, 8, 0x80000000000001e3),
    ROW("\x67\x4c\x89\x07", PT_WRITE_MOV, (u32)(TABLE + 8), 8, 0x80000000000001e3),
    ROW("\x48\xa3\x00\x40\x23\x01\x80\x88\xff\xff", PT_WRITE_MOV, TABLE, 8, 0x8000000012345067),
    ROW("\x48\x0f\xc3\x07", PT_WRITE_MOV, TABLE + 8, 8, 0x8000000012345067),
    ROW("\x0f\xc3\x07", PT_WRITE_MOV, TABLE + 8, 4, 0x12345067),
    ROW("\x48\x66\x89\x07", PT_WRITE_MOV, TABLE + 8, 2, 0x5067), /* REX before a prefix is void */
    /* exchange */
    ROW("\x48\x87\x07", PT_WRITE_XCHG, TABLE + 8, 8, 0x8000000012345067),
    ROW("\xf0\x4c\x87\x07", PT_WRITE_XCHG, TABLE + 8, 8, 0x80000000000001e3),
    ROW("\xf0\x4c\x0f\xb1\x07", PT_WRITE_CMPXCHG, TABLE + 8, 8, 0x80000000000001e3),
    ROW("\x44\x0f\xb1\x07", PT_WRITE_CMPXCHG, TABLE + 8, 4, 0x1e3),
    ROW("\x0f\xb0\x37", PT_WRITE_CMPXCHG, TABLE + 8, 1, 0x00), /* dh */
    ROW("\xf0\x48\x0f\xc1\x37", PT_WRITE_XADD, TABLE + 8, 8, 2),
    /* arithmetic */
    ROW("\xf0\x48\x83\x0f\x20", PT_WRITE_OR, TABLE + 8, 8, 0x20),
    ROW("\xf0\x48\x83\x27\xfd", PT_WRITE_AND, TABLE + 8, 8, 0xfffffffffffffffd),
    ROW("\x48\x81\x27\xfd\xff\xff\x7f", PT_WRITE_AND, TABLE + 8, 8, 0x7ffffffd),
    ROW("\x80\x27\xfd", PT_WRITE_AND, TABLE + 8, 1, 0xfd),
    ROW("\xf0\x80\x67\x01\xef", PT_WRITE_AND, TABLE + 9, 1, 0xef),
    ROW("\x48\x81\x07\x00\x10\x00\x00", PT_WRITE_ADD, TABLE + 8, 8, 0x1000),
    ROW("\x48\x81\x2f\x00\x10\x00\x00", PT_WRITE_SUB, TABLE + 8, 8, 0x1000),
    ROW("\x66\x81\x37\x00\x10", PT_WRITE_XOR, TABLE + 8, 2, 0x1000),
    ROW("\x48\x09\x17", PT_WRITE_OR, TABLE + 8, 8, 0x25),
    ROW("\x48\x21\x17", PT_WRITE_AND, TABLE + 8, 8, 0x25),
    ROW("\x48\x31\x17", PT_WRITE_XOR, TABLE + 8, 8, 0x25),
    ROW("\x48\x01\x17", PT_WRITE_ADD, TABLE + 8, 8, 0x25),
    ROW("\x28\x17", PT_WRITE_SUB, TABLE + 8, 1, 0x25),
    /* bits */
    ROW("\xf0\x48\x0f\xba\x37\x01", PT_WRITE_BTR, TABLE + 8, 8, 1),
    ROW("\xf0\x48\x0f\xba\x2f\x3f", PT_WRITE_BTS, TABLE + 8, 8, 63),
    ROW("\x0f\xba\x3f\x21", PT_WRITE_BTC, TABLE + 8, 4, 1),
    ROW("\x48\x0f\xb3\x37", PT_WRITE_BTR, TABLE + 8, 8, 2),
    ROW("\x4c\x0f\xab\x17", PT_WRITE_BTS, TABLE + 0x10, 8, 36), /* bit 100 */
    ROW("\x4c\x0f\xbb\x0f", PT_WRITE_BTC, TABLE, 8, 0),         /* bit -64 */
    ROW("\x44\x0f\xab\x17", PT_WRITE_BTS, TABLE + 0x14, 4, 4),  /* bit 100 of longs */
    ROW("\x66\x44\x0f\xab\x0f", PT_WRITE_BTS, TABLE, 2, 0),     /* bit -64 of words */
    /* stos */
    ROW("\x48\xab", PT_WRITE_STOS, TABLE + 8, 8, 0x8000000012345067),
    ROW("\xf3\x48\xab", PT_WRITE_STOS, TABLE + 8, 8, 0x8000000012345067),
    ROW("\x65\xaa", PT_WRITE_STOS, TABLE + 8, 1, 0x67),
    ROW("\x67\xab", PT_WRITE_STOS, (u32)(TABLE + 8), 4, 0x12345067),
};

static void check_good(const struct decoded *row) {
    struct regs regs = usual_regs();
    struct pt_write w;

    assert_int_equal(decode(row->bytes, row->len, &regs, &w), 0);
    assert_int_equal(w.kind, row->kind);
    assert_int_equal(w.addr, row->addr);
    assert_int_equal(w.width, row->width);
    assert_int_equal(w.operand, row->operand);
    assert_int_equal(w.insn_len, row->len);
    for (size_t len = 0; len < row->len; len++)
        assert_int_equal(decode(row->bytes, len, &regs, &w), -E2BIG);
}

static void decodes(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(good); i++)
        check_good(&good[i]);
}

static const struct {
    const char *bytes;
    size_t len;
} bad[] = {
    {"\x48\x89\xc7", 3},                                                      /* mov to a register */
    {"\xf0\x48\x89\x07", 4},                                                  /* lock mov */
    {"\x48\x8b\x07", 3},                                                      /* a read */
    {"\x48\x3b\x07", 3},                                                      /* cmp */
    {"\x48\x83\x3f\x01", 4},                                                  /* cmp */
    {"\x48\x83\x17\x01", 4},                                                  /* adc */
    {"\x48\x0f\xc7\x0f", 4},                                                  /* cmpxchg16b */
    {"\x0f\xc7\x0f", 3},                                                      /* cmpxchg8b */
    {"\x48\xc7\x0f\x00\x00\x00\x00", 7},                                      /* mov group with reg 1 */
    {"\x48\x0f\xba\x27\x01", 5},                                              /* bt */
    {"\x48\xa5", 2},                                                          /* movs */
    {"\x0f\x11\x07", 3},                                                      /* movups */
    {"\x66\x0f\xc3\x07", 4},                                                  /* movnti of 2 bytes */
    {"\xf3\x48\x89\x07", 4},                                                  /* rep mov */
    {"\xf2\xf0\x48\x87\x07", 5},                                              /* xacquire */
    {"\x48\x89\x47\x04", 4},                                                  /* crosses the entry */
    {"\x66\x89\x47\x07", 4},                                                  /* crosses the entry */
    {"\xc4\xe1\xf8\x29\x07", 5},                                              /* vmovaps */
    {"\x62\xf1\xfd\x48\x29\x07", 6},                                          /* evex */
    {"\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x48\x89\x07", 16}, /* too long */
    {"\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66", 15},
    {"\x36\x36\x36\x36\x36\x36\x36\x36\x36\x48\xc7\x07\x67\x00\x00\x80", 16},
};

static void refuses(void **state) {
    struct regs regs = usual_regs();
    struct pt_write w;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(decode(bad[i].bytes, bad[i].len, &regs, &w), -EINVAL);
    regs.rcx = 0;
    assert_int_equal(decode("\xf3\x48\xab", 3, &regs, &w), -EINVAL);
}

/* Decodes on RDI = the entry's address, applies, and checks that computing without committing tells the same. */
static bool apply(const char *bytes, size_t len, u64 old, u64 *new, struct regs *regs) {
    struct regs before = *regs;
    struct pt_write w;
    u64 computed;
    bool first, second;

    assert_int_equal(decode(bytes, len, regs, &w), 0);
    first = emul_apply_pt_write(&w, old, &computed, NULL);
    assert_memory_equal(regs, &before, sizeof(before));
    second = emul_apply_pt_write(&w, old, new, regs);
    assert_int_equal(computed, *new);
    assert_int_equal(first, second);
    return first;
}

static void partial_widths_merge(void **state) {
    struct regs regs = usual_regs();
    u64 new;

    (void)state;
    regs.rdi = TABLE + 12;
    assert_true(apply("\x89\x07", 2, CANARY, &new, &regs));
    assert_int_equal(new, 0x1234506755667788);
    assert_int_equal(regs.rip, RIP + 2);
    regs.rdi = TABLE + 15;
    apply("\x88\x07", 2, CANARY, &new, &regs);
    assert_int_equal(new, 0x6722334455667788);
    regs.rdi = TABLE + 2;
    apply("\x66\x89\x07", 3, CANARY, &new, &regs);
    assert_int_equal(new, 0x1122334450677788);
}

static void exchange_gives_the_old_value(void **state) {
    struct regs regs = usual_regs();
    u64 new;

    (void)state;
    regs.rflags |= RFLAGS_RF | RFLAGS_CF;
    apply("\x48\x87\x07", 3, CANARY, &new, &regs);
    assert_int_equal(new, 0x8000000012345067);
    assert_int_equal(regs.rax, CANARY);
    assert_int_equal(regs.rflags, 0x203);
    apply("\x87\x37", 2, CANARY, &new, &regs); /* esi: upper half cleared */
    assert_int_equal(regs.rsi, 0x55667788);
    apply("\x66\x87\x0f", 3, CANARY, &new, &regs);
    assert_int_equal(regs.rcx, 0xaaaabbbbcccc7788);
    apply("\x86\x2f", 2, CANARY, &new, &regs); /* ch */
    assert_int_equal(regs.rcx, 0xaaaabbbbcccc8888);
    assert_int_equal(new, 0x1122334455667777);
    apply("\x86\x0f", 2, CANARY + 1, &new, &regs);
    assert_int_equal(regs.rcx, 0xaaaabbbbcccc8889);
}

static void compare_exchange(void **state) {
    struct regs regs = usual_regs();
    u64 new;

    (void)state;
    regs.rax = CANARY;
    assert_true(apply("\xf0\x4c\x0f\xb1\x07", 5, CANARY, &new, &regs));
    assert_int_equal(new, 0x80000000000001e3);
    assert_true(regs.rflags & 0x40);
    assert_int_equal(regs.rax, CANARY);
    assert_false(apply("\xf0\x4c\x0f\xb1\x07", 5, CANARY + 1, &new, &regs));
    assert_int_equal(new, CANARY + 1);
    assert_false(regs.rflags & 0x40);
    assert_int_equal(regs.rax, CANARY + 1);
    assert_int_equal(regs.rip, RIP + 10);
    assert_false(apply("\x44\x0f\xb1\x07", 4, 0xf00000000, &new, &regs)); /* 4 bytes that fail clear RAX above */
    assert_int_equal(regs.rax, 0);
}

static void stos_steps(void **state) {
    struct regs regs = usual_regs();
    u64 new;

    (void)state;
    apply("\x48\xab", 2, CANARY, &new, &regs);
    assert_int_equal(regs.rdi, TABLE + 16);
    assert_int_equal(regs.rip, RIP + 2);
    regs.rcx = 2;
    regs.rflags |= RFLAGS_DF;
    apply("\xf3\x48\xab", 3, CANARY, &new, &regs);
    assert_int_equal(regs.rdi, TABLE + 8);
    assert_int_equal(regs.rcx, 1);
    assert_int_equal(regs.rip, RIP + 2);
    apply("\xf3\x48\xab", 3, CANARY, &new, &regs);
    assert_int_equal(regs.rcx, 0);
    assert_int_equal(regs.rip, RIP + 5);
}

/* --- against the CPU --- */

#define FLAGS 0x8d5ul
/* The stack is used below the red zone. */
#define NATIVE(insn, type)                                                                                             \
    __asm__ volatile("leaq -128(%%rsp), %%rsp; pushq %[before]; popfq; " insn                                          \
                     "; pushfq; popq %[flags]; leaq 128(%%rsp), %%rsp"                                                 \
                     : [m] "+m"(*(type *)mem), [r] "+&r"(operand), "+&a"(acc), [flags] "=&r"(flags)                    \
                     : [before] "r"(before)                                                                            \
                     : "cc", "memory")

enum { NR_NATIVE = 26 };

/* Executes row n on *mem, which is no local variable here, with the operand in *reg (RDX to the decoder). */
static __attribute__((noinline)) u64 native(u32 n, u64 *mem, u64 *reg, u64 *acc_out, u64 before) {
    u64 flags = 0, acc = *acc_out, operand = *reg;

    switch (n) {
    case 0:
        NATIVE("addq %q[r], %[m]", u64);
        break;
    case 1:
        NATIVE("addl %k[r], %[m]", u32);
        break;
    case 2:
        NATIVE("addw %w[r], %[m]", u16);
        break;
    case 3:
        NATIVE("addb %b[r], %[m]", u8);
        break;
    case 4:
        NATIVE("subq %q[r], %[m]", u64);
        break;
    case 5:
        NATIVE("subl %k[r], %[m]", u32);
        break;
    case 6:
        NATIVE("subw %w[r], %[m]", u16);
        break;
    case 7:
        NATIVE("subb %b[r], %[m]", u8);
        break;
    case 8:
        NATIVE("orq %q[r], %[m]", u64);
        break;
    case 9:
        NATIVE("andl %k[r], %[m]", u32);
        break;
    case 10:
        NATIVE("xorw %w[r], %[m]", u16);
        break;
    case 11:
        NATIVE("andb %b[r], %[m]", u8);
        break;
    case 12:
        NATIVE("xaddq %q[r], %[m]", u64);
        break;
    case 13:
        NATIVE("xaddl %k[r], %[m]", u32);
        break;
    case 14:
        NATIVE("xaddw %w[r], %[m]", u16);
        break;
    case 15:
        NATIVE("xaddb %b[r], %[m]", u8);
        break;
    case 16:
        NATIVE("cmpxchgq %q[r], %[m]", u64);
        break;
    case 17:
        NATIVE("cmpxchgl %k[r], %[m]", u32);
        break;
    case 18:
        NATIVE("cmpxchgw %w[r], %[m]", u16);
        break;
    case 19:
        NATIVE("cmpxchgb %b[r], %[m]", u8);
        break;
    case 20:
        NATIVE("xchgq %q[r], %[m]", u64);
        break;
    case 21:
        NATIVE("xchgl %k[r], %[m]", u32);
        break;
    case 22:
        NATIVE("andq $-3, %[m]", u64);
        break;
    case 23:
        NATIVE("orb $0x20, %[m]", u8);
        break;
    case 24:
        NATIVE("btrq $1, %[m]", u64);
        break;
    case 25:
        NATIVE("btsl $31, %[m]", u32);
        break;
    default:
        break;
    }
    *reg = operand;
    *acc_out = acc;
    return flags;
}

static const struct {
    const char *bytes;
    size_t len;
} same_as_native[NR_NATIVE] = {
    {"\x48\x01\x17", 3},         {"\x01\x17", 2},         {"\x66\x01\x17", 3},     {"\x00\x17", 2},
    {"\x48\x29\x17", 3},         {"\x29\x17", 2},         {"\x66\x29\x17", 3},     {"\x28\x17", 2},
    {"\x48\x09\x17", 3},         {"\x21\x17", 2},         {"\x66\x31\x17", 3},     {"\x20\x17", 2},
    {"\x48\x0f\xc1\x17", 4},     {"\x0f\xc1\x17", 3},     {"\x66\x0f\xc1\x17", 4}, {"\x0f\xc0\x17", 3},
    {"\x48\x0f\xb1\x17", 4},     {"\x0f\xb1\x17", 3},     {"\x66\x0f\xb1\x17", 4}, {"\x0f\xb0\x17", 3},
    {"\x48\x87\x17", 3},         {"\x87\x17", 2},         {"\x48\x83\x27\xfd", 4}, {"\x80\x0f\x20", 3},
    {"\x48\x0f\xba\x37\x01", 5}, {"\x0f\xba\x2f\x1f", 4},
};

/* Corner values often, and equal ones often enough for CMPXCHG. */
static u64 some_value(void) {
    static const u64 corners[] = {0,          1,          0x7f,       0x80,       0xff,  0x7fff,    0x8000,
                                  0x7fffffff, 0x80000000, 0xffffffff, 1ull << 63, ~0ull, ~0ull >> 1};
    u64 r = (u64)rand() << 42 ^ (u64)rand() << 21 ^ (u64)rand();

    return r % 3 ? corners[r / 3 % ARRAY_SIZE(corners)] : r;
}

/* AF after a logical operation is undefined, so are all flags but CF after a bit operation. */
static u64 defined_flags(u32 n) {
    if (n >= 24)
        return 1;
    return (n >= 8 && n <= 11) || n == 22 || n == 23 ? FLAGS & ~0x10ul : FLAGS;
}

static void agrees_with_the_cpu(void **state) {
    (void)state;
    srand(1);
    for (u32 i = 0; i < NR_NATIVE * 2000; i++) {
        u64 old = some_value(), operand = some_value(), acc = some_value(), before = 0x202 | (rand() & 0x8d5);
        u64 mem = old, reg = operand, new, n = i % NR_NATIVE;
        struct regs regs = {.rax = acc, .rdx = operand, .rdi = TABLE, .rip = RIP, .rflags = before};
        u64 flags = native(n, &mem, &reg, &acc, before);

        apply(same_as_native[n].bytes, same_as_native[n].len, old, &new, &regs);
        assert_int_equal(new, mem);
        assert_int_equal(regs.rdx, reg);
        assert_int_equal(regs.rax, acc);
        assert_int_equal(regs.rflags & defined_flags(n), flags & defined_flags(n));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decodes),
        cmocka_unit_test(refuses),
        cmocka_unit_test(partial_widths_merge),
        cmocka_unit_test(exchange_gives_the_old_value),
        cmocka_unit_test(compare_exchange),
        cmocka_unit_test(stos_steps),
        cmocka_unit_test(agrees_with_the_cpu),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
