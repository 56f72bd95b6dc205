// SPDX-License-Identifier: MIT
/*
 * All that the guest of run.c is: a page of code, behind which its page of words lies (struct words in run.c). It counts,
 * and makes a hypercall as often as it is told to, without a page for that.
 */
#include <xen/xen.h>

#define WORDS guest_code + 4096
#define COUNT WORDS
#define GO_ON WORDS + 8   /* 0: count; else call */
#define CALL WORDS + 16   /* its number */
#define ARG WORDS + 24    /* three arguments */
#define RESULT WORDS + 48 /* what the hypercall gave, should it come back */

.section .rodata
.balign 4096
.globl guest_code, guest_code_end
.hidden guest_code, guest_code_end
guest_code:
1:  incq    COUNT(%rip)
    cmpq    $0, GO_ON(%rip)
    je      1b
    mov     CALL(%rip), %rax
    mov     ARG(%rip), %rdi
    mov     ARG + 8(%rip), %rsi
    mov     ARG + 16(%rip), %rdx
    syscall
    mov     %rax, RESULT(%rip)
    movq    $0, GO_ON(%rip)
    jmp     1b
guest_code_end:
