/* SPDX-License-Identifier: MIT */
/* The vCPU behind the emulator in its tests: registers, code, data, and a trace of what was asked of the callbacks. */
#ifndef EMUL_VCPU_H
#define EMUL_VCPU_H

#include <pv/emul.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define RIP 0xffffffff81000000ull
#define DATA 0x10000ull

static struct regs regs;
static struct emul_ctx ctx;
static u8 code[64];      /* at RIP */
static size_t code_page; /* bytes of code that are mapped */
static u8 data[512];     /* at DATA */
static u64 data_end;     /* the first data address that faults */
static char trace[4096];
static u32 fetched[64];
static bool refuse;

#define NOTE(...)                                                                                                      \
    do {                                                                                                               \
        size_t used = strlen(trace);                                                                                   \
        snprintf(trace + used, sizeof(trace) - used, __VA_ARGS__);                                                     \
    } while (0)

static bool op_fetch(void *arg, u64 va, void *buf, size_t len, struct emul_fault *fault) {
    u64 off = va - RIP;

    (void)arg;
    assert_int_equal(va >> 12, (va + len - 1) >> 12);
    if (off >= code_page) {
        *fault = (struct emul_fault){.vector = VEC_PF, .error_code = PF_FETCH, .cr2 = va};
        return false;
    }
    assert_true(off + len <= sizeof(code));
    for (size_t i = 0; i < len; i++)
        assert_int_equal(fetched[off + i]++, 0);
    memcpy(buf, code + off, len);
    return true;
}

static bool data_ok(u64 va, size_t len, bool write, struct emul_fault *fault) {
    if (va >= DATA && va + len <= data_end)
        return true;
    *fault = (struct emul_fault){.vector = VEC_PF, .error_code = write ? PF_WRITE : 0, .cr2 = va};
    return false;
}

static bool op_read_mem(void *arg, u64 va, void *buf, size_t len, struct emul_fault *fault) {
    (void)arg;
    if (!data_ok(va, len, false, fault))
        return false;
    memcpy(buf, data + (va - DATA), len);
    return true;
}

static bool op_write_mem(void *arg, u64 va, const void *buf, size_t len, struct emul_fault *fault) {
    (void)arg;
    if (!data_ok(va, len, true, fault))
        return false;
    memcpy(data + (va - DATA), buf, len);
    return true;
}

static bool op_check_write(void *arg, u64 va, size_t len, struct emul_fault *fault) {
    (void)arg;
    return data_ok(va, len, true, fault);
}

static u64 op_segment_base(void *arg, enum emul_segment seg) {
    (void)arg;
    return seg == EMUL_SEG_FS ? 0x40 : 0x80;
}

static bool op_read_cr(void *arg, u32 cr, u64 *val) {
    (void)arg;
    NOTE("rcr%u ", cr);
    *val = cr == 0 ? 0x8005003b : 0xc0 + cr;
    return !refuse;
}

static bool op_write_cr(void *arg, u32 cr, u64 val) {
    (void)arg;
    NOTE("wcr%u=%llx ", cr, (unsigned long long)val);
    return !refuse;
}

static bool op_read_dr(void *arg, u32 dr, u64 *val) {
    (void)arg;
    NOTE("rdr%u ", dr);
    *val = 0xd0 + dr;
    return !refuse;
}

static bool op_write_dr(void *arg, u32 dr, u64 val) {
    (void)arg;
    NOTE("wdr%u=%llx ", dr, (unsigned long long)val);
    return !refuse;
}

static bool op_read_msr(void *arg, u32 msr, u64 *val) {
    (void)arg;
    NOTE("rmsr%x ", msr);
    *val = 0x1122334455667788;
    return !refuse;
}

static bool op_write_msr(void *arg, u32 msr, u64 val) {
    (void)arg;
    NOTE("wmsr%x=%llx ", msr, (unsigned long long)val);
    return !refuse;
}

static bool op_write_xcr(void *arg, u32 xcr, u64 val) {
    (void)arg;
    NOTE("xcr%u=%llx ", xcr, (unsigned long long)val);
    return !refuse;
}

static u32 op_port_read(void *arg, u16 port, u32 size) {
    (void)arg;
    NOTE("in%x/%u ", port, size);
    return 0xa1b2c3d4;
}

static void op_port_write(void *arg, u16 port, u32 size, u32 val) {
    (void)arg;
    NOTE("out%x/%u=%x ", port, size, val);
}

static bool op_port_allowed(void *arg, u16 port, u32 size) {
    (void)arg;
    return port == 0x80 && size == 1;
}

static void op_cpuid(void *arg, u32 leaf, u32 sub, u32 out[4]) {
    (void)arg;
    NOTE("cpuid%x.%x ", leaf, sub);
    for (u32 i = 0; i < 4; i++)
        out[i] = 0x10 + i;
}

static u64 op_read_tsc(void *arg) {
    (void)arg;
    return 0x123456789abcdef0;
}

static u32 op_read_tsc_aux(void *arg) {
    (void)arg;
    return 7;
}

static bool op_invlpg(void *arg, u64 va) {
    (void)arg;
    NOTE("invlpg%llx ", (unsigned long long)va);
    return !refuse;
}

static void op_wbinvd(void *arg) {
    (void)arg;
    NOTE("wbinvd ");
}

static const struct emul_ops ops = {
    .fetch = op_fetch,
    .read_mem = op_read_mem,
    .write_mem = op_write_mem,
    .check_write = op_check_write,
    .segment_base = op_segment_base,
    .read_cr = op_read_cr,
    .write_cr = op_write_cr,
    .read_dr = op_read_dr,
    .write_dr = op_write_dr,
    .read_msr = op_read_msr,
    .write_msr = op_write_msr,
    .write_xcr = op_write_xcr,
    .port_read = op_port_read,
    .port_write = op_port_write,
    .port_allowed = op_port_allowed,
    .cpuid = op_cpuid,
    .read_tsc = op_read_tsc,
    .read_tsc_aux = op_read_tsc_aux,
    .invlpg = op_invlpg,
    .wbinvd = op_wbinvd,
};
static const struct emul_ops no_ops = {.fetch = op_fetch};

/* A 64-bit kernel with IOPL 1, about to execute these bytes. */
static void prepare(const char *bytes, size_t len) {
    memset(code, 0xcc, sizeof(code));
    memcpy(code, bytes, len);
    code_page = sizeof(code);
    memset(fetched, 0, sizeof(fetched));
    memset(data, 0, sizeof(data));
    data_end = DATA + sizeof(data);
    trace[0] = 0;
    refuse = false;
    regs = (struct regs){.rax = 0xffffffff00000011,
                         .rcx = 0xffffffff00000001,
                         .rdx = 0xffffffff00000080,
                         .rbx = DATA,
                         .rsi = DATA,
                         .rdi = DATA,
                         .r8 = 0x88,
                         .r15 = 0x15,
                         .rip = RIP,
                         .rflags = 0x10202};
    ctx = (struct emul_ctx){.regs = &regs, .ops = &ops, .kernel_mode = true, .code_bits = 64, .iopl = 1};
}

#define PREPARE(b) prepare(b, sizeof(b) - 1)

struct row {
    const char *bytes;
    size_t len;
    const char *trace;
    u64 rax, rcx, rdx;
};

#define ROW(b, t, ...)                                                                                                 \
    { b, sizeof(b) - 1, t, __VA_ARGS__ }
#define SAME 0xffffffff00000011, 0xffffffff00000001, 0xffffffff00000080

static void check_done(const struct row *row) {
    assert_int_equal(emul_privileged(&ctx), EMUL_DONE);
    assert_string_equal(trace, row->trace);
    assert_int_equal(regs.rax, row->rax);
    assert_int_equal(regs.rcx, row->rcx);
    assert_int_equal(regs.rdx, row->rdx);
    assert_int_equal(regs.rip, RIP + row->len);
    assert_int_equal(regs.rflags, 0x202);
}

static void check_unhandled(void) {
    struct regs before = regs;

    assert_int_equal(emul_privileged(&ctx), EMUL_UNHANDLED);
    assert_memory_equal(&regs, &before, sizeof(regs));
    assert_string_equal(trace, "");
}

#endif
