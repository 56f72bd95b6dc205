// SPDX-License-Identifier: MIT
/*
 * What a guest sees of time: vcpu_time_info, the wall clock in shared_info, and the timers each vCPU has. The pages
 * written here belong to the guest, which may scribble in them at any time: nothing read back from them is relied on.
 */
#include <pv/time.h>
#include <pv/domain.h>
#include <pv/mm.h>

#define NS_PER_SEC 1000000000ull
#define PERIOD_MIN TIME_MS(1)
#define PERIOD_MAX TIME_SEC(1ull << 30)

static u64 boot_wallclock_ns;

/* --- clocks --- */

/* Each step must be seen by the guest in this order; on x86 that is a matter for the compiler only. */
static void publish_step(void) {
    __atomic_thread_fence(__ATOMIC_RELEASE);
}

/* The version is odd while the rest changes. A guest that spoils the version fools only itself. */
static void time_info_write(struct vcpu_time_info *to, const struct vcpu_time_info *from) {
    u32 version = (READ_ONCE(to->version) + 1) | 1;
    WRITE_ONCE(to->version, version);
    publish_step();
    WRITE_ONCE(to->tsc_timestamp, from->tsc_timestamp);
    WRITE_ONCE(to->system_time, from->system_time);
    WRITE_ONCE(to->tsc_to_system_mul, from->tsc_to_system_mul);
    WRITE_ONCE(to->tsc_shift, from->tsc_shift);
    WRITE_ONCE(to->flags, from->flags);
    publish_step();
    WRITE_ONCE(to->version, version + 1);
}

/* The secondary area is reached by copies, each of which may fail: then the guest took the area away, and has none. */
static void time_area_write(struct vcpu *v, const struct vcpu_time_info *from) {
    struct vcpu_time_info info = *from;
    const gva_t area = v->time_area;
    const gva_t version = gva(area.a + offsetof(struct vcpu_time_info, version));
    if (copy_from_vcpu(v, &info.version, version, sizeof(info.version)))
        return;
    info.version = (info.version + 1) | 1;
    if (copy_to_vcpu(v, version, &info.version, sizeof(info.version)))
        return;
    publish_step();
    if (copy_to_vcpu(v, area, &info, sizeof(info)))
        return;
    publish_step();
    info.version++;
    (void)copy_to_vcpu(v, version, &info.version, sizeof(info.version));
}

void time_update_vcpu(struct vcpu *v) {
    const struct tsc_scale *s = time_scale();
    const struct vcpu_time_info info = {
        .tsc_timestamp = s->tsc_base,
        .system_time = s->ns_base,
        .tsc_to_system_mul = s->mul,
        .tsc_shift = s->shift,
    };
    if (v->info)
        time_info_write(&v->info->time, &info);
    if (v->time_area.a)
        time_area_write(v, &info);
}

void time_set_wallclock(u64 sec, u32 nsec) {
    boot_wallclock_ns = sec * NS_PER_SEC + nsec;
}
u64 time_boot_wallclock_ns(void) {
    return boot_wallclock_ns;
}

void time_update_wallclock(struct domain *d) {
    struct shared_info *s = d->shared_info;
    u64 ns = boot_wallclock_ns + d->wallclock_offset_ns;
    u64 sec = ns / NS_PER_SEC;
    u32 version = (READ_ONCE(s->wc_version) + 1) | 1;
    WRITE_ONCE(s->wc_version, version);
    publish_step();
    WRITE_ONCE(s->wc_sec, (u32)sec);
    WRITE_ONCE(s->wc_sec_hi, (u32)(sec >> 32));
    WRITE_ONCE(s->wc_nsec, (u32)(ns % NS_PER_SEC));
    publish_step();
    WRITE_ONCE(s->wc_version, version + 1);
}

/* --- timers of a vCPU --- */

static u32 vcpu_timer_cpu(const struct vcpu *v) {
    return v->cpu ? v->cpu->id : this_cpu()->id;
}

static void singleshot_fired(void *arg) {
    evtchn_send_virq(arg, VIRQ_TIMER);
}

/* Keeps the period's phase; ticks missed by more than a period are dropped. */
static void periodic_fired(void *arg) {
    struct vcpu *v = arg;
    u64 period = READ_ONCE(v->periodic_ns), now = time_now();
    if (!period)
        return;
    evtchn_send_virq(v, VIRQ_TIMER);
    u64 next = v->periodic.expires + period;
    timer_set(&v->periodic, vcpu_timer_cpu(v), next > now ? next : now + period);
}

static void poll_fired(void *arg) {
    evtchn_poll_end(arg);
}

void time_vcpu_init(struct vcpu *v) {
    timer_init(&v->singleshot, singleshot_fired, v);
    timer_init(&v->periodic, periodic_fired, v);
    timer_init(&v->poll, poll_fired, v);
    v->periodic_ns = 0;
}

void time_vcpu_destroy(struct vcpu *v) {
    WRITE_ONCE(v->periodic_ns, 0);
    timer_cancel_sync(&v->singleshot);
    timer_cancel_sync(&v->periodic);
    timer_cancel_sync(&v->poll);
}

int time_vcpu_set_singleshot(struct vcpu *v, u64 abs_ns, u32 flags) {
    if ((flags & VCPU_SSHOTTMR_future) && abs_ns < time_now())
        return -ETIME;
    timer_set(&v->singleshot, vcpu_timer_cpu(v), abs_ns);
    return 0;
}

void time_vcpu_stop_singleshot(struct vcpu *v) {
    timer_cancel(&v->singleshot);
}

int time_vcpu_set_periodic(struct vcpu *v, u64 period_ns) {
    if (period_ns < PERIOD_MIN || period_ns > PERIOD_MAX)
        return -EINVAL;
    WRITE_ONCE(v->periodic_ns, period_ns);
    timer_set(&v->periodic, vcpu_timer_cpu(v), time_now() + period_ns);
    return 0;
}

void time_vcpu_stop_periodic(struct vcpu *v) {
    WRITE_ONCE(v->periodic_ns, 0);
    timer_cancel(&v->periodic);
}

/*
 * A guest kernel that computes "never" by adding to the clock may give a negative number; a timer for the year 2300
 * and one in the past are both answered by an event soon rather than by none.
 */
int time_vcpu_set_timer_op(struct vcpu *v, u64 abs_ns) {
    if (!abs_ns)
        timer_cancel(&v->singleshot);
    else
        timer_set(&v->singleshot, vcpu_timer_cpu(v), (s64)abs_ns < 0 ? time_now() : abs_ns);
    return 0;
}

void time_vcpu_set_poll(struct vcpu *v, u64 abs_ns) {
    if (abs_ns)
        timer_set(&v->poll, vcpu_timer_cpu(v), abs_ns);
}

void time_vcpu_stop_poll(struct vcpu *v) {
    timer_cancel(&v->poll);
}
