/* SPDX-License-Identifier: MIT */
/* What the groups share: the state that every path must keep, user code, and events to be seen in time. */
#ifndef GATECRASH_H
#define GATECRASH_H

#include <sdk/sdk.h>

/* Where user code, its stack and its data are; the code also in low memory, for 32-bit segments. */
#define CODE_VA USER_VA
#define STACK_VA (USER_VA + 0x10000)
#define DATA_VA (USER_VA + 0x20000)
#define NOWHERE_VA (USER_VA + 0x30000)
#define LOW_VA 0x10000000UL
#define AT(piece) (CODE_VA + (unsigned long)((piece)-user_code))
#define LOW_AT(piece) (LOW_VA + (unsigned long)((piece)-user_code))

extern uint8_t user_code[], user_code_end[], user_syscall[], user_ud[], user_int80[], user_int3[], user_divide[],
    user_load[], user_load_ss[], user_load_ss_int3[], user_syscall32[], user_sysenter[], user_int80_32[];
extern uint64_t *user_data; /* the kernel's view of DATA_VA */

#define SELECTOR(name)                                                                                                 \
    ({                                                                                                                 \
        uint32_t s_;                                                                                                   \
        __asm__ volatile("mov %%" #name ", %0" : "=r"(s_));                                                            \
        s_;                                                                                                            \
    })

/* Selectors, bases, debug and FPU registers, CR0 and control flags of the kernel. */
struct state {
    uint64_t word[18];
};
void state_take(struct state *s);
/* Pass if nothing has changed since. */
void state_check(const char *group, const char *path, const struct state *before);

/* In code.S. Each loads a pattern into all registers, and gives the number of those that changed. */
unsigned kernel_int3(void), kernel_int80(void), kernel_divide(void), kernel_load(void);
void ring3_int3(void *arg);
/* The iret hypercall to the next instruction; gives the flags after it. */
unsigned long iret_here(unsigned long cs, unsigned long rflags);
/* To user mode by a frame of 5 words, with this kernel stack; a probe ends it. */
void user_on_stack(unsigned long stack, const uint64_t *frame);
unsigned call_on_stack(unsigned long stack, unsigned (*fn)(void));
enum { ON_STACK_INT3, ON_STACK_INT80, ON_STACK_DIVIDE, ON_STACK_LOAD };
void trap_on_stack(unsigned long stack, unsigned which);
/* The kernel loads a stack segment, and tries an instruction of ring 0 at lldt_at_... */
void stack_by_mov(void *selector), stack_by_lss(void *selector), stack_by_iretq(void *selector);
extern uint8_t lldt_at_mov[], lldt_at_lss[], lldt_at_iretq[];
unsigned with_stack_segment(unsigned long selector, unsigned (*fn)(void));
/* Flags on entry of the handlers that note_flags() installed, before anything changes them. */
extern uint64_t entry_flags;
void noting_de(void), noting_bp(void), noting_pf(void), noting_int80(void), noting_syscall(void),
    noting_syscall32(void), noting_sysenter(void);
/* Has kernel traps go on after the instruction, and notes how they came. */
void resume_traps(bool on);
extern struct regs last_trap;
extern unsigned long last_frame_end; /* where the hypervisor's frame began, that is, its upper end */
extern uint8_t mask_in_handler;

/* Registers for user mode at this address, with a pattern in all of them. */
void fill_user(struct regs *regs, unsigned long rip);
bool same_registers(const struct regs *a, const struct regs *b, bool by_syscall);

/* An event to this vCPU that waits until upcalls are unmasked. */
void post_event(void);
/* Posts one: 0 if it has come by then. */
unsigned event_is_missed(void);
extern volatile unsigned events_seen;

/* The user half, seen by kernel and user. */
void make_user_root(void);

void group_paths(void), group_masks(void), group_flags(void), group_frames(void), group_stacks(void),
    group_breakpoints(void), group_reads(void), group_tamper(void), group_steps(void), group_null_stack(void);

/* Attacks that must end this domain; returns if `name` is unknown or the domain survived. */
void attack_to_the_end(const char *name);
/* Xen takes any stack, and finds out at the first entry. */
bool refuses_wild_stacks(void);

#endif
