// SPDX-License-Identifier: MIT
/*
 * Requests and interrupts between processors: who is interrupted, and what a flush waits for. Another CPU answers when
 * the one that waits looks around.
 */
// sources: x86/kick.c
#include <pv/platform.h>
#include "host.h"
#include <cmocka.h>

#define AFTER 3 /* looks until the other answers */

static u64 interrupted; /* by APIC number */
static u32 looks;
static void (*answer)(struct cpu *c);

void apic_send_ipi(u32 apic_id, u8 vector) {
    (void)vector;
    interrupted |= BIT(apic_id);
}

void cpu_look_at_others(struct cpu *awaited) {
    assert_non_null(awaited);
    assert_true(looks < AFTER);
    if (++looks == AFTER)
        answer(awaited);
}

static int set_up(void **state) {
    (void)state;
    host_set_cpus(4);
    for (u32 i = 0; i < nr_cpus; i++)
        cpus[i]->apic_id = 10 + i;
    interrupted = looks = 0;
    answer = NULL;
    return 0;
}

static void leave(struct cpu *c) {
    c->in_guest = 0;
}

/* Out, and in again before anybody looked. */
static void leave_and_return(struct cpu *c) {
    c->entries++;
}

static void flush_waits_for(void (*how)(struct cpu *c)) {
    answer = how;
    cpus[2]->in_guest = cpus[3]->in_guest = 1;
    cpu_flush_guests(BIT(0) | BIT(1) | BIT(2));
    assert_int_equal(looks, AFTER);
    assert_int_equal(interrupted, BIT(12));
}

static void flush_until_out(void **state) {
    (void)state;
    flush_waits_for(leave);
}

static void flush_until_in_again(void **state) {
    (void)state;
    flush_waits_for(leave_and_return);
}

static void flush_of_nobody(void **state) {
    (void)state;
    this_cpu()->in_guest = 1;
    cpu_flush_guests(~0ul);
    assert_int_equal(looks + interrupted, 0);
}

/* A CPU in the hypervisor sees a request on its way out; one that runs a guest or sleeps has to be told, once. */
static void requests(void **state) {
    (void)state;
    cpu_request(cpus[1], 1);
    cpu_request(this_cpu(), 1);
    assert_int_equal(interrupted, 0);
    cpus[2]->in_guest = 1;
    cpu_request(cpus[2], 1);
    assert_int_equal(interrupted, BIT(12));
    interrupted = 0;
    cpu_request(cpus[2], 1);
    assert_int_equal(interrupted, 0);
    cpu_request(cpus[2], 3);
    assert_int_equal(interrupted, BIT(12));
    cpus[3]->idle = 1;
    cpu_request(cpus[3], 1);
    assert_int_equal(interrupted, BIT(12) | BIT(13));
    assert_int_equal(cpus[2]->requests, 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(flush_until_out, set_up),
        cmocka_unit_test_setup(flush_until_in_again, set_up),
        cmocka_unit_test_setup(flush_of_nobody, set_up),
        cmocka_unit_test_setup(requests, set_up),
    };

    return cmocka_run_group_tests_name("kick", tests, NULL, NULL);
}
