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

void fpu_save(void *area) {
    if (x86_features.xsave)
        __asm__ volatile("xsave64 (%0)" ::"r"(area), "a"(~0u), "d"(~0u) : "memory");
    else
        __asm__ volatile("fxsave64 (%0)" ::"r"(area) : "memory");
}

void fpu_restore(const void *area) {
    if (x86_features.xsave)
        __asm__ volatile("xrstor64 (%0)" ::"r"(area), "a"(~0u), "d"(~0u) : "memory");
    else
        __asm__ volatile("fxrstor64 (%0)" ::"r"(area) : "memory");
}
