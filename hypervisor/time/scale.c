// SPDX-License-Identifier: MIT
/*
 * TSC to nanoseconds and back: pure arithmetic, the same that guests do with what vcpu_time_info tells them, so that
 * they and the hypervisor agree to the nanosecond.
 */
#include <pv/time.h>

#define NS_PER_SEC 1000000000ull
#define MAX_KHZ 8000000u

static struct tsc_scale machine_scale;

void time_set_scale(const struct tsc_scale *s) {
    machine_scale = *s;
}
const struct tsc_scale *time_scale(void) {
    return &machine_scale;
}

/*
 * The factor 10^6 / khz as a shift, then mul / 2^32, where mul has its top bit set. Rounding is downwards, so guests
 * never see time run ahead of the true rate. Up to 8 GHz everything fits 64 bits.
 */
void time_scale_init(struct tsc_scale *s, u32 khz, u64 tsc_base, u64 ns_base) {
    khz = MIN(MAX(khz, 1u), MAX_KHZ);
    u64 hz = khz * 1000ull;
    s8 shift = 0;
    while (shift > -2 && hz >> -shift > 2 * NS_PER_SEC)
        shift--;
    while (shift >= 0 && hz << shift <= NS_PER_SEC)
        shift++;
    u64 mul = shift > 0 ? (NS_PER_SEC << 32) / (hz << shift) : (NS_PER_SEC << (32 - shift)) / hz;
    *s = (struct tsc_scale){
        .mul = (u32)MIN(mul, (u64)UINT32_MAX), .shift = shift, .khz = khz, .tsc_base = tsc_base, .ns_base = ns_base};
}

u64 time_scale_delta(const struct tsc_scale *s, u64 delta) {
    delta = s->shift < 0 ? delta >> -s->shift : delta << s->shift;
    return (u64)(((unsigned __int128)delta * s->mul) >> 32);
}

u64 time_tsc_to_ns(const struct tsc_scale *s, u64 tsc) {
    return tsc <= s->tsc_base ? s->ns_base : s->ns_base + time_scale_delta(s, tsc - s->tsc_base);
}

/* mul is up to 2^-31 of itself too small and the shift drops bits: the margin makes up for both. */
u64 time_ns_to_tsc(const struct tsc_scale *s, u64 ns) {
    if (ns <= s->ns_base)
        return s->tsc_base;
    ns -= s->ns_base;
    if (ns > TIME_SEC(1ull << 31))
        return UINT64_MAX;
    u64 sec = ns / NS_PER_SEC, rest = ns % NS_PER_SEC;
    u64 delta = sec * s->khz * 1000 + rest * s->khz / 1000000;
    delta += (delta >> 30) + s->khz / 1000000 + 16;
    return delta > UINT64_MAX - s->tsc_base ? UINT64_MAX : s->tsc_base + delta;
}
