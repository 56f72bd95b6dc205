// SPDX-License-Identifier: MIT
// sources: time/scale.c time/vcpu.c time/timer.c
/* The TSC's scale, what is published of it in guest pages, the wall clock, and the timers of a vCPU. */
#include "host.h"
#include <cmocka.h>

static u32 virqs, poll_ends;

void evtchn_send_virq(struct vcpu *v, u32 virq) {
    (void)v;
    assert_int_equal(virq, VIRQ_TIMER);
    virqs++;
}

void evtchn_poll_end(struct vcpu *v) {
    (void)v;
    poll_ends++;
}

static const u32 rates[] = {1,       999,     32768,   1000000, 1193182 / 1000, 1999999, 2000000,
                            2000001, 2399998, 2893202, 3999999, 4000001,        5200000, 8000000};

static void scale_is_accurate(void **state) {
    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(rates); i++) {
        struct tsc_scale s;
        time_scale_init(&s, rates[i], 1000, 5);
        assert_int_equal(time_tsc_to_ns(&s, 1000), 5);
        assert_int_equal(time_tsc_to_ns(&s, 0), 5);
        for (u64 sec = 1; sec <= 100000; sec *= 10) {
            u64 ns = time_scale_delta(&s, sec * rates[i] * 1000);
            assert_true(ns <= TIME_SEC(sec));
            assert_true(TIME_SEC(sec) - ns <= sec + 4); /* 1 ns a second, and what the shift cuts off */
        }
    }
}

static void scale_extremes(void **state) {
    (void)state;
    struct tsc_scale s;
    time_scale_init(&s, 0, 0, 0);
    assert_int_equal(s.khz, 1);
    time_scale_init(&s, UINT32_MAX, 0, 0);
    assert_int_equal(s.khz, 8000000);
    assert_true(time_scale_delta(&s, UINT64_MAX) < UINT64_MAX / 7);
    time_scale_init(&s, 1000000, 0, 0); /* 1 GHz: one to one, but for the last bit of mul */
    assert_true(time_scale_delta(&s, 1000000000) >= 999999999);
}

static void inverse(void **state) {
    (void)state;
    for (u32 i = 3; i < ARRAY_SIZE(rates); i++) {
        struct tsc_scale s;
        time_scale_init(&s, rates[i], 123456789, 1000);
        for (u64 ns = 1; ns < TIME_SEC(10000000ull); ns = ns * 3 + 1) {
            u64 tsc = time_ns_to_tsc(&s, ns);
            assert_true(time_tsc_to_ns(&s, tsc) >= ns);
            if (ns > 1000)
                assert_true(time_tsc_to_ns(&s, tsc) - ns < 20000 + ns / 500000000);
        }
        assert_int_equal(time_ns_to_tsc(&s, TIME_NEVER), UINT64_MAX);
    }
}

static void published(void **state) {
    (void)state;
    struct domain *d = host_domain(1, 1);
    struct vcpu *v = d->vcpu[0];
    struct vcpu_time_info area = {.version = 8};
    struct tsc_scale s;
    time_scale_init(&s, 2400000, 111, 222);
    time_set_scale(&s);
    time_update_vcpu(v);
    assert_int_equal(v->info->time.version, 2);
    assert_int_equal(v->info->time.tsc_timestamp, 111);
    assert_int_equal(v->info->time.system_time, 222);
    assert_int_equal(v->info->time.tsc_to_system_mul, s.mul);
    assert_int_equal(v->info->time.tsc_shift, s.shift);
    assert_int_equal(v->info->time.flags, 0);
    v->info->time.version = UINT32_MAX; /* a guest that plays with it */
    v->time_area = gva((u64)&area);
    time_update_vcpu(v);
    assert_int_equal(v->info->time.version % 2, 0);
    assert_int_equal(area.version, 10);
    assert_int_equal(area.tsc_to_system_mul, s.mul);
    v->time_area = gva(8); /* faults */
    time_update_vcpu(v);
    v->info = NULL;
    time_update_vcpu(v);
    host_domain_free(d);
}

static void wallclock(void **state) {
    (void)state;
    struct domain *d = host_domain(1, 1);
    time_set_wallclock(0x123456789, 7);
    d->wallclock_offset_ns = TIME_SEC(10) + 1;
    time_update_wallclock(d);
    assert_int_equal(d->shared_info->wc_version, 2);
    assert_int_equal(d->shared_info->wc_sec, 0x23456789 + 10);
    assert_int_equal(d->shared_info->wc_sec_hi, 1);
    assert_int_equal(d->shared_info->wc_nsec, 8);
    host_domain_free(d);
}

static void run_to(u64 now) {
    host_now = now;
    timer_run_expired(0, now);
}

static void vcpu_timers(void **state) {
    (void)state;
    host_set_cpus(2);
    struct domain *d = host_domain(1, 1);
    struct vcpu *v = d->vcpu[0];
    time_vcpu_init(v);
    virqs = poll_ends = 0;
    run_to(TIME_MS(100));

    assert_int_equal(time_vcpu_set_singleshot(v, TIME_MS(99), VCPU_SSHOTTMR_future), -ETIME);
    assert_int_equal(timer_next(0), TIME_NEVER);
    assert_int_equal(time_vcpu_set_singleshot(v, TIME_MS(99), 0), 0);
    run_to(TIME_MS(100));
    assert_int_equal(virqs, 1);
    assert_int_equal(time_vcpu_set_singleshot(v, TIME_MS(105), VCPU_SSHOTTMR_future), 0);
    time_vcpu_stop_singleshot(v);
    run_to(TIME_MS(106));
    assert_int_equal(virqs, 1);

    time_vcpu_set_timer_op(v, TIME_MS(110));
    time_vcpu_set_timer_op(v, 0);
    run_to(TIME_MS(111));
    assert_int_equal(virqs, 1);
    time_vcpu_set_timer_op(v, 1);
    run_to(TIME_MS(111));
    assert_int_equal(virqs, 2);
    time_vcpu_set_timer_op(v, UINT64_MAX - 5);
    run_to(TIME_MS(111));
    assert_int_equal(virqs, 3);
    time_vcpu_set_timer_op(v, INT64_MAX);
    run_to(TIME_MS(112));
    assert_int_equal(virqs, 3);
    time_vcpu_set_timer_op(v, 0);

    time_vcpu_set_poll(v, 0);
    assert_int_equal(timer_next(0), TIME_NEVER);
    time_vcpu_set_poll(v, TIME_MS(113));
    run_to(TIME_MS(113));
    assert_int_equal(poll_ends, 1);
    time_vcpu_destroy(v);
    host_domain_free(d);
}

static void periodic(void **state) {
    (void)state;
    host_set_cpus(2);
    struct domain *d = host_domain(1, 1);
    struct vcpu *v = d->vcpu[0];
    time_vcpu_init(v);
    run_to(0);
    virqs = 0;
    assert_int_equal(time_vcpu_set_periodic(v, TIME_MS(1) - 1), -EINVAL);
    assert_int_equal(time_vcpu_set_periodic(v, UINT64_MAX), -EINVAL);
    assert_int_equal(time_vcpu_set_periodic(v, TIME_MS(10)), 0);
    for (u64 ms = 1; ms <= 100; ms++)
        run_to(TIME_MS(ms));
    assert_int_equal(virqs, 10);
    run_to(TIME_MS(555)); /* a long stop: one tick, not 45 */
    assert_int_equal(virqs, 11);
    assert_int_equal(timer_next(0), TIME_MS(565));
    v->cpu = cpus[1]; /* follows its vCPU at the next tick */
    run_to(TIME_MS(565));
    assert_int_equal(timer_next(0), TIME_NEVER);
    assert_int_equal(timer_next(1), TIME_MS(575));
    time_vcpu_stop_periodic(v);
    assert_int_equal(timer_next(1), TIME_NEVER);
    time_vcpu_destroy(v);
    host_domain_free(d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scale_is_accurate), cmocka_unit_test(scale_extremes), cmocka_unit_test(inverse),
        cmocka_unit_test(published),         cmocka_unit_test(wallclock),      cmocka_unit_test(vcpu_timers),
        cmocka_unit_test(periodic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
