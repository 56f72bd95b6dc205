/* SPDX-License-Identifier: MIT */
/*
 * time: nanoseconds since boot, one queue of timers for each CPU, and what guests see of both: vcpu_time_info, the
 * wall clock, and the timers of a vCPU. The room is pure; reading the TSC and programming the local APIC is for
 * platform, which declares nothing of its own for that: time_now() below is its.
 */
#ifndef PV_TIME_H
#define PV_TIME_H

#include <pv/lib.h>

struct vcpu;
struct domain;

#define TIME_NEVER UINT64_MAX
#define TIME_MS(n) ((n)*1000000ull)
#define TIME_US(n) ((n)*1000ull)
#define TIME_SEC(n) ((n)*1000000000ull)

/* Nanoseconds since boot: monotonic on each CPU, and nearly so between CPUs. Machine part: platform room. */
u64 time_now(void);
/* The TSC itself, for comparisons with time_ns_to_tsc(). Machine part. */
u64 time_tsc_now(void);

/* --- TSC to nanoseconds, exactly as guests compute it from vcpu_time_info --- */
struct tsc_scale {
    u32 mul; /* fraction of 2^32, applied after the shift */
    s8 shift;
    u32 khz;
    u64 tsc_base; /* at this TSC ... */
    u64 ns_base;  /* ... it was this many ns since boot */
};

/* Computes mul and shift; khz is brought into 1 .. 8,000,000. The result never runs ahead of the true rate. */
void time_scale_init(struct tsc_scale *s, u32 khz, u64 tsc_base, u64 ns_base);
/* ((delta shifted by shift) * mul) >> 32 with a 96-bit product. */
u64 time_scale_delta(const struct tsc_scale *s, u64 delta);
/* A TSC before tsc_base gives ns_base. */
u64 time_tsc_to_ns(const struct tsc_scale *s, u64 tsc);
/* For the TSC deadline: a value at which time_tsc_to_ns() is at least ns (near TIME_NEVER: UINT64_MAX). */
u64 time_ns_to_tsc(const struct tsc_scale *s, u64 ns);

/* The one scale of the machine, set once at boot before any guest exists. */
void time_set_scale(const struct tsc_scale *s);
const struct tsc_scale *time_scale(void);

/* --- timers --- */
/*
 * A timer sits in the queue of one CPU (an intrusive heap: setting one never fails) and its callback runs on that CPU,
 * with no lock held, from timer_run_expired(). Any CPU may set, move and cancel any timer; the last to do so wins.
 *
 * The race to know: once a callback was taken off its queue, cancelling or setting the timer from another CPU does not
 * stop it any more. So a callback looks again whether there is something to do, and whoever frees what it uses calls
 * timer_cancel_sync() first.
 *
 * Locks: the queue's lock is a leaf; any lock may be held around all calls but timer_run_expired() (none) and
 * timer_cancel_sync() (none that the callback takes).
 */
struct timer {
    void (*fn)(void *arg);
    void *arg;
    u64 expires; /* lock of queue `cpu`, as all below */
    u32 cpu;     /* changes only with the lock of the queue it names held */
    bool queued;
    struct timer *child, *next, *prev; /* heap: first child, next sibling, previous sibling or parent */
};

void timer_init(struct timer *t, void (*fn)(void *arg), void *arg);
/* Requests CPU_REQ_TIMER of that CPU (this one too) when the queue's earliest deadline becomes earlier. */
void timer_set(struct timer *t, u32 cpu, u64 expires_ns);
void timer_cancel(struct timer *t);
/* Also waits until a callback that runs on another CPU has returned. */
void timer_cancel_sync(struct timer *t);
bool timer_is_set(const struct timer *t);
/* Runs what expires at or before now. `cpu` must be the calling one. */
void timer_run_expired(u32 cpu, u64 now);
/* The earliest deadline of a queue, TIME_NEVER if it is empty. */
u64 timer_next(u32 cpu);

/* --- what guests see --- */
/* Writes v->info->time, and v->time_area if there is one, for the scale: before a vCPU first runs and at will. */
void time_update_vcpu(struct vcpu *v);
/* Writes wc_* of the domain's shared_info; wall clock = boot seconds + domain's wallclock_offset_ns + system time. */
void time_update_wallclock(struct domain *d);
/* The wall clock's seconds (since 1970) at boot, that is, at time_now() == 0. */
void time_set_wallclock(u64 sec, u32 nsec);
u64 time_boot_wallclock_ns(void);

/* --- timers of a vCPU: each raises VIRQ_TIMER but poll, which ends a SCHEDOP_poll --- */
void time_vcpu_init(struct vcpu *v);
void time_vcpu_destroy(struct vcpu *v); /* v runs nowhere and its domain is dying */
/* VCPUOP_set_singleshot_timer: -ETIME if VCPU_SSHOTTMR_future is given and abs_ns has passed. */
int time_vcpu_set_singleshot(struct vcpu *v, u64 abs_ns, u32 flags);
void time_vcpu_stop_singleshot(struct vcpu *v);
/* VCPUOP_set_periodic_timer: -EINVAL below 1 ms or far beyond reason. */
int time_vcpu_set_periodic(struct vcpu *v, u64 period_ns);
void time_vcpu_stop_periodic(struct vcpu *v);
/* HYPERVISOR_set_timer_op: 0 stops, the past (or what looks like a wrapped value) fires at once. Always returns 0. */
int time_vcpu_set_timer_op(struct vcpu *v, u64 abs_ns);
/* SCHEDOP_poll: at abs_ns evtchn_poll_end(v) is called. 0: no timeout. */
void time_vcpu_set_poll(struct vcpu *v, u64 abs_ns);
void time_vcpu_stop_poll(struct vcpu *v);

#endif
