/* SPDX-License-Identifier: MIT */
/*
 * Code that traps, with a label on the instruction that does (name_at) so that frames can be compared.
 * Each is called as void fn(void *arg [rdi]).
 */
        .macro  code name
        .globl  \name, \name\()_at
\name:
        .endm
        .text

code code_ud
code_ud_at: ud2
        ret
code code_de
        xor     %eax, %eax
        xor     %edx, %edx
code_de_at: div %eax
        ret
code code_bp
        int3
code_bp_at: ret
code code_int80
        int     $0x80
code_int80_at: ret
code code_int81
code_int81_at: int $0x81
        ret
code code_gp_noncanonical
        movabs  $0x8000000000000000, %rax
code_gp_noncanonical_at: mov (%rax), %eax
        ret
code code_gp_selector
        mov     $0x7fff8, %eax
code_gp_selector_at: mov %eax, %es
        ret
code code_step
        pushfq
        orq     $0x100, (%rsp)
        popfq
        nop
code_step_at: nop
        ret
code code_nm
code_nm_at: fnop
        ret
code code_icebp
        .byte   0xf1
code_icebp_at: ret
code code_into
code_into_at: .byte 0xce        /* not in 64-bit mode */
        ret
code code_lock
code_lock_at: .byte 0xf0
        nop
        ret
code code_long
code_long_at: .fill 15, 1, 0x66
        nop
        ret
code code_ss
        push    %rbp
        movabs  $0x8000000000000000, %rbp
code_ss_at: mov (%rbp), %eax
        pop     %rbp
        ret
        /* 1 / 0, with the exception for it unmasked */
code code_mf
        fninit
        push    $0x37b
        fldcw   (%rsp)
        pop     %rax
        fld1
        fldz
        fdivrp
code_mf_at: fwait
        ret
code code_xm
        push    $0x1d80
        ldmxcsr (%rsp)
        pop     %rax
        cvtsi2ss %eax, %xmm1
        xorps   %xmm0, %xmm0
code_xm_at: divss %xmm0, %xmm1
        ret
code code_cli
code_cli_at: cli
        ret
code code_sti
code_sti_at: sti
        ret
code code_swapgs
code_swapgs_at: swapgs
        ret
code code_lidt
        sub     $16, %rsp
code_lidt_at: lidt (%rsp)
        add     $16, %rsp
        ret
code code_ltr
        mov     $0xe040, %eax
code_ltr_at: ltr %ax
        ret
code code_forced_nop
code_forced_nop_at: ud2
        .ascii  "xen"
        nop
        ret

        /* rdi: struct regs' tail (rip, cs, rflags, rsp, ss), left for the iret hypercall. */
        .globl  code_raw_iret
code_raw_iret:
        mov     %rdi, %rsp
        push    $0
        jmp     hypercall_page + 23 * 32
        .section .note.GNU-stack, "", @progbits
