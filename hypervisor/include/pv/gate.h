/* SPDX-License-Identifier: MIT */
/*
 * gate: the only code and data mapped beside guests: L4 slot 257 of every root. See docs/gate.md.
 *
 *   +0x000000  code                     r-x  the same frames on every CPU
 *   +0x010000  constants                r--  this CPU's, for its current vCPU
 *   +0x011000  TSS                      r--
 *   +0x012000  IDT                      r--  the same frame on every CPU
 *   +0x020000  GDT, 16 pages            r--  14 of the guest's, 1 of reserved descriptors, 1 empty
 *   +0x030000  LDT, 16 pages            r--  the guest's
 *   +0x041000  IST stacks, every other  rw-  #DF, NMI, #MC, #DB
 *   +0x050000  gate page of the vCPU    rw-  register block at its end, mode flag: UNTRUSTED
 *   +0x051000  page with vcpu_info      rw-  UNTRUSTED
 *
 * All of it is supervisor memory: the guest kernel in ring 1 reaches it as mapped, its user code does not.
 */
#ifndef PV_GATE_H
#define PV_GATE_H

#define GATE_SLOT 257
#define GATE_BASE 0xffff808000000000
#define GATE_TEXT (GATE_BASE + 0x000000)
#define GATE_CONST (GATE_BASE + 0x010000)
#define GATE_TSS (GATE_BASE + 0x011000)
#define GATE_IDT (GATE_BASE + 0x012000)
#define GATE_GDT (GATE_BASE + 0x020000)
#define GATE_LDT (GATE_BASE + 0x030000)
#define GATE_IST(n) (GATE_BASE + 0x041000 + (n)*0x2000)
#define GATE_VCPU (GATE_BASE + 0x050000)
#define GATE_INFO (GATE_BASE + 0x051000)

#define IST_DF 1
#define IST_NMI 2
#define IST_MC 3
#define IST_DB 4

/* Selectors of the reserved GDT page. Those up to 0xe033 are the ABI's (FLAT_*). */
#define SEL_HYP_CS 0xe008
#define SEL_HYP_DS 0xe010
#define SEL_USER_CS32 0xe023
#define SEL_USER_DS 0xe02b
#define SEL_USER_CS64 0xe033
#define SEL_TSS 0xe040
#define SEL_LDT 0xe050
#define SEL_KERNEL_CS 0xe061 /* 64-bit code, DPL 1 */
#define SEL_KERNEL_DS 0xe069 /* data, DPL 1 */
#define GDT_RESERVED_OFFSET 0xe000

/* Offsets the assembly uses; checked against the structures in gate/check.c. */
#define GATE_CONST_HYP_CR3 0
#define GATE_CONST_HYP_RSP 8
#define GATE_CONST_NMI_RSP 16
#define GATE_CONST_CPU 24
#define GATE_CONST_INFO 32
#define GATE_CONST_SP_HIGH 40
#define GATE_CONST_HYPERCALLS 48
#define GATE_CONST_IRET 56
#define GATE_CONST_MASK 64
#define GATE_CONST_ENTRY 72
#define GATE_VCPU_REGS (4096 - 168)
#define GATE_VCPU_MODE 0
#define GATE_VCPU_SP_LOW 8
#define GATE_VCPU_SCRATCH 16

/* The kernel's entries that the fast path knows: indices into gate_const.entry and .mask. */
#define FAST_SYSCALL 0
#define FAST_SYSCALL32 1
#define FAST_SYSENTER 2
#define FAST_PF 3
#define FAST_DE 4
#define FAST_BP 5
#define FAST_80 6
#define NR_FAST 7

/* Members of vcpu_info that the fast path uses; checked against the ABI in gate/fast.c. */
#define INFO_PENDING 0
#define INFO_MASK 1
#define INFO_CR2 16

/* The answer to xen_version(XENVER_version). */
#define GATE_VERSION 0x40011

/* What a guest may choose of RFLAGS in a frame that is loaded: status flags, DF, TF, RF, AC, ID. */
#define GATE_RFLAGS_ALLOWED 0x250dd5
#define GATE_RFLAGS_ALWAYS 0x202
/* Flags that do not survive the entry into a handler: TF, NT, RF, VM, AC, DF. */
#define GATE_RFLAGS_CLEARED 0x74500

#ifndef __ASSEMBLER__
#include <pv/cpu.h>
#include <pv/regs.h>

struct vcpu;

/* Read-only in guest roots; the hypervisor writes it through the direct map. The assembly finds members by offset. */
struct gate_const {
    u64 hyp_cr3;
    u64 hyp_rsp;
    u64 nmi_rsp;
    struct cpu *cpu;
    /* For the fast path: this vCPU's, written at each way back to its guest. An entry of 0 sends its users to the slow
     * path. */
    u64 info;    /* where its vcpu_info is, in GATE_INFO */
    u64 sp_high; /* upper 32 bits of the kernel's stack for entries from user mode; the lower ones are in gate_vcpu */
    u64 hypercalls; /* the small ones may be answered in the gate */
    u64 iret;       /* and iret */
    u8 mask[8];     /* 1: enter with upcalls masked */
    u64 entry[NR_FAST];
};

/* The vCPU's gate page: the guest kernel can write all of it. */
struct gate_vcpu {
    u64 kernel_mode; /* 1: what the vCPU runs is its kernel; the C code keeps its own copy while in the hypervisor */
    u32 sp_low;      /* lower half of the kernel's stack, aligned; stack_switch in the gate changes it */
    u32 unused;
    u64 scratch[5]; /* the fast path's, between two of its instructions */
    u8 pad[4096 - 56 - sizeof(struct regs)];
    struct regs regs;
};

/* Builds a CPU's gate tables and pages; false: out of memory. The gate slot of its hypervisor root is set. */
bool gate_init_cpu(struct cpu *c);
/* Maps the vCPU's gate page, vcpu_info page, GDT and LDT frames into this CPU's gate slot; NULL: none. */
void gate_map_vcpu(struct cpu *c, struct vcpu *v);
/* Tells the fast path of this CPU about the vCPU it is going to run: needed when v->gate_stale is set, and clears it.
 */
void gate_set_fast_path(struct cpu *c, struct vcpu *v);
/* The current vCPU's kernel has a new stack for entries from user mode: sp is the guest's address. */
void gate_put_kernel_sp(struct vcpu *v, u64 sp);
/* The kernel's stack as the guest has left it: to be called once at each entry. */
void gate_take_kernel_sp(struct vcpu *v);
/* The boot option fastpath=off was given: every entry takes the slow path. */
extern bool gate_fast_path_off;
/* Loads the guest root and the registers of the vCPU's gate page. Does not return. */
void gate_exit(u64 cr3) __noreturn;
/* Fills 4096 bytes with the hypercall page of the ABI. */
void gate_write_hypercall_page(void *page);

/* What the gate calls, on this CPU's hypervisor stack and root (hypervisor/trap). */
void trap_from_guest(void) __noreturn;
/* An exception or interrupt that hit the hypervisor itself; returns to what was interrupted. */
void trap_from_host(struct regs *regs);
/* NMI, #MC, #DF; cr3: what was loaded. */
void trap_nmi(struct regs *regs, u64 cr3);
/* IRETQ to the guest faulted: regs are those of the fault, the guest's registers live in them. */
void trap_iret_fault(struct regs *regs) __noreturn;
#endif
#endif
