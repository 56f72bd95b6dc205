// SPDX-License-Identifier: MIT
/*
 * FPU state of a guest's choosing is loaded by the hypervisor, so it must be such that loading never faults. Here it is
 * loaded by this machine's own processor, in user mode, as the hypervisor does it.
 */
// sources: x86/fpu.c
#include <cpuid.h>
#include <setjmp.h>
#include <signal.h>
#include <ucontext.h>
#include <pv/x86.h>
#include "host.h"
#include <cmocka.h>

#define AREA_SIZE 16384
#define MXCSR 24
#define XSTATE_BV 512

static u8 area[AREA_SIZE] __attribute__((aligned(64))), image[AREA_SIZE] __attribute__((aligned(64)));
static u8 own[AREA_SIZE] __attribute__((aligned(64))); /* this test's state */
static sigjmp_buf faulted;
struct x86_features x86_features;

static void on_fault(int number) {
    (void)number;
    siglongjmp(faulted, 1);
}

static bool loads(const void *from) {
    volatile bool ok = false;

    fpu_save(own);
    if (!sigsetjmp(faulted, 1)) {
        fpu_restore(from);
        ok = true;
    }
    fpu_restore(own);
    return ok;
}

static u32 word(const u8 *from, u32 offset) {
    u32 value;

    memcpy(&value, from + offset, sizeof(value));
    return value;
}

static void set_word(u8 *to, u32 offset, u32 value) {
    memcpy(to + offset, &value, sizeof(value));
}

/* With XSAVE, if there is any, and without. cmocka has handlers of its own, for each test anew. */
static void find_features(bool xsave) {
    u32 eax, ebx, ecx, edx, low, high;

    signal(SIGSEGV, on_fault);
    signal(SIGBUS, on_fault);
    __cpuid(1, eax, ebx, ecx, edx);
    x86_features.xsave = xsave && (ecx & bit_OSXSAVE);
    x86_features.xsave_size = 512;
    x86_features.mxcsr_mask = fpu_mxcsr_mask();
    if (!x86_features.xsave)
        return;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    x86_features.xcr0 = (u64)high << 32 | low;
    __cpuid_count(0xd, 0, eax, ebx, ecx, edx);
    x86_features.xsave_size = ebx;
    assert_true(ebx <= AREA_SIZE);
}

/* Each bit of MXCSR, in start contexts. As it is, one that the processor does not have would fault. */
static void mxcsr(void) {
    u32 faults = 0;

    assert_int_equal(x86_features.mxcsr_mask & 0x1f80, 0x1f80);
    for (u32 bit = 0; bit < 32; bit++) {
        fpu_init_area(area);
        set_word(area, MXCSR, 1u << bit);
        faults += !loads(area);
        memset(image, 0, sizeof(image));
        set_word(image, MXCSR, 1u << bit | 0x80);
        fpu_init_area(area);
        fpu_fill_area(area, image);
        assert_true(loads(area));
        assert_int_equal(word(area, MXCSR), (1u << bit | 0x80) & x86_features.mxcsr_mask);
    }
    assert_int_equal(faults, __builtin_popcount(~x86_features.mxcsr_mask));
    assert_true(faults);
}

static void mxcsr_by_xrstor(void **state) {
    (void)state;
    find_features(true);
    mxcsr();
}

static void mxcsr_by_fxrstor(void **state) {
    (void)state;
    find_features(false);
    mxcsr();
}

/* Of a start context only the registers are taken: not the header behind them. */
static void no_more_than_registers(void **state) {
    (void)state;
    find_features(true);
    memset(image, 0xff, sizeof(image));
    fpu_init_area(area);
    fpu_fill_area(area, image);
    assert_true(loads(area));
}

/* XSAVE leaves alone what it does not know. */
static void save_image(void) {
    memset(image, 0, sizeof(image));
    fpu_save(image);
}

/* A saved area: what is accepted can be loaded, and most of what is not cannot. */
static void saved_areas(void **state) {
    u32 size, refused = 0, faults = 0;

    (void)state;
    find_features(true);
    if (!x86_features.xsave)
        skip();
    size = x86_features.xsave_size;
    save_image();
    set_word(image, MXCSR, ~0u);
    assert_true(fpu_state_ok(image, size));
    fpu_set_area(area, image, size);
    assert_true(loads(area));
    for (u32 at = XSTATE_BV * 8; at < (XSTATE_BV + 64) * 8; at++) {
        save_image();
        image[at / 8] ^= (u8)(1 << at % 8);
        fpu_init_area(area);
        memcpy(area + XSTATE_BV, image + XSTATE_BV, 64);
        if (fpu_state_ok(image, size)) {
            assert_true(loads(area));
        } else {
            refused++;
            faults += !loads(area);
        }
    }
    assert_true(refused > 400 && faults > 100);
    save_image();
    assert_true(fpu_state_ok(image, XSTATE_BV + 64));
    assert_false(fpu_state_ok(image, XSTATE_BV + 63));
    assert_false(fpu_state_ok(image, (u64)size + 1));
}

/* Has the x87 execute an instruction whose address is returned. Its exception, of a full stack, waits for the next. */
static u64 leave_pointers(void) {
    static const u16 unmasked = 0x0340;
    u64 address;

    __asm__ volatile("fninit\n\t"
                     "fldcw %1\n\t"
                     "fld1\n\tfld1\n\tfld1\n\tfld1\n\tfld1\n\tfld1\n\tfld1\n\tfld1\n"
                     "1:\tfld1\n\t"
                     "leaq 1b(%%rip), %0"
                     : "=r"(address)
                     : "m"(unmasked));
    return address;
}

static u64 pointer; /* as the x87 had it when a fault came */

static void on_fault_at_pointer(int number, siginfo_t *info, void *context) {
    (void)number;
    (void)info;
    pointer = ((ucontext_t *)context)->uc_mcontext.fpregs->rip;
    siglongjmp(faulted, 1);
}

/* Does a state that can't be loaded find them as they were left? One that can would replace them, on this processor. */
static bool pointers_stay(void) {
    static u64 left;

    memset(area, 0xff, sizeof(area));
    fpu_save(own);
    if (!sigsetjmp(faulted, 1)) {
        left = leave_pointers();
        fpu_restore(area);
        fail();
    }
    fpu_restore(own);
    return pointer == left;
}

/* Where the x87 was last must not reach the next vCPU, on processors that would let it. */
static void x87_pointers(void **state) {
    struct sigaction action = {.sa_sigaction = on_fault_at_pointer, .sa_flags = SA_SIGINFO};
    struct {
        u32 control, status, tags, pointer, more[3];
    } environment;
    u64 left;

    (void)state;
    find_features(true);
    sigaction(SIGSEGV, &action, NULL);
    assert_true(pointers_stay());
    x86_features.x87_pointers_stay = true;
    assert_false(pointers_stay());
    x86_features.x87_pointers_stay = false;

    fpu_save(own);
    left = leave_pointers();
    fpu_take_pointers();
    __asm__ volatile("fnstenv %0" : "=m"(environment));
    fpu_restore(own);
    assert_int_not_equal(environment.pointer, (u32)left);
    assert_int_not_equal(environment.pointer, 0);
    assert_int_equal((u16)environment.status & 0x80ff, 0); /* no exception on the way */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mxcsr_by_xrstor), cmocka_unit_test(mxcsr_by_fxrstor), cmocka_unit_test(no_more_than_registers),
        cmocka_unit_test(saved_areas),     cmocka_unit_test(x87_pointers),
    };

    return cmocka_run_group_tests_name("fpu", tests, NULL, NULL);
}
