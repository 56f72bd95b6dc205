// sources: hypervisor/emul/insn.c hypervisor/emul/privileged.c hypervisor/emul/groups.c hypervisor/emul/ports.c
// sources: hypervisor/emul/ptwrite.c hypervisor/emul/cpuid.c hypervisor/emul/msr.c
// SPDX-License-Identifier: MIT
/*
 * Any bytes as a guest's instruction, any registers, any answers of the vCPU behind it: the decoders stay in bounds,
 * ask for each byte once, and keep what their header promises about RIP and registers.
 */
#include <pv/emul.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The rest of the input, which all callbacks draw from; zeroes after its end. */
static const u8 *rest;
static size_t rest_len;
static u64 code_rip, fetched;
static u32 fetch_calls, string_elements;

static void require(bool ok) {
    if (!ok)
        abort();
}

static void draw(void *buf, size_t len) {
    size_t n = MIN(len, rest_len);

    memset(buf, 0, len);
    if (!n)
        return;
    memcpy(buf, rest, n);
    rest += n;
    rest_len -= n;
}

static u64 draw_u64(void) {
    u64 v;

    draw(&v, sizeof(v));
    return v;
}

static u8 draw_u8(void) {
    u8 v;

    draw(&v, sizeof(v));
    return v;
}

static bool give_or_fault(void *buf, size_t len, struct emul_fault *fault) {
    if (draw_u8() == 0xff) {
        *fault = (struct emul_fault){.vector = VEC_PF};
        return false;
    }
    draw(buf, len);
    return true;
}

static bool op_fetch(void *arg, u64 va, void *buf, size_t len, struct emul_fault *fault) {
    const struct emul_ctx *ctx = arg;

    require(len >= 1 && len <= EMUL_MAX_INSN && va >> 12 == (va + len - 1) >> 12);
    if (ctx->code_bits == 64)
        require(va == code_rip + fetched);
    require(++fetch_calls <= 2);
    if (!give_or_fault(buf, len, fault))
        return false;
    fetched += len;
    require(fetched <= EMUL_MAX_INSN);
    return true;
}

static bool op_read_mem(void *arg, u64 va, void *buf, size_t len, struct emul_fault *fault) {
    (void)arg;
    (void)va;
    return give_or_fault(buf, len, fault);
}

static bool op_write_mem(void *arg, u64 va, const void *buf, size_t len, struct emul_fault *fault) {
    u8 copy[16];

    (void)arg;
    (void)va;
    require(len <= sizeof(copy));
    memcpy(copy, buf, len);
    return give_or_fault(copy, len, fault);
}

static bool op_check_write(void *arg, u64 va, size_t len, struct emul_fault *fault) {
    u8 byte;

    (void)arg;
    (void)va;
    (void)len;
    return give_or_fault(&byte, 1, fault);
}

static u64 op_segment_base(void *arg, enum emul_segment seg) {
    (void)arg;
    (void)seg;
    return draw_u64();
}

static bool op_read(void *arg, u32 n, u64 *val) {
    require(((const struct emul_ctx *)arg)->kernel_mode);
    (void)n;
    *val = draw_u64();
    return draw_u8() & 1;
}

/* CR0 is what SMSW tells, in any mode. */
static bool op_read_cr(void *arg, u32 n, u64 *val) {
    (void)arg;
    require(n == 0 || (n >= 2 && n <= 4));
    *val = draw_u64();
    return draw_u8() & 1;
}

static bool op_write(void *arg, u32 n, u64 val) {
    require(((const struct emul_ctx *)arg)->kernel_mode);
    (void)n;
    (void)val;
    return draw_u8() & 1;
}

static u32 op_port_read(void *arg, u16 port, u32 size) {
    (void)arg;
    require(++string_elements <= EMUL_MAX_STRING && port + size <= 0x10000);
    return draw_u64();
}

static void op_port_write(void *arg, u16 port, u32 size, u32 val) {
    (void)arg;
    require(++string_elements <= EMUL_MAX_STRING && port + size <= 0x10000);
    require(size == 4 || val >> (size * 8) == 0);
}

static bool op_port_allowed(void *arg, u16 port, u32 size) {
    (void)arg;
    (void)port;
    (void)size;
    return draw_u8() & 1;
}

static void host_cpuid(void *arg, u32 leaf, u32 sub, u32 out[4]) {
    (void)arg;
    (void)leaf;
    (void)sub;
    draw(out, 16);
}

static u64 op_read_tsc(void *arg) {
    (void)arg;
    return draw_u64();
}

static bool op_invlpg(void *arg, u64 va) {
    return op_write(arg, 0, va);
}

static const struct emul_ops ops = {
    .fetch = op_fetch,
    .read_mem = op_read_mem,
    .write_mem = op_write_mem,
    .check_write = op_check_write,
    .segment_base = op_segment_base,
    .read_cr = op_read_cr,
    .write_cr = op_write,
    .read_dr = op_read,
    .write_dr = op_write,
    .read_msr = op_read,
    .write_msr = op_write,
    .write_xcr = op_write,
    .port_read = op_port_read,
    .port_write = op_port_write,
    .port_allowed = op_port_allowed,
    .cpuid = host_cpuid,
    .read_tsc = op_read_tsc,
    .invlpg = op_invlpg,
};

static void fuzz_privileged(bool invalid_opcode) {
    static const u8 bits[] = {64, 64, 32, 16};
    struct regs regs, before;
    struct emul_ctx ctx = {.regs = &regs, .ops = &ops};
    enum emul_result res;
    u8 mode = draw_u8();

    draw(&regs, sizeof(regs));
    before = regs;
    ctx.arg = &ctx;
    ctx.kernel_mode = mode & 1;
    ctx.architectural_iopl = mode & 2;
    ctx.iopl = mode >> 2 & 3;
    ctx.code_bits = bits[mode >> 4 & 3];
    ctx.cr4 = draw_u64();
    code_rip = regs.rip;
    fetched = fetch_calls = string_elements = 0;
    res = invalid_opcode ? emul_invalid_opcode(&ctx) : emul_privileged(&ctx);
    require(res <= EMUL_UNHANDLED);
    if (res == EMUL_UNHANDLED)
        require(!memcmp(&regs, &before, sizeof(regs)));
    if (res == EMUL_FAULT || res == EMUL_RETRY)
        require(regs.rip == before.rip);
    if (res == EMUL_DONE && ctx.code_bits == 64)
        require(regs.rip - before.rip - 1 < EMUL_MAX_INSN);
    require((res == EMUL_SINGLE_STEP) <= !!(regs.rflags & RFLAGS_TF));
    require(regs.cs == before.cs && regs.ss == before.ss);
    require(!((regs.rflags ^ before.rflags) & ~(u64)RFLAGS_RF));
}

static void fuzz_pt_write(void) {
    struct pt_write_ctx bases = {.fs_base = draw_u64(), .gs_base = draw_u64()};
    struct regs regs, before;
    struct pt_write w;
    u64 old = draw_u64(), new, again, mask;
    size_t len = MIN(rest_len, (size_t)(EMUL_MAX_INSN + 2));
    u8 *insn;

    draw(&regs, sizeof(regs));
    len = MIN(rest_len, len);
    insn = malloc(len ? len : 1);
    draw(insn, len);
    before = regs;
    if (emul_decode_pt_write(insn, len, &regs, &bases, &w) == 0) {
        require(w.insn_len >= 1 && w.insn_len <= MIN(len, (size_t)EMUL_MAX_INSN));
        require((w.addr & 7) + w.width <= 8);
        require(w.width == 1 || w.width == 2 || w.width == 4 || w.width == 8);
        emul_apply_pt_write(&w, old, &new, NULL);
        require(!memcmp(&regs, &before, sizeof(regs)));
        require(emul_apply_pt_write(&w, old, &again, &regs) || new == old);
        mask = (w.width == 8 ? ~0ull : (1ull << (w.width * 8)) - 1) << ((w.addr & 7) * 8);
        require(again == new && !((new ^ old) & ~mask));
        require(regs.rip == before.rip + w.insn_len || (w.rep && regs.rip == before.rip));
    } else {
        require(!memcmp(&regs, &before, sizeof(regs)));
    }
    free(insn);
}

static void fuzz_policy(void) {
    struct cpuid_policy_ctx cpuid;
    struct emul_msr_ctx msr = {.amd = draw_u8() & 1};
    u32 leaf = draw_u64(), sub = draw_u64(), out[4];
    u64 val;

    memset(&cpuid, 0, sizeof(cpuid));
    cpuid.host = host_cpuid;
    cpuid.nr_vcpus = draw_u8() % 64 + 1;
    cpuid.vcpu_id = draw_u8() % cpuid.nr_vcpus;
    cpuid.xcr0 = draw_u64();
    cpuid.xfeatures = draw_u64();
    emul_cpuid(&cpuid, leaf, sub, out);
    emul_rdmsr(&msr, leaf, &val);
    emul_wrmsr(&msr, leaf, draw_u64());
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    rest = data;
    rest_len = size;
    switch (draw_u8() & 3) {
    case 0:
        fuzz_privileged(false);
        break;
    case 1:
        fuzz_privileged(true);
        break;
    case 2:
        fuzz_pt_write();
        break;
    default:
        fuzz_policy();
        break;
    }
    return 0;
}
