// SPDX-License-Identifier: MIT
// sources: debug/stuck.c
/* The watchdog over stuck CPUs: it finds each kind, and is not misled by machines and CPUs that stand still. */
#include "host.h"
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pv/platform.h>
#include <pv/time.h>
#include "../../hypervisor/debug/internal.h"

static u32 nmis[MAX_CPUS];
static bool takes_nmis; /* at once; else the test does it */
static jmp_buf died;

void timer_init(struct timer *t, void (*fn)(void *arg), void *arg) {
    *t = (struct timer){.fn = fn, .arg = arg};
}
void timer_set(struct timer *t, u32 cpu, u64 expires_ns) {
    t->cpu = cpu;
    t->expires = expires_ns;
}
void panic_at(const struct regs *r, const char *fmt, ...) {
    (void)r, (void)fmt;
    longjmp(died, 2);
}

static void answer(u32 cpu) {
    u32 self = host_cpu;
    struct regs r = {0};

    host_cpu = cpu;
    stuck_answer(&r);
    host_cpu = self;
}

void apic_send_nmi(u32 apic_id) {
    nmis[apic_id]++;
    if (takes_nmis)
        answer(apic_id);
}

static int set_up(void **state) {
    (void)state;
    host_set_cpus(3);
    for (u32 i = 0; i < 3; i++) {
        cpus[i]->apic_id = i;
        cpus[i]->rounds = 1;
        nmis[i] = 0;
    }
    host_cpu = 0;
    host_now += TIME_SEC(1000);
    takes_nmis = true;
    host_panic_to = &died;
    for (u32 i = 0; i < 2; i++) { /* every CPU looks and is looked at: nothing is left of the test before */
        for (host_cpu = 0; host_cpu < 3; host_cpu++) {
            cpus[0]->rounds++, cpus[1]->rounds++, cpus[2]->rounds++;
            host_now += TIME_SEC(2);
            cpu_look_at_others(NULL);
        }
    }
    host_cpu = 0;
    return 0;
}

/* One CPU looks n times, a second apart; the third one goes on. */
static void look(u32 n) {
    for (u32 i = 0; i < n; i++) {
        host_now += TIME_SEC(1);
        cpus[2]->rounds++;
        cpu_look_at_others(NULL);
    }
}

static void test_stuck_in_the_hypervisor(void **state) {
    (void)state;
    switch (setjmp(died)) {
    case 0:
        look(8);
        assert_int_equal(nmis[1], 5); /* from the fourth look on */
        look(100);
        fail();
    default:
        assert_int_equal(nmis[1], 6);
        assert_int_equal(nmis[2], 0);
    }
}

static void test_a_cpu_that_goes_on(void **state) {
    (void)state;
    if (setjmp(died))
        fail();
    for (u32 i = 0; i < 300; i++) {
        look(3);
        cpus[1]->rounds++;
    }
    for (u32 i = 0; i < 300; i++) {
        look(8);
        cpus[1]->entries++; /* slow, but under way */
    }
    assert_int_equal(nmis[2], 0);
}

static void test_guests_and_sleep_are_no_business_of_ours(void **state) {
    (void)state;
    if (setjmp(died))
        fail();
    cpus[1]->in_guest = 1;
    look(1000);
    cpus[1]->in_guest = 0;
    cpus[1]->idle = true;
    look(1000);
    cpus[1]->idle = false;
    cpus[1]->rounds = cpus[1]->entries = 0; /* still in its boot */
    look(1000);
    assert_int_equal(nmis[1], 0);
}

/* However far the clock goes on between two looks, they are two looks. */
static void test_a_machine_that_stood_still(void **state) {
    (void)state;
    if (setjmp(died))
        fail();
    for (u32 i = 0; i < 50; i++) {
        look(3);
        host_now += TIME_SEC(3600);
        look(1);
        cpus[1]->rounds++;
    }
}

/* A CPU that an outer host does not let run takes no NMI, and is not held to be stuck, for long. */
static void test_a_cpu_that_stands_still(void **state) {
    (void)state;
    takes_nmis = false;
    switch (setjmp(died)) {
    case 0:
        look(119);
        answer(1); /* many NMIs that came meanwhile are one */
        look(119);
        cpus[1]->rounds++;
        look(120); /* the first of them sees that it went on */
        break;
    default:
        fail();
    }
    if (setjmp(died))
        return;
    look(1);
    fail();
}

static void test_late_answer_of_a_cpu_that_goes_on(void **state) {
    (void)state;
    if (setjmp(died))
        fail();
    takes_nmis = false;
    look(20);
    cpus[1]->rounds++;
    for (u32 i = 0; i < 20; i++)
        answer(1);
}

static void test_waiting_for_a_guest_to_be_left(void **state) {
    (void)state;
    cpus[1]->in_guest = 1;
    switch (setjmp(died)) {
    case 0:
        for (u32 i = 0; i < 30; i++) {
            host_now += TIME_SEC(1);
            cpus[2]->rounds++;
            cpu_look_at_others(cpus[1]);
            host_cpu = 2; /* who does not wait must not undo it */
            cpu_look_at_others(NULL);
            host_cpu = 0;
        }
        fail();
    default:
        assert_int_equal(nmis[1], 6);
    }
}

static void test_who_came_out_is_not_waited_for(void **state) {
    (void)state;
    if (setjmp(died))
        fail();
    cpus[1]->in_guest = 1;
    host_now += TIME_SEC(1);
    cpu_look_at_others(cpus[1]);
    cpus[1]->entries++; /* out and in again, for long */
    look(1000);
    assert_int_equal(nmis[1], 0);
}

/* Two CPUs that look make one look in a period. */
static void test_looks_are_shared(void **state) {
    (void)state;
    takes_nmis = false;
    if (setjmp(died))
        fail();
    for (u32 i = 0; i < 3; i++) {
        look(1);
        for (u32 k = 0; k < 10; k++) {
            host_cpu = k & 2;
            cpu_look_at_others(NULL);
        }
        host_cpu = 0;
    }
    assert_int_equal(nmis[1], 0);
    look(1);
    assert_int_equal(nmis[1], 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_stuck_in_the_hypervisor, set_up),
        cmocka_unit_test_setup(test_a_cpu_that_goes_on, set_up),
        cmocka_unit_test_setup(test_guests_and_sleep_are_no_business_of_ours, set_up),
        cmocka_unit_test_setup(test_a_machine_that_stood_still, set_up),
        cmocka_unit_test_setup(test_a_cpu_that_stands_still, set_up),
        cmocka_unit_test_setup(test_late_answer_of_a_cpu_that_goes_on, set_up),
        cmocka_unit_test_setup(test_waiting_for_a_guest_to_be_left, set_up),
        cmocka_unit_test_setup(test_who_came_out_is_not_waited_for, set_up),
        cmocka_unit_test_setup(test_looks_are_shared, set_up),
    };
    return cmocka_run_group_tests_name("stuck", tests, NULL, NULL);
}
