// SPDX-License-Identifier: MIT
/*
 * Segments: a GDT and an LDT of the guest's own, single descriptors changed, and segment bases.
 */
#include "basics.h"

/* Flat-ish data and code descriptors with a limit to recognise them by. */
#define DATA(limit, dpl) (0x00c0920000000000UL | ((uint64_t)(dpl) << 45) | (limit))
#define NOT_PRESENT(d) ((d) & ~(1UL << 47))
#define DATA_P(limit, dpl) (DATA(limit, dpl) | 1UL << 47)
#define SELECTOR(index, ldt, rpl) ((index) << 3 | ((ldt) << 2) | (rpl))

/* The limit a selector has in pages (G bit set), or -1 if it cannot be used. */
static long limit_of(unsigned selector) {
    unsigned long limit = 0;
    uint8_t ok;

    __asm__ volatile("lsl %2, %0\n\tsetz %1" : "+r"(limit), "=q"(ok) : "r"((unsigned long)selector) : "cc");
    return ok ? (long)(limit >> PAGE_SHIFT) : -1;
}

static void do_load_es(void *arg) {
    __asm__ volatile("mov %k0, %%es\n\tmov %k1, %%es" ::"r"(arg), "r"(0));
}

static void check_gdt(void) {
    uint64_t *gdt = page_alloc();
    unsigned long frame = virt_to_mfn(gdt);
    struct probe p;

    gdt[1] = DATA_P(0x123, 3);
    gdt[2] = NOT_PRESENT(DATA_P(1, 3));
    page_protect(gdt);
    test_equal("gdt.set", hv_set_gdt(&frame, 512), 0);
    test_equal("gdt.limit", limit_of(SELECTOR(1, 0, 3)), 0x123);
    probe_run(&p, do_load_es, (void *)SELECTOR(1UL, 0, 3));
    expect_no_trap("gdt.load", &p);
    probe_run(&p, do_load_es, (void *)SELECTOR(2UL, 0, 3));
    expect_trap("gdt.load_not_present", &p, TRAP_NP, SELECTOR(2, 0, 0));
    test_equal("gdt.update", hv_update_descriptor(virt_to_machine(&gdt[1]), DATA_P(0x456, 3)), 0);
    test_equal("gdt.updated", limit_of(SELECTOR(1, 0, 3)), 0x456);
    test_check("gdt.flat_kept", limit_of(FLAT_USER_DS32) == 0xfffff, "0x%lx", limit_of(FLAT_USER_DS32));
    test_check("gdt.not_writable", page_unprotect(gdt) < 0, "an installed GDT became writable");
    test_equal("gdt.too_long", hv_set_gdt(&frame, 8192), -XEN_EINVAL);
    test_equal("gdt.none", hv_set_gdt(NULL, 0), 0);
    test_equal("gdt.writable_again", page_unprotect(gdt), 0);
    page_free(gdt);
}

static unsigned current_es(void) {
    unsigned es;

    __asm__ volatile("mov %%es, %0" : "=r"(es));
    return es & 0xffff;
}

static volatile bool went_on;

/* ES has a selector whose descriptor goes, and the vCPU leaves its CPU. No event brings it back. */
static void lose_selector(void *descriptor) {
    struct sched_poll poll = {.timeout = clock_now() + 2 * MILLISECOND};

    __asm__ volatile("mov %0, %%es" ::"r"(SELECTOR(1, 0, 3)));
    hv_update_descriptor(virt_to_machine(descriptor), 0);
    events_disable();
    hv_sched_op(SCHEDOP_poll, &poll);
    went_on = true;
    events_enable();
}

/* Coming back, the kernel is told by the failsafe callback, before anything else; ES is null. */
static void check_failsafe(void) {
    const char *name = "failsafe.selector";
    uint64_t *gdt = page_alloc();
    unsigned long frame = virt_to_mfn(gdt);
    struct probe p;

    gdt[1] = DATA_P(0x123, 3);
    page_protect(gdt);
    hv_set_gdt(&frame, 512);
    probe_run(&p, lose_selector, &gdt[1]);
    if (p.vector != TRAP_FAILSAFE && current_es() == SELECTOR(1, 0, 3))
        test_skip(name, "the CPU kept what the vCPU had loaded");
    else
        test_check(name, p.vector == TRAP_FAILSAFE && !current_es() && !went_on, "%s, es 0x%x%s", probe_describe(&p),
                   current_es(), went_on ? ", too late" : "");
    __asm__ volatile("mov %0, %%es" ::"r"(0));
    hv_set_gdt(NULL, 0);
    page_unprotect(gdt);
    page_free(gdt);
}

static long set_ldt(void *ldt, unsigned entries) {
    struct mmuext_op op = {.cmd = MMUEXT_SET_LDT, .arg1.linear_addr = ARG(ldt), .arg2.nr_ents = entries};

    return hv_mmuext_op(&op, 1, NULL, DOMID_SELF);
}

static void check_ldt(void) {
    uint64_t *ldt = page_alloc();
    struct probe p;

    ldt[1] = DATA_P(0x77, 3);
    page_protect(ldt);
    test_equal("ldt.set", set_ldt(ldt, 512), 0);
    probe_run(&p, do_load_es, (void *)SELECTOR(1UL, 1, 3));
    expect_no_trap("ldt.load", &p);
    test_equal("ldt.limit", limit_of(SELECTOR(1, 1, 3)), 0x77);
    test_equal("ldt.update", hv_update_descriptor(virt_to_machine(&ldt[1]), DATA_P(0x78, 3)), 0);
    test_equal("ldt.updated", limit_of(SELECTOR(1, 1, 3)), 0x78);
    test_equal("ldt.none", set_ldt(NULL, 0), 0);
    test_equal("ldt.gone", limit_of(SELECTOR(1, 1, 3)), -1);
    test_check("ldt.unaligned", set_ldt((uint8_t *)ldt + 1, 1) < 0, "accepted");
    test_equal("ldt.writable_again", page_unprotect(ldt), 0);
    page_free(ldt);
}

static void check_bases(void) {
    static uint64_t marker = 0x600d;
    uint64_t seen;

    test_equal("segbase.fs", hv_set_segment_base(SEGBASE_FS, ARG(&marker)), 0);
    __asm__ volatile("mov %%fs:0, %0" : "=r"(seen));
    test_equal("segbase.fs_used", (long)seen, 0x600d);
    hv_set_segment_base(SEGBASE_FS, 0);
    test_equal("segbase.gs_user", hv_set_segment_base(SEGBASE_GS_USER, ARG(&marker)), 0);
    test_equal("segbase.gs_user_sel", hv_set_segment_base(SEGBASE_GS_USER_SEL, 0), 0);
    test_check("segbase.gs_kernel_kept", cpu_this() == &cpus[0], "%p", (void *)cpu_this());
    test_check("segbase.noncanonical", hv_set_segment_base(SEGBASE_FS, 1UL << 63) < 0, "accepted");
    test_equal("segbase.unknown", hv_set_segment_base(77, 0), -XEN_EINVAL);
}

void check_descriptors(void) {
    check_gdt();
    check_failsafe();
    check_ldt();
    check_bases();
}
