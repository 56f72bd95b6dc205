// SPDX-License-Identifier: MIT
// Guests' FPU state, saved and restored whole when a CPU changes its vCPU. CR0.TS must be clear.
#include <pv/x86.h>
#include <pv/lib.h>

void fpu_init_area(void *area) {
    u8 *bytes = area;

    memset(area, 0, x86_features.xsave_size);
    *(u16 *)bytes = 0x037f;        /* FCW after FNINIT */
    *(u32 *)(bytes + 24) = 0x1f80; /* MXCSR after reset */
    if (x86_features.xsave)
        *(u64 *)(bytes + 512) = 3; /* XSTATE_BV: x87 and SSE come from the area, the rest is initial */
}

#define FXSAVE_REGISTERS 416 /* bytes in use at the start of the area */
#define FXSAVE_MXCSR 24
#define FXSAVE_MXCSR_MASK 28
#define MXCSR_OF_OLD 0xffbfu /* bits of MXCSR where the CPU tells no mask */

u32 fpu_mxcsr_mask(void) {
    u8 area[512] __aligned(64);
    u32 mask;

    __asm__ volatile("fxsave64 %0" : "=m"(area));
    memcpy(&mask, area + FXSAVE_MXCSR_MASK, sizeof(mask));
    return mask ? mask : MXCSR_OF_OLD;
}

/* Bits of MXCSR that the CPU does not have would fault when the state is loaded, here. */
void fpu_fill_area(void *area, const void *fxsave) {
    u32 *mxcsr = (u32 *)(void *)((u8 *)area + FXSAVE_MXCSR);

    memcpy(area, fxsave, FXSAVE_REGISTERS);
    *mxcsr &= x86_features.mxcsr_mask;
}

#define XSAVE_HEADER 512 /* offset: components, form, 48 bytes of zeros */
#define XSAVE_HEADER_SIZE 64

/* In the standard form, with components that there are. */
bool fpu_state_ok(const void *area, u64 size) {
    u64 header[XSAVE_HEADER_SIZE / 8], reserved = 0;

    if (!x86_features.xsave || size < XSAVE_HEADER + XSAVE_HEADER_SIZE || size > x86_features.xsave_size)
        return false;
    memcpy(header, (const u8 *)area + XSAVE_HEADER, sizeof(header));
    for (u32 i = 1; i < ARRAY_SIZE(header); i++)
        reserved |= header[i];
    return !reserved && !(header[0] & ~x86_features.xcr0);
}

void fpu_set_area(void *to, const void *area, u64 size) {
    fpu_init_area(to);
    fpu_fill_area(to, area);
    memcpy((u8 *)to + XSAVE_HEADER, (const u8 *)area + XSAVE_HEADER, size - XSAVE_HEADER);
}

void fpu_save(void *area) {
    if (x86_features.xsave)
        __asm__ volatile("xsave64 (%0)" ::"r"(area), "a"(~0u), "d"(~0u) : "memory");
    else
        __asm__ volatile("fxsave64 (%0)" ::"r"(area) : "memory");
}

/* A pending exception must not be met on the way, nor a full stack. */
void fpu_take_pointers(void) {
    static const u32 operand;

    __asm__ volatile("fnclex\n\t"
                     "emms\n\t"
                     "fildl %0" ::"m"(operand));
}

void fpu_restore(const void *area) {
    if (x86_features.x87_pointers_stay)
        fpu_take_pointers();
    if (x86_features.xsave)
        __asm__ volatile("xrstor64 (%0)" ::"r"(area), "a"(~0u), "d"(~0u) : "memory");
    else
        __asm__ volatile("fxrstor64 (%0)" ::"r"(area) : "memory");
}
