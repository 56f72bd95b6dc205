/* SPDX-License-Identifier: MIT */
/*
 * x86: the processor: instructions C has no words for, registers' bits, features, the hypervisor's own address space,
 * descriptor tables and FPU state. Only the rooms x86, gate, boot and platform include the instruction part.
 */
#ifndef PV_X86_H
#define PV_X86_H

#include <pv/cpu.h>
#include <pv/pte.h>
#include <pv/types.h>

/* --- the hypervisor's address space (docs/memory.md) --- */
#define HYP_TEXT_BASE 0xffffffff80000000ul
#define M2P_BASE 0xffff800000000000ul
#define M2P_SIZE 0x4000000000ul /* as XENMEM_machphys_mapping says */
#define DIRECTMAP_BASE 0xffff880000000000ul
#define MMIO_BASE 0xffffc80000000000ul
#define FRAMETABLE_BASE 0xffffd00000000000ul
#define STACKS_BASE 0xffffe00000000000ul
#define STACK_SIZE 16384ul
#define NMI_STACK_SIZE 8192ul
#define STACK_STRIDE 65536ul /* guard | NMI stack | guard | stack */

/* --- features the hypervisor looks at; all CPUs are taken to be alike --- */
struct x86_features {
    bool x2apic, tsc_deadline, xsave, xsaveopt, fsgsbase, umip, pcid, invpcid, ibpb, invariant_tsc, page1g, svm, vmx;
    bool rdtscp, avx, arat, pat;
    bool x87_pointers_stay; /* XRSTOR leaves them unless an exception is pending (AMD's CPUs before Zen) */
    u64 xcr0;               /* what XCR0 is set to */
    u32 xsave_size, mxcsr_mask;
    u8 phys_bits;
};
extern struct x86_features x86_features;

/* EBX of CPUID leaf 0, which begins the maker's name: "Auth", "Hygo". */
#define CPUID_EBX_AMD 0x68747541u
#define CPUID_EBX_HYGON 0x6f677948u

/* MSRs by number. */
enum msr {
    MSR_TSC = 0x10,
    MSR_APIC_BASE = 0x1b,
    MSR_SPEC_CTRL = 0x48,
    MSR_PRED_CMD = 0x49,
    MSR_SYSENTER_CS = 0x174,
    MSR_SYSENTER_ESP = 0x175,
    MSR_SYSENTER_EIP = 0x176,
    MSR_PAT = 0x277,
    MSR_TSC_DEADLINE = 0x6e0,
    MSR_X2APIC = 0x800,
};
#define MSR_EFER 0xc0000080u
#define MSR_STAR 0xc0000081u
#define MSR_LSTAR 0xc0000082u
#define MSR_CSTAR 0xc0000083u
#define MSR_SFMASK 0xc0000084u
#define MSR_FS_BASE 0xc0000100u
#define MSR_GS_BASE 0xc0000101u
#define MSR_KERNEL_GS_BASE 0xc0000102u
#define MSR_TSC_AUX 0xc0000103u
#define EFER_SCE BIT(0)
#define EFER_LME BIT(8)
#define EFER_LMA BIT(10)
#define EFER_NXE BIT(11)
#define DR7_ENABLES 0xfful /* any breakpoint, local or global */
#define DR7_NONE 0x400ul
#define CR0_PE BIT(0)
#define CR0_MP BIT(1)
#define CR0_EM BIT(2)
#define CR0_TS BIT(3)
#define CR0_ET BIT(4)
#define CR0_NE BIT(5)
#define CR0_WP BIT(16)
#define CR0_AM BIT(18)
#define CR0_NW BIT(29)
#define CR0_CD BIT(30)
#define CR0_PG BIT(31)
#define CR4_TSD BIT(2)
#define CR4_DE BIT(3)
#define CR4_PSE BIT(4)
#define CR4_PAE BIT(5)
#define CR4_MCE BIT(6)
#define CR4_PGE BIT(7)
#define CR4_PCE BIT(8)
#define CR4_OSFXSR BIT(9)
#define CR4_OSXMMEXCPT BIT(10)
#define CR4_UMIP BIT(11)
#define CR4_FSGSBASE BIT(16)
#define CR4_PCIDE BIT(17)
#define CR4_OSXSAVE BIT(18)

/* --- instructions --- */
static inline void outb(u16 port, u8 v) {
    __asm__ volatile("outb %0, %1" ::"a"(v), "Nd"(port));
}
static inline void outw(u16 port, u16 v) {
    __asm__ volatile("outw %0, %1" ::"a"(v), "Nd"(port));
}
static inline void outl(u16 port, u32 v) {
    __asm__ volatile("outl %0, %1" ::"a"(v), "Nd"(port));
}
static inline u8 inb(u16 port) {
    u8 v;
    __asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}
static inline u16 inw(u16 port) {
    u16 v;
    __asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}
static inline u32 inl(u16 port) {
    u32 v;
    __asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}
static inline u64 rdmsr(u32 msr) {
    u32 lo, hi;
    __asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
    return (u64)hi << 32 | lo;
}
static inline void wrmsr(u32 msr, u64 v) {
    __asm__ volatile("wrmsr" ::"c"(msr), "a"((u32)v), "d"((u32)(v >> 32)) : "memory");
}
static inline void cpuid(u32 leaf, u32 sub, u32 out[4]) {
    __asm__ volatile("cpuid" : "=a"(out[0]), "=b"(out[1]), "=c"(out[2]), "=d"(out[3]) : "a"(leaf), "c"(sub));
}
static inline u64 rdtsc(void) {
    u32 lo, hi;
    __asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
    return (u64)hi << 32 | lo;
}
#define PV_CR(n)                                                                                                       \
    static inline u64 read_cr##n(void) {                                                                               \
        u64 v;                                                                                                         \
        __asm__ volatile("mov %%cr" #n ", %0" : "=r"(v));                                                              \
        return v;                                                                                                      \
    }                                                                                                                  \
    static inline void write_cr##n(u64 v) {                                                                            \
        __asm__ volatile("mov %0, %%cr" #n ::"r"(v) : "memory");                                                       \
    }
PV_CR(0)
PV_CR(2)
PV_CR(3)
PV_CR(4)
#undef PV_CR
#define PV_DR(n)                                                                                                       \
    static inline u64 read_dr##n(void) {                                                                               \
        u64 v;                                                                                                         \
        __asm__ volatile("mov %%dr" #n ", %0" : "=r"(v));                                                              \
        return v;                                                                                                      \
    }                                                                                                                  \
    static inline void write_dr##n(u64 v) {                                                                            \
        __asm__ volatile("mov %0, %%dr" #n ::"r"(v));                                                                  \
    }
PV_DR(0)
PV_DR(1)
PV_DR(2)
PV_DR(3)
PV_DR(6)
PV_DR(7)
#undef PV_DR
static inline void cpu_relax(void) {
    __asm__ volatile("pause" ::: "memory");
}
static inline void cpu_halt_forever_insn(void) {
    __asm__ volatile("cli; hlt" ::: "memory");
}
static inline void invlpg(u64 va) {
    __asm__ volatile("invlpg (%0)" ::"r"(va) : "memory");
}
static inline u32 mmio_read32(const volatile void *p) {
    return *(const volatile u32 *)p;
}
static inline void mmio_write32(volatile void *p, u32 v) {
    *(volatile u32 *)p = v;
}

/* --- features, set-up of the CPU this runs on --- */
void x86_detect_features(void);
/* Control registers, EFER, SYSCALL MSRs, XCR0, descriptor tables, as c's members and gate pages say. */
void x86_init_cpu(struct cpu *c);

/* --- the hypervisor root --- */
/* The L4 as the boot CPU built it; every CPU's root is a copy with a gate slot of its own. */
extern u64 *hyp_master_root;
/* Maps [pa, pa + size) at va in every hypervisor root, with 4 KiB pages or 2 MiB ones where all is aligned. Tables come
 * from the boot allocator or the heap. Only for slots that the roots share (not the gate's). */
void hyp_map(u64 va, maddr_t pa, u64 size, u64 flags);
/* Shows one page, read-only, wherever [va, va + size) is not mapped; size is rounded up to whole GiB. Tables for it are
 * shared, so nothing may be mapped there afterwards. */
void hyp_map_holes(u64 va, u64 size, const void *page);
bool hyp_is_mapped(u64 va);
/* The machine address behind a mapped 4 KiB page of the hypervisor root. */
maddr_t hyp_translate(u64 va);
/* A device's registers, uncached; lives for ever. */
void *mmio_map(maddr_t pa, size_t size);
/* The same after boot, for an address that is not the firmware's: NULL if it is out of reach, or there is no memory for
 * tables. The caller sees to it that two CPUs do not do it at once. */
void *mmio_try_map(maddr_t pa, size_t size);

/* --- FPU: the guests' only; the hypervisor has no use for it --- */
void fpu_init_area(void *area);
/* The registers of a 512-byte FXSAVE image, from a guest. */
void fpu_fill_area(void *area, const void *fxsave);
/* An area that was saved, maybe elsewhere: could it be loaded here? Then it can be set. */
bool fpu_state_ok(const void *area, u64 size);
void fpu_set_area(void *to, const void *area, u64 size);
/* The bits of MXCSR that the CPU knows. CR0.TS must be clear. */
u32 fpu_mxcsr_mask(void);
void fpu_save(void *area);
/* Makes the last x87 instruction and its operand, which FNSTENV shows, the hypervisor's. No x87 state is kept. */
void fpu_take_pointers(void);
void fpu_restore(const void *area);

#endif
