// SPDX-License-Identifier: MIT
// sources: hypercall/vcpu.c
/*
 * VCPUOP_register_vcpu_info: a vCPU gets a place for its record once. Each refusal leaves the frame alone, and of two
 * vCPUs that ask at the same time for a third one, only one succeeds, or the other's frame would never be let go.
 */
#include "host.h"
#include "../../hypervisor/hypercall/internal.h"
#include <pv/evtchn.h>
#include <pv/run.h>
#include <pv/trap.h>
#include <cmocka.h>

#define NR_FRAMES 4
static struct page pages[NR_FRAMES];
static u8 memory[NR_FRAMES][PAGE_SIZE] __aligned(4096);
struct page *frame_table = pages;
static struct domain *d;
static bool unlocked;

bool mfn_valid(mfn_t m) {
    return m.n < NR_FRAMES;
}
void *maddr_to_virt(maddr_t ma) {
    return &memory[ma.a / PAGE_SIZE][ma.a % PAGE_SIZE];
}
int page_get_with_type(struct page *pg, struct domain *of, enum page_type type) {
    unlocked |= !spin_held(&of->lock);
    if (pg->owner != of->id + 1u || type != PT_WRITABLE)
        return -EINVAL;
    pg->count++;
    return 0;
}

/* What the rest of vcpu.c calls. */
void evtchn_mark_all_pending(struct vcpu *v) {
    v->info->evtchn_upcall_pending = 1;
}
void time_update_vcpu(struct vcpu *v) {
    v->info->time.version += 2;
}
bool hc_guest_address_ok(u64 a) {
    return a;
}
long vcpu_set_context(struct vcpu *v, const struct vcpu_guest_context *c) {
    (void)v, (void)c;
    return 0;
}
void domain_shutdown(struct domain *of, u8 code) {
    (void)of, (void)code;
}
int time_vcpu_set_singleshot(struct vcpu *v, u64 ns, u32 flags) {
    (void)v, (void)ns, (void)flags;
    return 0;
}
int time_vcpu_set_periodic(struct vcpu *v, u64 ns) {
    (void)v, (void)ns;
    return 0;
}
void time_vcpu_stop_singleshot(struct vcpu *v) {
    (void)v;
}
void time_vcpu_stop_periodic(struct vcpu *v) {
    (void)v;
}

static int setup(void **state) {
    (void)state;
    host_set_cpus(1);
    d = host_domain(3, 3);
    for (u32 i = 0; i < 3; i++) {
        d->vcpu[i]->info_mfn = d->shared_info_mfn = mfn(100);
        d->vcpu[i]->pause = i ? VCPU_DOWN : 0;
    }
    for (u32 i = 0; i < NR_FRAMES; i++)
        pages[i] = (struct page){.owner = i == 3 ? 1 : d->id + 1u};
    cpus[0]->current = d->vcpu[0];
    unlocked = false;
    return 0;
}

static int teardown(void **state) {
    (void)state;
    host_domain_free(d);
    return 0;
}

static long place(u32 vcpu, u64 frame, u32 offset) {
    struct vcpu_register_vcpu_info r = {.mfn = frame, .offset = offset};
    u64 arg[6] = {VCPUOP_register_vcpu_info, vcpu, (u64)&r};

    return hc_vcpu_op(d->vcpu[0], arg);
}

static void once(void **state) {
    (void)state;
    d->vcpu[1]->info->evtchn_pending_sel = 77;
    assert_int_equal(place(1, 1, 256), 0);
    assert_ptr_equal(d->vcpu[1]->info, &memory[1][256]);
    assert_int_equal(d->vcpu[1]->info->evtchn_pending_sel, 77);
    assert_int_equal(pages[1].count, 1);
    assert_int_equal(place(1, 2, 256), -EINVAL);
    assert_int_equal(pages[2].count, 0);
    assert_int_equal(place(0, 2, 0), 0);
    assert_false(unlocked);
    assert_false(spin_held(&d->lock));
}

static void refusals(void **state) {
    (void)state;
    assert_int_equal(place(1, 1, PAGE_SIZE - sizeof(struct vcpu_info) + 1), -ENXIO);
    assert_int_equal(place(1, 3, 0), -EINVAL);
    assert_int_equal(place(1, NR_FRAMES, 0), -EINVAL);
    assert_int_equal(place(3, 1, 0), -ENOENT);
    d->vcpu[2]->pause = 0; /* runs somewhere else */
    assert_int_equal(place(2, 1, 0), -EINVAL);
    for (u32 i = 0; i < NR_FRAMES; i++)
        assert_int_equal(pages[i].count, 0);
    assert_false(spin_held(&d->lock));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(once, setup, teardown),
        cmocka_unit_test_setup_teardown(refusals, setup, teardown),
    };

    return cmocka_run_group_tests_name("vcpu_info", tests, NULL, NULL);
}
