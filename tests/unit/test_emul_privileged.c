// sources: hypervisor/emul/insn.c hypervisor/emul/privileged.c hypervisor/emul/groups.c hypervisor/emul/ports.c
// SPDX-License-Identifier: MIT
/*
 * Privileged instructions against a vCPU made of a log: what each byte sequence asks of the callbacks, in which modes
 * it is refused, and how it ends.
 */
#include "emul_vcpu.h"

/* Of the kernel alone. */
static const struct row kernel_only[] = {
    ROW("\x0f\x20\xc0", "rcr0 ", 0x8005003b, 0xffffffff00000001, 0xffffffff00000080),
    ROW("\x0f\x20\x11", "rcr2 ", 0xffffffff00000011, 0xc2, 0xffffffff00000080) /* see below: mod is not 3 */,
    ROW("\x0f\x20\xda", "rcr3 ", 0xffffffff00000011, 0xffffffff00000001, 0xc3),
    ROW("\x0f\x22\xd8", "wcr3=ffffffff00000011 ", SAME),
    ROW("\x41\x0f\x22\xe0", "wcr4=88 ", SAME),
    ROW("\x0f\x21\xf8", "rdr7 ", 0xd7, 0xffffffff00000001, 0xffffffff00000080),
    ROW("\x0f\x21\xe8", "rdr7 ", 0xd7, 0xffffffff00000001, 0xffffffff00000080),
    ROW("\x41\x0f\x23\xc0", "wdr0=88 ", SAME),
    ROW("\x0f\x23\xe0", "wdr6=ffffffff00000011 ", SAME),
    ROW("\x0f\x06", "rcr0 wcr0=80050033 ", SAME),
    ROW("\x0f\x32", "rmsr1 ", 0x55667788, 0xffffffff00000001, 0x11223344),
    ROW("\x0f\x30", "wmsr1=8000000011 ", SAME),
    ROW("\x0f\x01\xd1", "xcr1=8000000011 ", SAME),
    ROW("\x0f\x01\x3b", "invlpg10000 ", SAME),
    ROW("\x65\x0f\x01\x7b\x10", "invlpg10090 ", SAME),
    ROW("\x0f\x01\x3d\x01\x00\x00\x00", "invlpgffffffff81000008 ", SAME),
    ROW("\x0f\x01\xf0", "rcr0 wcr0=80050031 ", SAME), /* lmsw 0x11: MP, EM and TS follow, PE stays */
};

/* Of user code too. */
static const struct row any_mode[] = {
    ROW("\x0f\x31", "", 0x9abcdef0, 0xffffffff00000001, 0x12345678),
    ROW("\x0f\x01\xf9", "", 0x9abcdef0, 7, 0x12345678),
    ROW("\x0f\xa2", "cpuid11.1 ", 0x10, 0x12, 0x13),
    ROW("\x0f\x01\xe0", "rcr0 ", 0x8005003b, 0xffffffff00000001, 0xffffffff00000080), /* smsw */
    ROW("\x66\x0f\x01\xe0", "rcr0 ", 0xffffffff0000003b, 0xffffffff00000001, 0xffffffff00000080),
    ROW("\x0f\x01\x23", "rcr0 ", SAME),
    ROW("\x0f\x00\xc0", "", 0, 0xffffffff00000001, 0xffffffff00000080), /* sldt */
    ROW("\x0f\x00\xc9", "", 0xffffffff00000011, 0, 0xffffffff00000080), /* str */
    ROW("\x0f\x01\x03", "", SAME),                                      /* sgdt */
    ROW("\x0f\x01\x0b", "", SAME),                                      /* sidt */
    ROW("\xe4\x80", "in80/1 ", 0xffffffff000000d4, 0xffffffff00000001, 0xffffffff00000080),
    ROW("\xec", "in80/1 ", 0xffffffff000000d4, 0xffffffff00000001, 0xffffffff00000080),
    ROW("\xe6\x80", "out80/1=11 ", SAME),
    ROW("\xee", "out80/1=11 ", SAME),
};

static void kernel_instructions(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(kernel_only); i++) {
        const struct row *row = &kernel_only[i];

        prepare(row->bytes, row->len);
        if (i == 1) { /* MOV from CR2 with a memory form */
            check_unhandled();
            continue;
        }
        check_done(row);
        prepare(row->bytes, row->len);
        ctx.kernel_mode = false;
        check_unhandled();
        prepare(row->bytes, row->len);
        refuse = true;
        assert_int_equal(emul_privileged(&ctx), EMUL_FAULT);
        assert_int_equal(ctx.fault.vector, VEC_GP);
        assert_int_equal(ctx.fault.error_code, 0);
        assert_int_equal(regs.rip, RIP);
    }
}

static void user_instructions(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(any_mode); i++) {
        prepare(any_mode[i].bytes, any_mode[i].len);
        check_done(&any_mode[i]);
        prepare(any_mode[i].bytes, any_mode[i].len);
        ctx.kernel_mode = false;
        check_done(&any_mode[i]);
    }
    PREPARE("\x0f\x31");
    ctx.kernel_mode = false;
    ctx.cr4 = 4; /* TSD */
    check_unhandled();
}

static const struct {
    const char *bytes;
    size_t len;
} never[] = {
    {"\xf4", 1},                                                              /* hlt */
    {"\x48\xcf", 2},                                                          /* iretq */
    {"\x0f\x01\xf8", 3},                                                      /* swapgs */
    {"\x48\x0f\x07", 3},                                                      /* sysret */
    {"\x48\x0f\x35", 3},                                                      /* sysexit */
    {"\x0f\x33", 2},                                                          /* rdpmc */
    {"\x0f\x08", 2},                                                          /* invd */
    {"\x0f\x01\x13", 3},                                                      /* lgdt */
    {"\x0f\x01\x1b", 3},                                                      /* lidt */
    {"\x0f\x00\xd0", 3},                                                      /* lldt */
    {"\x0f\x00\xd8", 3},                                                      /* ltr */
    {"\x44\x0f\x20\xc0", 4},                                                  /* mov from cr8 */
    {"\x44\x0f\x22\xc0", 4},                                                  /* mov to cr8 */
    {"\x0f\x20\xc8", 3},                                                      /* mov from cr1 */
    {"\xf0\x0f\x20\xc0", 4},                                                  /* lock mov from cr0: cr8 on AMD */
    {"\x66\x0f\x38\x82\x00", 5},                                              /* invpcid */
    {"\xf0\xec", 2},                                                          /* lock in */
    {"\xcd\x80", 2},                                                          /* int */
    {"\x48\x89\x07", 3},                                                      /* mov */
    {"\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\xec", 16}, /* too long */
};

static void not_emulated(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(never); i++) {
        prepare(never[i].bytes, never[i].len);
        ctx.iopl = 3;
        check_unhandled();
    }
}

static void debug_registers(void **state) {
    (void)state;
    PREPARE("\x0f\x21\xe0");
    ctx.cr4 = 8; /* DE: DR4 is gone */
    assert_int_equal(emul_privileged(&ctx), EMUL_FAULT);
    assert_int_equal(ctx.fault.vector, VEC_UD);
    PREPARE("\x44\x0f\x21\xc0"); /* DR8 */
    assert_int_equal(emul_privileged(&ctx), EMUL_FAULT);
    assert_int_equal(ctx.fault.vector, VEC_UD);
}

static void missing_callbacks(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(kernel_only); i++) {
        enum emul_result res;

        prepare(kernel_only[i].bytes, kernel_only[i].len);
        ctx.ops = &no_ops;
        res = emul_privileged(&ctx);
        assert_true(res == EMUL_FAULT || res == EMUL_UNHANDLED);
    }
    for (size_t i = 0; i < ARRAY_SIZE(any_mode); i++) {
        prepare(any_mode[i].bytes, any_mode[i].len);
        ctx.ops = &no_ops;
        assert_in_range(emul_privileged(&ctx), 0, EMUL_UNHANDLED);
    }
}

static void fetch_goes_page_by_page(void **state) {
    (void)state;
    PREPARE("\x0f\x20\xc0");
    code_page = 0;
    assert_int_equal(emul_privileged(&ctx), EMUL_FAULT);
    assert_int_equal(ctx.fault.cr2, RIP);
    assert_int_equal(ctx.fault.error_code, PF_FETCH);
}

/* Code at the end of a page; the next page comes only when it is needed. */
static u64 page_calls[4], nr_page_calls;

static bool fetch_page(void *arg, u64 va, void *buf, size_t len, struct emul_fault *fault) {
    (void)arg;
    (void)fault;
    assert_true(nr_page_calls < 4 && len <= EMUL_MAX_INSN);
    page_calls[nr_page_calls++] = va;
    memset(buf, 0xcc, len);
    if (nr_page_calls == 1) {
        assert_int_equal(len, 2);
        memcpy(buf, code, 2);
    } else {
        memcpy(buf, code + 2, MIN(len, (size_t)13));
    }
    return true;
}

static void fetch_across_pages(void **state) {
    struct emul_ops across = ops;

    (void)state;
    across.fetch = fetch_page;
    PREPARE("\x0f\x20\xc0");
    regs.rip = 0x1ffe;
    ctx.ops = &across;
    nr_page_calls = 0;
    assert_int_equal(emul_privileged(&ctx), EMUL_DONE);
    assert_int_equal(regs.rip, 0x2001);
    assert_int_equal(nr_page_calls, 2);
    assert_int_equal(page_calls[0], 0x1ffe);
    assert_int_equal(page_calls[1], 0x2000);
    PREPARE("\x0f\x31");
    regs.rip = 0x1ffe;
    ctx.ops = &across;
    nr_page_calls = 0;
    assert_int_equal(emul_privileged(&ctx), EMUL_DONE);
    assert_int_equal(nr_page_calls, 1);
}

static bool preempted;

static bool was_preempted(void *arg) {
    (void)arg;
    return preempted;
}

/* A table that takes long to validate: the instruction is executed again, and faults only if it is refused. */
static void mov_cr3_preempted(void **state) {
    struct emul_ops slow = ops;
    u64 rip;

    (void)state;
    slow.was_preempted = was_preempted;
    for (int i = 0; i < 2; i++) {
        PREPARE("\x0f\x22\xd8");
        rip = regs.rip;
        ctx.ops = &slow;
        refuse = true;
        preempted = !i;
        assert_int_equal(emul_privileged(&ctx), preempted ? EMUL_RETRY : EMUL_FAULT);
        assert_int_equal(regs.rip, rip);
    }
    refuse = false;
    PREPARE("\x0f\x20\xd8"); /* a read is never */
    ctx.ops = &slow;
    preempted = refuse = true;
    assert_int_equal(emul_privileged(&ctx), EMUL_FAULT);
    refuse = false;
}

/* Starts bytes at the end of a page below 4 GiB, with no more of a vCPU than its code. */
static void prepare_small_code(const char *bytes, u8 code_bits) {
    static const struct emul_ops code_only = {.fetch = fetch_page};

    prepare(bytes, 3);
    ctx.ops = &code_only;
    ctx.code_bits = code_bits;
    ctx.iopl = 3;
    regs.rip = 0xffe;
    nr_page_calls = 0;
}

static void code_of_32_and_16_bits(void **state) {
    (void)state;
    prepare_small_code("\xe5\x60\x90", 32);
    ctx.code_base = 0x1000;
    ctx.kernel_mode = false;
    regs.rip = 0xfffffffe; /* base and EIP are added in 32 bits, and EIP wraps */
    assert_int_equal(emul_privileged(&ctx), EMUL_DONE);
    assert_int_equal(page_calls[0], 0xffe);
    assert_int_equal(regs.rip, 0);
    assert_int_equal(regs.rax, 0xffffffff);
    prepare_small_code("\xed\x90\x90", 16);
    assert_int_equal(emul_privileged(&ctx), EMUL_DONE);
    assert_int_equal(regs.rax, 0xffffffff0000ffff);
    prepare_small_code("\x40\xed\x90", 32); /* inc, no REX */
    check_unhandled();
    prepare_small_code("\x6e\x90\x90", 32); /* strings */
    check_unhandled();
    prepare_small_code("\x0f\x20\xc0", 32); /* kernels have 64-bit code */
    check_unhandled();
    prepare_small_code("\x0f\x01\x03", 32); /* sgdt to memory */
    check_unhandled();
}

static void tables_told_are_constants(void **state) {
    (void)state;
    PREPARE("\x0f\x01\x43\x08");
    memset(data, 0xff, sizeof(data));
    assert_int_equal(emul_privileged(&ctx), EMUL_DONE);
    assert_memory_equal(data + 8, "\0\0\0\0\0\0\0\0\0\0\xff", 11);
    PREPARE("\x0f\x00\x0b");
    memset(data, 0xff, sizeof(data));
    assert_int_equal(emul_privileged(&ctx), EMUL_DONE);
    assert_memory_equal(data, "\0\0\xff", 3);
    PREPARE("\x0f\x01\x33"); /* lmsw from memory */
    data[0] = 0xff;
    assert_int_equal(emul_privileged(&ctx), EMUL_DONE);
    assert_string_equal(trace, "rcr0 wcr0=8005003f ");
    PREPARE("\x0f\x01\x33");
    data[0] = 0; /* protected mode can't be left this way */
    assert_int_equal(emul_privileged(&ctx), EMUL_DONE);
    assert_string_equal(trace, "rcr0 wcr0=80050031 ");
    PREPARE("\x0f\x01\x33");
    data_end = DATA;
    assert_int_equal(emul_privileged(&ctx), EMUL_FAULT);
    assert_int_equal(ctx.fault.vector, VEC_PF);
}

static void forced_emulation(void **state) {
    (void)state;
    PREPARE("\x0f\x0bxen\x0f\xa2");
    assert_int_equal(emul_invalid_opcode(&ctx), EMUL_DONE);
    assert_int_equal(regs.rip, RIP + 7);
    assert_int_equal(regs.rax, 0x10);
    assert_int_equal(regs.rbx, 0x11);
    assert_string_equal(trace, "cpuid11.1 ");
    PREPARE("\x0f\x0bxen\x0f\xa2");
    ctx.kernel_mode = false;
    regs.rflags |= RFLAGS_TF;
    assert_int_equal(emul_invalid_opcode(&ctx), EMUL_SINGLE_STEP);
    PREPARE("\x0f\x0bxen\x0f\x31");
    assert_int_equal(emul_invalid_opcode(&ctx), EMUL_UNHANDLED);
    assert_int_equal(regs.rip, RIP);
    PREPARE("\x0f\x0bxem\x0f\xa2");
    assert_int_equal(emul_invalid_opcode(&ctx), EMUL_UNHANDLED);
    PREPARE("\x0f\x0b");
    assert_int_equal(emul_invalid_opcode(&ctx), EMUL_UNHANDLED);
    PREPARE("\x0f\x0bxen\x0f\xa2");
    code_page = 0;
    assert_int_equal(emul_invalid_opcode(&ctx), EMUL_FAULT);
    PREPARE("\x0f\x0bxen\x0f\xa2");
    assert_int_equal(emul_privileged(&ctx), EMUL_UNHANDLED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kernel_instructions),    cmocka_unit_test(user_instructions),
        cmocka_unit_test(not_emulated),           cmocka_unit_test(debug_registers),
        cmocka_unit_test(missing_callbacks),      cmocka_unit_test(fetch_goes_page_by_page),
        cmocka_unit_test(fetch_across_pages),     cmocka_unit_test(mov_cr3_preempted),
        cmocka_unit_test(code_of_32_and_16_bits), cmocka_unit_test(tables_told_are_constants),
        cmocka_unit_test(forced_emulation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
