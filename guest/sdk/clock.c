// SPDX-License-Identifier: MIT
/*
 * Time, read from the versioned record in vcpu_info, and sleeping with the timer event.
 */
#include <sdk/clock.h>
#include <sdk/start.h>

static uint64_t scale(uint64_t ticks, const struct vcpu_time_info *t) {
    if (t->tsc_shift >= 0)
        ticks <<= t->tsc_shift;
    else
        ticks >>= -t->tsc_shift;
    return (uint64_t)(((unsigned __int128)ticks * t->tsc_to_system_mul) >> 32);
}

uint64_t clock_now(void) {
    const struct vcpu_time_info *t = &cpu_this()->info->time;
    uint32_t version;
    uint64_t now;

    do {
        version = READ_ONCE(t->version);
        barrier();
        now = t->system_time + scale(rdtsc() - t->tsc_timestamp, t);
        barrier();
    } while ((version & 1) || version != READ_ONCE(t->version));
    return now;
}

uint64_t clock_wall_seconds(void) {
    uint32_t version;
    uint64_t seconds;

    do {
        version = READ_ONCE(shared_info->wc_version);
        barrier();
        seconds = ((uint64_t)shared_info->wc_sec_hi << 32) | shared_info->wc_sec;
        barrier();
    } while ((version & 1) || version != READ_ONCE(shared_info->wc_version));
    return seconds + clock_now() / SECOND;
}

uint64_t clock_tsc_khz(void) {
    const struct vcpu_time_info *t = &cpu_this()->info->time;
    uint64_t khz = (1000000UL << 32) / t->tsc_to_system_mul;

    return t->tsc_shift >= 0 ? khz >> t->tsc_shift : khz << -t->tsc_shift;
}

static void timer_event(unsigned port) {
    (void)port;
    cpu_this()->timer_fired++;
}

void clock_init_cpu(void) {
    struct cpu *cpu = cpu_this();
    long port = event_bind_virq(VIRQ_TIMER, cpu->id);

    if (port < 0)
        panic("no timer event: %ld", port);
    cpu->timer_port = (unsigned)port;
    event_set_handler(cpu->timer_port, timer_event);
    event_unmask(cpu->timer_port);
    hv_vcpu_op(VCPUOP_stop_periodic_timer, cpu->id, NULL);
}

void clock_doze(uint64_t until) {
    hv_set_timer_op(until);
    hv_sched_op(SCHEDOP_block, NULL);
    events_disable();
}

void clock_sleep_until(uint64_t when) {
    bool were_enabled = events_disable();

    while (clock_now() < when)
        clock_doze(when);
    events_restore(were_enabled);
}

void clock_sleep(uint64_t ns) {
    clock_sleep_until(clock_now() + ns);
}

bool clock_wait_for(const volatile unsigned *flag, uint64_t ns) {
    uint64_t end = clock_now() + ns;

    while (!*flag && clock_now() < end) {
        cpu_relax();
        hv_sched_op(SCHEDOP_yield, NULL);
    }
    return *flag;
}
