// SPDX-License-Identifier: MIT
/*
 * Instructions: those the CPU refuses a guest kernel, with wild operands; ways back from the kernel with wild frames;
 * and random bytes run in user mode.
 */
#include "fuzz.h"

void user_enter(void *regs); /* of the SDK: user_run() without its probe */

#define USER_CODE(f) (USER_VA + (f)->id * 0x10000UL)
#define USER_STACK(f) (USER_CODE(f) + 2 * PAGE_SIZE)

#define INSTRUCTION(s)                                                                                                 \
    { s, sizeof(s) - 1 }

/* RDI and RSI are addresses that may be wild, never the kernel's own. */
static const struct instruction {
    const char *bytes;
    unsigned length; /* some have a byte of 0 */
} instructions[] = {
    INSTRUCTION("\xf4"),                         /* hlt */
    INSTRUCTION("\xfa"),                         /* cli */
    INSTRUCTION("\xfb"),                         /* sti */
    INSTRUCTION("\x0f\x06"),                     /* clts */
    INSTRUCTION("\x0f\x09"),                     /* wbinvd */
    INSTRUCTION("\x0f\x08"),                     /* invd */
    INSTRUCTION("\x0f\x31"),                     /* rdtsc */
    INSTRUCTION("\x0f\x01\xf9"),                 /* rdtscp */
    INSTRUCTION("\x0f\x33"),                     /* rdpmc */
    INSTRUCTION("\x0f\xa2"),                     /* cpuid */
    INSTRUCTION("\x0f\x0b\x78\x65\x6e\x0f\xa2"), /* the forced cpuid */
    INSTRUCTION("\x0f\x0b\x78\x65\x6e"),         /* the first part of it */
    INSTRUCTION("\x0f\x01\xd0"),                 /* xgetbv */
    INSTRUCTION("\x0f\x01\xd1"),                 /* xsetbv */
    INSTRUCTION("\x0f\x01\xf8"),                 /* swapgs */
    INSTRUCTION("\xec"),                         /* in al, dx */
    INSTRUCTION("\xed"),                         /* in eax, dx */
    INSTRUCTION("\x66\xed"),                     /* in ax, dx */
    INSTRUCTION("\xee"),                         /* out dx, al */
    INSTRUCTION("\xef"),                         /* out dx, eax */
    INSTRUCTION("\x66\xef"),                     /* out dx, ax */
    INSTRUCTION("\x6c"),                         /* insb */
    INSTRUCTION("\x6d"),                         /* insd */
    INSTRUCTION("\x6e"),                         /* outsb */
    INSTRUCTION("\x66\x6f"),                     /* outsw */
    INSTRUCTION("\xf3\x6c"),                     /* rep insb */
    INSTRUCTION("\xf3\x6f"),                     /* rep outsd */
    INSTRUCTION("\xe4\x71"),                     /* in al, 0x71 */
    INSTRUCTION("\xe7\xfc"),                     /* out 0xfc, eax */
    INSTRUCTION("\x0f\x01\x17"),                 /* lgdt (rdi) */
    INSTRUCTION("\x0f\x01\x1f"),                 /* lidt (rdi) */
    INSTRUCTION("\x0f\x01\x07"),                 /* sgdt (rdi) */
    INSTRUCTION("\x0f\x01\x0f"),                 /* sidt (rdi) */
    INSTRUCTION("\x0f\x00\xd0"),                 /* lldt ax */
    INSTRUCTION("\x0f\x00\xd8"),                 /* ltr ax */
    INSTRUCTION("\x48\x0f\x00\xc0"),             /* sldt rax */
    INSTRUCTION("\x48\x0f\x00\xc8"),             /* str rax */
    INSTRUCTION("\x48\x0f\x01\xe0"),             /* smsw rax */
    INSTRUCTION("\x0f\x01\xf0"),                 /* lmsw ax */
    INSTRUCTION("\x0f\x01\x3f"),                 /* invlpg (rdi) */
    INSTRUCTION("\x0f\x20\xc0"),                 /* mov rax, cr0 */
    INSTRUCTION("\x0f\x22\xc0"),                 /* mov cr0, rax */
    INSTRUCTION("\x0f\x20\xd0"),                 /* mov rax, cr2 */
    INSTRUCTION("\x0f\x22\xd0"),                 /* mov cr2, rax */
    INSTRUCTION("\x0f\x20\xd8"),                 /* mov rax, cr3 */
    INSTRUCTION("\x0f\x20\xe0"),                 /* mov rax, cr4 */
    INSTRUCTION("\x0f\x22\xe0"),                 /* mov cr4, rax */
    INSTRUCTION("\x44\x0f\x20\xc0"),             /* mov rax, cr8 */
    INSTRUCTION("\x44\x0f\x22\xc0"),             /* mov cr8, rax */
    INSTRUCTION("\x0f\x21\xc0"),                 /* mov rax, dr0 */
    INSTRUCTION("\x0f\x21\xf8"),                 /* mov rax, dr7 */
    INSTRUCTION("\x0f\x23\xc7"),                 /* mov dr0, rdi */
    INSTRUCTION("\x0f\x23\xe7"),                 /* mov dr4, rdi */
    INSTRUCTION("\x0f\x23\xf0"),                 /* mov dr6, rax */
    INSTRUCTION("\x0f\x23\xf8"),                 /* mov dr7, rax */
    INSTRUCTION("\x0f\x01\xc8"),                 /* monitor */
    INSTRUCTION("\x0f\x01\xc9"),                 /* mwait */
    INSTRUCTION("\x0f\x01\xc1"),                 /* vmcall */
    INSTRUCTION("\x0f\x01\xd8"),                 /* vmrun */
    INSTRUCTION("\x0f\x01\xd9"),                 /* vmmcall */
    INSTRUCTION("\x0f\x01\xdd"),                 /* clgi */
    INSTRUCTION("\x0f\xaa"),                     /* rsm */
    INSTRUCTION("\x48\x0f\x07"),                 /* sysretq */
    INSTRUCTION("\x48\x0f\x35"),                 /* sysexitq */
    INSTRUCTION("\xcc"),                         /* int3 */
    INSTRUCTION("\xf1"),                         /* icebp */
    INSTRUCTION("\xcd\x21"),                     /* int 0x21 */
    INSTRUCTION("\xcd\xf0"),                     /* int 0xf0 */
    INSTRUCTION("\xcd\x08"),                     /* int 8 */
    INSTRUCTION("\x0f\x0b"),                     /* ud2 */
    INSTRUCTION("\x0f\x00\xe0"),                 /* verr ax */
    INSTRUCTION("\x0f\x02\xc0"),                 /* lar eax, ax */
    INSTRUCTION("\x0f\x03\xc0"),                 /* lsl eax, ax */
    INSTRUCTION("\xf3\x48\x0f\xae\xc0"),         /* rdfsbase rax */
    INSTRUCTION("\xf3\x48\x0f\xae\xd0"),         /* wrfsbase rax */
    INSTRUCTION("\xf3\x48\x0f\xae\xc8"),         /* rdgsbase rax */
    INSTRUCTION("\x66\x0f\x38\x82\x07"),         /* invpcid rax, (rdi) */
    INSTRUCTION("\x0f\x01\xca"),                 /* clac */
    INSTRUCTION("\x0f\x01\xcb"),                 /* stac */
    INSTRUCTION("\x0f\xae\x3f"),                 /* clflush (rdi) */
    INSTRUCTION("\x48\x0f\xae\x07"),             /* fxsave (rdi) */
    INSTRUCTION("\x0f\xae\x27"),                 /* xsave (rdi) */
    INSTRUCTION("\x0f\xae\x2f"),                 /* xrstor (rdi) */
    INSTRUCTION("\xdb\xe3\x9b"),                 /* fninit, fwait */
    INSTRUCTION("\xd9\xd0\xd8\xf1"),             /* fnop, fdiv st1 */
    INSTRUCTION("\xf0\x0f\xa2"),                 /* lock cpuid */
    INSTRUCTION("\x64\x0f\x01\x3f"),             /* invlpg fs:(rdi) */
    INSTRUCTION("\x65\x0f\x01\x17"),             /* lgdt gs:(rdi) */
    INSTRUCTION("\x0f\xff"),                     /* ud0 */
};

static const struct instruction *any_instruction(struct fuzzer *f) {
    return &instructions[below(f, ARRAY_SIZE(instructions))];
}

/* The current value with one bit changed, for registers where more is always refused; or any word. */
static uint64_t any_register(struct fuzzer *f) {
    static const uint64_t usual[] = {0x80050033, 0x8005003b, 0x660, 0x2660, 0x40660, 0xe0000011, 0xffff0ff0, 0x400};

    return one_in(f, 2) ? one_of(f, usual, ARRAY_SIZE(usual)) ^ (1UL << below(f, 64)) : any_word(f);
}

static uint32_t any_port_number(struct fuzzer *f) {
    static const uint64_t usual[] = {0x20, 0x21, 0x40, 0x43,  0x60,  0x61,  0x64,
                                     0x70, 0x71, 0x80, 0xcf8, 0xcf9, 0xcfc, 0x3f8};

    return one_in(f, 2) ? (uint32_t)one_of(f, usual, ARRAY_SIZE(usual)) : (uint32_t)below(f, 0x10000);
}

static void instruction(struct fuzzer *f) {
    const struct instruction *known = any_instruction(f);
    uint8_t *code = room(f, 32);
    uint64_t *regs = room(f, 6 * sizeof(*regs));

    memcpy(code, known->bytes, known->length);
    code[known->length] = 0xc3;
    regs[0] = any_register(f);
    regs[1] = below(f, 64);
    regs[2] = any_port_number(f);
    regs[3] = any_word(f);
    regs[4] = any_va(f);
    regs[5] = any_va(f);
    code_run(code, regs);
}

/* The base of GS, on which this kernel stands, is not written. */
static uint32_t any_msr(struct fuzzer *f) {
    static const uint64_t from[] = {0,          0x174,      0x200,      0x2ff,      0x480,      0x600,      0x800,
                                    0xd90,      0x40000000, 0x40000100, 0xc0000080, 0xc0000080, 0xc0000102, 0xc0010000,
                                    0xc0010110, 0xc0011020, 0x4b564d00, 0x1a0,      0x10,       0x1b};
    uint32_t msr = (uint32_t)one_of(f, from, ARRAY_SIZE(from)) + below(f, 16);

    if (one_in(f, 16))
        msr = (uint32_t)random_bits(f);
    return msr == 0xc0000101 ? 0xc0000102 : msr;
}

static void msr(struct fuzzer *f) {
    uint8_t *code = room(f, 16);
    uint64_t *regs = room(f, 6 * sizeof(*regs)), value = one_in(f, 2) ? any_word(f) : 1UL << below(f, 64);

    memcpy(code, one_in(f, 2) ? "\x0f\x32\xc3" : "\x0f\x30\xc3", 3);
    regs[0] = (uint32_t)value;
    regs[1] = any_msr(f);
    regs[2] = value >> 32;
    code_run(code, regs);
}

static void flags(struct fuzzer *f) {
    code_flags(one_in(f, 2) ? random_bits(f) : 1UL << below(f, 22));
}

/* Not to 32-bit code: it would cut off the stack pointer, and leave no stack for the next fault. */
static void far_return(struct fuzzer *f) {
    static const uint64_t selectors[] = {
        FLAT_RING3_CS64, FLAT_KERNEL_CS & ~3, FLAT_RING3_SS32, 0xe008, 0xe009, 0xe010, 0xe040, 0xe043, 0xfffb, 4, 8};

    code_far_return((unsigned)one_of(f, selectors, ARRAY_SIZE(selectors)));
}

/* Bytes that happen to be there may run for ever: the timer's event ends them. */
static void leave_for(struct fuzzer *f, unsigned ns) {
    f->leaving = true;
    hv_set_timer_op(clock_now() + ns);
}

/* Kernel frames keep a stack on which a fault can be taken: without, the hypervisor has to end the domain. */
static void wild_iret(struct fuzzer *f) {
    uint64_t *frame = room(f, 5 * sizeof(*frame));

    frame[0] = any_code(f);
    frame[1] = one_in(f, 2) ? FLAT_KERNEL_CS & ~3 : any_selector(f);
    frame[2] = one_in(f, 2) ? random_bits(f) : RFLAGS_IF | 2;
    frame[3] = one_in(f, 2) ? any_va(f) : random_bits(f);
    frame[4] = one_in(f, 2) ? FLAT_RING3_SS32 : any_selector(f);
    if ((frame[1] & 3) != 3)
        frame[3] = 0;
    else if (one_in(f, 2))
        frame[0] = one_in(f, 2) ? any_va(f) : random_bits(f);
    if (one_in(f, 4))
        frame[1] |= random_bits(f) << 16;
    if (frame[0] != ARG(code_ud))
        frame[2] |= RFLAGS_IF; /* upcalls masked, nothing would end it */
    leave_for(f, below(f, 200000));
    code_iret(frame, one_in(f, 8) ? random_bits(f) : (one_in(f, 2) ? VGCF_in_syscall : 0));
}

/* No VEX prefix: QEMU 7.2's translator ends itself over some such instructions (an assertion in gen_pinsr). */
static void spare_translator(uint8_t *bytes, unsigned n) {
    for (unsigned i = 0; i < n; i++)
        if (bytes[i] == 0xc4 || bytes[i] == 0xc5)
            bytes[i] = 0x90;
}

static void fill_user_code(struct fuzzer *f, uint8_t *page) {
    uint8_t bytes[256];
    unsigned at = 0;

    while (at < sizeof(bytes) - 8) {
        const struct instruction *known = any_instruction(f);

        if (one_in(f, 2)) {
            memcpy(bytes + at, known->bytes, known->length);
            at += known->length;
        } else {
            for (unsigned n = 1 + below(f, 6); n; n--)
                bytes[at++] = (uint8_t)random_bits(f);
        }
    }
    spare_translator(bytes, at);
    memcpy(page, bytes, at);
}

/* Random bytes in ring 3, until they trap or the timer ends them. */
static void user_code(struct fuzzer *f) {
    struct regs *regs = room(f, sizeof(*regs));

    fill_user_code(f, f->user_page);
    user_regs_init(regs, USER_CODE(f) + below(f, 128), USER_STACK(f) - 512);
    for (uint64_t *r = &regs->r15; r <= &regs->rdi; r++)
        *r = one_in(f, 2) ? USER_CODE(f) + below(f, 512) * 8 : any_word(f);
    if (one_in(f, 8))
        regs->cs = FLAT_RING3_CS32;
    regs->rflags |= one_in(f, 4) ? 1UL << below(f, 22) : 0;
    if (!one_in(f, 4))
        count(f, mmuext(MMUEXT_NEW_USER_BASEPTR, virt_to_mfn(pt_root())));
    leave_for(f, below(f, 200000));
    user_enter(regs);
}

void cpu_prepare_user(struct fuzzer *f) {
    f->user_page = user_map_code(pt_root(), USER_CODE(f), "", 0);
    user_map_data(pt_root(), USER_CODE(f) + PAGE_SIZE);
}

const struct action cpu_actions[] = {
    {"instruction", 30, instruction},
    {"msr", 10, msr},
    {"flags", 4, flags},
    {"far return", 4, far_return},
    {"iret", 20, wild_iret},
    {"user code", 20, user_code},
    {NULL, 0, NULL},
};
