/* SPDX-License-Identifier: MIT */
/* Where the trampoline lies in low memory (4 pages: itself, L4, L3, L2) and how it is told what to do. */
#ifndef PLATFORM_TRAMPOLINE_H
#define PLATFORM_TRAMPOLINE_H

#define TRAMPOLINE_ADDRESS 0x8000
#define TRAMPOLINE_MAILBOX 0xf00 /* offset in its page */
#define MAILBOX_CR3 0
#define MAILBOX_STACK 8
#define MAILBOX_CPU 16
#define MAILBOX_ENTRY 24
#define MAILBOX_ARRIVED 32

#ifndef __ASSEMBLER__
#include <pv/types.h>

struct trampoline_mailbox {
    u64 cr3;     /* the CPU's hypervisor root */
    u64 stack;   /* its top */
    u64 cpu;     /* struct cpu */
    u64 entry;   /* cpu_ap_main */
    u32 arrived; /* set by the CPU in 64-bit mode */
};
_Static_assert(offsetof(struct trampoline_mailbox, stack) == MAILBOX_STACK, "mailbox");
_Static_assert(offsetof(struct trampoline_mailbox, cpu) == MAILBOX_CPU, "mailbox");
_Static_assert(offsetof(struct trampoline_mailbox, entry) == MAILBOX_ENTRY, "mailbox");
_Static_assert(offsetof(struct trampoline_mailbox, arrived) == MAILBOX_ARRIVED, "mailbox");
#endif
#endif
