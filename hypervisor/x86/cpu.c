// SPDX-License-Identifier: MIT
// Features of the processors, and the set-up of each: control registers, SYSCALL and SYSENTER entries, descriptor
// tables.
#include <pv/x86.h>
#include <pv/gate.h>
#include <pv/lib.h>
#include <pv/mm.h>
#include <pv/x86_vcpu.h>

struct x86_features x86_features;
extern const u64 gate_address_syscall, gate_address_syscall32, gate_address_sysenter;

static bool bit_of(u32 leaf, u32 sub, int reg, u32 bit) {
    u32 r[4];

    cpuid(leaf & 0x80000000, 0, r);
    if (r[0] < leaf)
        return false;
    cpuid(leaf, sub, r);
    return r[reg] >> bit & 1;
}

enum { EAX, EBX, ECX, EDX };

static void detect_xsave(struct x86_features *f) {
    u32 r[4];

    f->xsave = bit_of(1, 0, ECX, 26);
    f->xsave_size = 512;
    if (!f->xsave)
        return;
    f->avx = bit_of(1, 0, ECX, 28);
    f->xsaveopt = bit_of(0xd, 1, EAX, 0);
    cpuid(0xd, 0, r);
    f->xcr0 = r[EAX] & 0xe7; /* x87, SSE, AVX, AVX-512: what guests are offered */
    f->xsave_size = r[ECX];
}

void x86_detect_features(void) {
    struct x86_features *f = &x86_features;
    u32 r[4];

    f->mxcsr_mask = fpu_mxcsr_mask();
    f->x2apic = bit_of(1, 0, ECX, 21);
    f->tsc_deadline = bit_of(1, 0, ECX, 24);
    f->pcid = bit_of(1, 0, ECX, 17);
    f->vmx = bit_of(1, 0, ECX, 5);
    f->fsgsbase = bit_of(7, 0, EBX, 0);
    f->invpcid = bit_of(7, 0, EBX, 10);
    f->umip = bit_of(7, 0, ECX, 2);
    f->pat = bit_of(1, 0, EDX, 16);
    f->svm = bit_of(0x80000001, 0, ECX, 2);
    f->page1g = bit_of(0x80000001, 0, EDX, 26);
    f->rdtscp = bit_of(0x80000001, 0, EDX, 27);
    f->invariant_tsc = bit_of(0x80000007, 0, EDX, 8);
    f->arat = bit_of(6, 0, EAX, 2);
    cpuid(0, 0, r);
    f->x87_pointers_stay = r[EBX] == CPUID_EBX_AMD && !bit_of(0x80000008, 0, EBX, 2);
    f->ibpb = bit_of(7, 0, EDX, 26) || bit_of(0x80000008, 0, EBX, 12);
    cpuid(0x80000000, 0, r);
    f->phys_bits = 36;
    if (r[0] >= 0x80000008) {
        cpuid(0x80000008, 0, r);
        f->phys_bits = r[0] & 0xff;
    }
    detect_xsave(f);
}

/* WB WT UC- UC, WC WP UC UC: what guests are told, fixed by the ABI; UC, which device registers of our own are mapped
 * with, is where it was. */
#define ABI_PAT 0x0000050100070406ul

static void set_control_registers(void) {
    const struct x86_features *f = &x86_features;
    u64 cr4 = CR4_PAE | CR4_DE | CR4_MCE | CR4_OSFXSR | CR4_OSXMMEXCPT;

    cr4 |= f->umip ? CR4_UMIP : 0;
    cr4 |= f->fsgsbase ? CR4_FSGSBASE : 0;
    cr4 |= f->xsave ? CR4_OSXSAVE : 0;
    write_cr4(cr4);
    write_cr0(CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_PG);
    wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SCE | EFER_NXE);
    if (f->pat)
        wrmsr(MSR_PAT, ABI_PAT);
    if (f->xsave)
        __asm__ volatile("xsetbv" ::"c"(0), "a"((u32)f->xcr0), "d"((u32)(f->xcr0 >> 32)));
}

/* SYSCALL takes CS from bits 32-47 and SS = CS + 8. Bits of RFLAGS in SFMASK are cleared on entry. */
static void set_syscall_entries(void) {
    wrmsr(MSR_STAR, (u64)SEL_HYP_CS << 32 | (u64)SEL_USER_CS32 << 48);
    wrmsr(MSR_LSTAR, gate_address_syscall);
    wrmsr(MSR_CSTAR, gate_address_syscall32);
    wrmsr(MSR_SFMASK, RFLAGS_TF | RFLAGS_IF | RFLAGS_DF | RFLAGS_IOPL | RFLAGS_NT | RFLAGS_AC | RFLAGS_RF);
    wrmsr(MSR_SYSENTER_CS, SEL_HYP_CS);
    wrmsr(MSR_SYSENTER_ESP, GATE_VCPU + PAGE_SIZE);
    wrmsr(MSR_SYSENTER_EIP, gate_address_sysenter);
}

static void load_descriptor_tables(void) {
    struct {
        u16 limit;
        u64 base;
    } __packed gdtr = {16 * PAGE_SIZE - 1 - PAGE_SIZE, GATE_GDT}, idtr = {PAGE_SIZE - 1, GATE_IDT};

    __asm__ volatile("lgdt %0\n\tlidt %1" ::"m"(gdtr), "m"(idtr));
    __asm__ volatile("pushq %0\n\t"
                     "leaq 1f(%%rip), %%rax\n\t"
                     "pushq %%rax\n\t"
                     "lretq\n"
                     "1:" ::"i"(SEL_HYP_CS)
                     : "rax", "memory");
    __asm__ volatile(
        "movl %0, %%ss\n\tmovl %1, %%ds\n\tmovl %1, %%es\n\tmovl %1, %%fs\n\tmovl %1, %%gs" ::"r"(SEL_HYP_DS), "r"(0));
    __asm__ volatile("lldt %w0" ::"r"(0));
}

/* Both roots have page numbers without a tag so far, as the CPU wants it when tags begin. */
static void begin_tags(struct cpu *c) {
    write_cr4(read_cr4() | CR4_PCIDE);
    c->gate_const->hyp_cr3 |= CR3_KEEP;
    c->guest_tag = GUEST_TAG;
}

void x86_init_cpu(struct cpu *c) {
    u64 *tss = (u64 *)((char *)c->gate_gdt + (SEL_TSS - GDT_RESERVED_OFFSET));

    set_control_registers();
    load_descriptor_tables();
    tss[0] &= ~(2ul << 40); /* not busy: a CPU is set up once, but the type must be "available" for LTR */
    /* LTR marks the descriptor busy, and the GDT's mapping is read-only: CR0.WP off around it. */
    write_cr0(read_cr0() & ~CR0_WP);
    __asm__ volatile("ltr %w0" ::"r"(SEL_TSS));
    write_cr0(read_cr0() | CR0_WP);
    set_syscall_entries();
    write_dr7(DR7_NONE);
    if (x86_features.rdtscp)
        wrmsr(MSR_TSC_AUX, 0);
    if (x86_features.pcid)
        begin_tags(c);
}

#define CACHE_LINE 64ul

void cpu_write_back(const void *p, size_t n) {
    u64 end = (u64)p + n;

    for (u64 line = (u64)p & ~(CACHE_LINE - 1); line < end; line += CACHE_LINE)
        __asm__ volatile("clflush %0" : "+m"(*(volatile char *)line));
    __asm__ volatile("mfence" ::: "memory");
}

void x86_hw_cap(u32 word[8]) {
    u32 one[4], seven[4], ext[4], xsave[4], power[4];

    cpuid(1, 0, one);
    cpuid(7, 0, seven);
    cpuid(0x80000001, 0, ext);
    cpuid(0xd, 1, xsave);
    cpuid(0x80000007, 0, power);
    word[0] = one[3];
    word[1] = one[2];
    word[2] = ext[3];
    word[3] = ext[2];
    word[4] = x86_features.xsave ? xsave[0] : 0;
    word[5] = seven[1];
    word[6] = seven[2];
    word[7] = power[3];
}
