// sources: hypervisor/emul/insn.c hypervisor/emul/privileged.c hypervisor/emul/groups.c hypervisor/emul/ports.c
// SPDX-License-Identifier: MIT
/*
 * Port instructions: who may use which port, strings that repeat, fault and single-step, and the ports of nobody.
 */
#include "emul_vcpu.h"

/* With the I/O privilege. */
static const struct row privileged_io[] = {
    ROW("\xed", "in80/4 ", 0xa1b2c3d4, 0xffffffff00000001, 0xffffffff00000080),
    ROW("\x48\xed", "in80/4 ", 0xa1b2c3d4, 0xffffffff00000001, 0xffffffff00000080),
    ROW("\x66\xed", "in80/2 ", 0xffffffff0000c3d4, 0xffffffff00000001, 0xffffffff00000080),
    ROW("\xe5\x60", "in60/4 ", 0xa1b2c3d4, 0xffffffff00000001, 0xffffffff00000080),
    ROW("\xef", "out80/4=11 ", SAME),
    ROW("\x66\xe7\x70", "out70/2=11 ", SAME),
    ROW("\xfa", "", SAME),
    ROW("\xfb", "", SAME),
    ROW("\x6c", "in80/1 ", SAME),
    ROW("\x6f", "out80/4=0 ", SAME),
    ROW("\x0f\x09", "wbinvd ", SAME) /* not I/O, but like these without a refusal */,
};

static void io_needs_the_privilege(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(privileged_io); i++) {
        const struct row *row = &privileged_io[i];
        bool wbinvd = i + 1 == ARRAY_SIZE(privileged_io);

        prepare(row->bytes, row->len);
        check_done(row);
        prepare(row->bytes, row->len);
        ctx.iopl = 0;
        ctx.architectural_iopl = true;
        check_done(row);
        prepare(row->bytes, row->len);
        ctx.iopl = 3;
        ctx.kernel_mode = wbinvd;
        check_done(row);
        prepare(row->bytes, row->len);
        ctx.iopl = 2;
        ctx.kernel_mode = false;
        if (row->bytes[0] != 0x6c) /* which the bitmap allows */
            check_unhandled();
        prepare(row->bytes, row->len);
        ctx.iopl = 0;
        if (!wbinvd && row->bytes[0] != 0x6c)
            check_unhandled();
    }
}

/* The bitmap lets port 0x80 by bytes only; a port range does not wrap. */
static void io_bitmap(void **state) {
    (void)state;
    PREPARE("\xe4\x81");
    ctx.iopl = 0;
    check_unhandled();
    PREPARE("\xed");
    ctx.iopl = 0;
    check_unhandled();
    PREPARE("\xed");
    regs.rdx = 0xffff;
    check_unhandled();
    PREPARE("\xec");
    regs.rdx = 0xffff;
    assert_int_equal(emul_privileged(&ctx), EMUL_DONE);
}

static void single_step(void **state) {
    (void)state;
    PREPARE("\xec");
    regs.rflags |= RFLAGS_TF;
    assert_int_equal(emul_privileged(&ctx), EMUL_SINGLE_STEP);
    assert_int_equal(regs.rip, RIP + 1);
    PREPARE("\xf3\x6e");
    regs.rflags |= RFLAGS_TF;
    regs.rcx = 2;
    assert_int_equal(emul_privileged(&ctx), EMUL_SINGLE_STEP);
    assert_int_equal(regs.rip, RIP);
    assert_int_equal(regs.rcx, 1);
    memset(fetched, 0, sizeof(fetched));
    assert_int_equal(emul_privileged(&ctx), EMUL_SINGLE_STEP);
    assert_int_equal(regs.rip, RIP + 2);
}

static void strings(void **state) {
    (void)state;
    PREPARE("\xf3\x66\x6d"); /* rep insw */
    regs.rcx = 3;
    assert_int_equal(emul_privileged(&ctx), EMUL_DONE);
    assert_string_equal(trace, "in80/2 in80/2 in80/2 ");
    assert_memory_equal(data, "\xd4\xc3\xd4\xc3\xd4\xc3\0", 7);
    assert_int_equal(regs.rdi, DATA + 6);
    assert_int_equal(regs.rcx, 0);
    PREPARE("\x64\x6e"); /* outsb %fs: */
    data[0x40] = 0x99;
    assert_int_equal(emul_privileged(&ctx), EMUL_DONE);
    assert_string_equal(trace, "out80/1=99 ");
    PREPARE("\x6f");
    regs.rflags |= RFLAGS_DF;
    assert_int_equal(emul_privileged(&ctx), EMUL_DONE);
    assert_int_equal(regs.rsi, DATA - 4);
    PREPARE("\x67\xf3\x6e"); /* 32-bit RSI and RCX */
    regs.rsi |= 0x500000000;
    regs.rcx = 0x500000001;
    assert_int_equal(emul_privileged(&ctx), EMUL_DONE);
    assert_int_equal(regs.rsi, DATA + 1);
    assert_int_equal(regs.rcx, 0);
    PREPARE("\xf3\x6e");
    regs.rcx = 0;
    assert_int_equal(emul_privileged(&ctx), EMUL_DONE);
    assert_string_equal(trace, "");
}

static void long_strings_come_in_pieces(void **state) {
    u32 calls = 1;

    (void)state;
    PREPARE("\xf3\x6c");
    regs.rcx = 3 * EMUL_MAX_STRING;
    for (; emul_privileged(&ctx) == EMUL_RETRY; calls++) {
        assert_int_equal(regs.rip, RIP);
        assert_int_equal(regs.rcx, (3 - calls) * EMUL_MAX_STRING);
        memset(fetched, 0, sizeof(fetched));
        trace[0] = 0;
    }
    assert_int_equal(calls, 3);
    assert_int_equal(regs.rip, RIP + 2);
    assert_int_equal(regs.rdi, DATA + 3 * EMUL_MAX_STRING);
}

static void strings_fault_where_they_are(void **state) {
    (void)state;
    PREPARE("\xf3\x6d");
    regs.rcx = 5;
    data_end = DATA + 10;
    assert_int_equal(emul_privileged(&ctx), EMUL_FAULT);
    assert_int_equal(ctx.fault.vector, VEC_PF);
    assert_int_equal(ctx.fault.cr2, DATA + 8);
    assert_int_equal(ctx.fault.error_code, PF_WRITE);
    assert_string_equal(trace, "in80/4 in80/4 "); /* no third datum is lost */
    assert_int_equal(regs.rcx, 3);
    assert_int_equal(regs.rdi, DATA + 8);
    assert_int_equal(regs.rip, RIP);
}

static void ports_of_nobody(void **state) {
    (void)state;
    assert_int_equal(emul_port_read(0x60, 1), 0xff);
    assert_int_equal(emul_port_read(0x1f0, 2), 0xffff);
    assert_int_equal(emul_port_read(0xcfc, 4), 0xffffffff);
    assert_int_equal(emul_port_read(0x42, 1), 0);
    assert_int_equal(emul_port_read(0x61, 1), 0x20);
    PREPARE("\xed");
    ctx.ops = &no_ops;
    regs.rdx = 0xcf8;
    assert_int_equal(emul_privileged(&ctx), EMUL_DONE);
    assert_int_equal(regs.rax, 0xffffffff);
    PREPARE("\xef");
    ctx.ops = &no_ops;
    assert_int_equal(emul_privileged(&ctx), EMUL_DONE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(io_needs_the_privilege),
        cmocka_unit_test(io_bitmap),
        cmocka_unit_test(single_step),
        cmocka_unit_test(strings),
        cmocka_unit_test(long_strings_come_in_pieces),
        cmocka_unit_test(strings_fault_where_they_are),
        cmocka_unit_test(ports_of_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
