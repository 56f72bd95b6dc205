// SPDX-License-Identifier: MIT
/*
 * All that the guest of run.c is: a page of code, behind which its page of words lies (struct words in run.c). It counts,
 * and makes a call of sched_op as often as it is told to, by a hypercall without a page for that.
 */
#include <xen/xen.h>

#define WORDS guest_code + 4096
#define COUNT WORDS
#define COMMAND WORDS + 8 /* 0: count; else of sched_op */
#define ARGUMENT WORDS + 16
#define RESULT WORDS + 24 /* what the hypercall gave, should it come back */

.section .rodata
.balign 4096
.globl guest_code, guest_code_end
.hidden guest_code, guest_code_end
guest_code:
1:  incq    COUNT(%rip)
    mov     COMMAND(%rip), %rdi
    test    %rdi, %rdi
    je      1b
    mov     $29, %eax               /* sched_op */
    lea     ARGUMENT(%rip), %rsi
    mov     $0x5a5a, %edx           /* for the tools to find */
    syscall
    mov     %rax, RESULT(%rip)
    movq    $0, COMMAND(%rip)
    jmp     1b
guest_code_end:
