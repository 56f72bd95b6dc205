// SPDX-License-Identifier: MIT
// sources: control/host.c control/bitmap.c
/*
 * What the control domain's tools ask of the machine: long lists are done in pieces, and parameters reach the scheduler
 * or are refused.
 */
#include "host.h"
#include "../../hypervisor/control/internal.h"
#include <pv/boot_memory.h>
#include <pv/console.h>
#include <pv/dom0.h>
#include <pv/mm.h>
#include <pv/platform.h>
#include <pv/x86_vcpu.h>
#include <cmocka.h>

#define NR_DEVICES 300

/* --- the machine: a device in each even place --- */
u64 boot_memory_total = 256ul << 20;
u64 frame_table_max = 65536;
static const struct tsc_scale scale = {.khz = 1000000};
static u64 granularity;
static u32 looks;

bool dom0_knows_device(const struct pci_address *a) {
    looks++;
    return !a->seg && !(a->devfn & 1);
}
void sched_set_granularity(u64 ns) {
    granularity = ns;
}
u64 sched_granularity(void) {
    return granularity;
}
u64 sched_idle_time(u32 cpu, u64 now) {
    (void)now;
    return 100 + cpu;
}
struct domain *domain_get_from(u32 id) {
    (void)id;
    return NULL;
}
void domain_put(struct domain *d) {
    (void)d;
}
u64 control_online_cpus(void) {
    return 3;
}
const struct tsc_scale *time_scale(void) {
    return &scale;
}
u64 heap_free_count(void) {
    return 1000;
}
u64 domain_claims(void) {
    return 0;
}
void x86_hw_cap(u32 cap[8]) {
    cap[0] = 1;
}
size_t console_ring_read(u64 *index, char *buf, size_t n) {
    (void)index, (void)buf, (void)n;
    return 0;
}
void console_ring_clear(void) {}
void console_print_guest_table(void) {}

static int setup(void **state) {
    (void)state;
    host_set_cpus(2);
    host_preempt = false;
    looks = 0;
    granularity = 250000;
    return 0;
}

/* --- devices --- */
static physdev_pci_device_t dev[NR_DEVICES];
static u32 node[NR_DEVICES];

static u32 topology(u32 nr, long expected) {
    struct xen_sysctl op = {0};

    for (u32 i = 0; i < NR_DEVICES; i++)
        dev[i].devfn = (u8)i;
    op.u.pcitopoinfo.num_devs = nr;
    op.u.pcitopoinfo.devs.p = dev;
    op.u.pcitopoinfo.nodes.p = node;
    assert_int_equal(control_pci_topology(NULL, &op), expected);
    return op.u.pcitopoinfo.num_devs;
}

static void devices_are_there_or_not(void **state) {
    (void)state;
    assert_int_equal(topology(NR_DEVICES, 0), NR_DEVICES);
    assert_int_equal(node[6], XEN_INVALID_NODE_ID);
    assert_int_equal(node[7], XEN_INVALID_DEV);
    assert_int_equal(topology(0, 0), 0);
}

static void devices_in_pieces(void **state) {
    (void)state;
    host_preempt = true;
    assert_int_equal(topology(NR_DEVICES, 0), 64);
    assert_int_equal(looks, 64);
}

/* --- the scheduler --- */
static long params(u32 cmd, u32 us, u32 *result) {
    struct xen_sysctl op = {0};
    long rc;

    op.u.scheduler_op.sched_id = XEN_SCHEDULER_CREDIT2;
    op.u.scheduler_op.cmd = cmd;
    op.u.scheduler_op.u.sched_credit2.ratelimit_us = us;
    rc = control_scheduler_params(NULL, &op);
    *result = op.u.scheduler_op.u.sched_credit2.ratelimit_us;
    return rc;
}

static void ratelimit(void **state) {
    u32 us;

    (void)state;
    assert_int_equal(params(XEN_SYSCTL_SCHEDOP_getinfo, 7, &us), 0);
    assert_int_equal(us, 250);
    assert_int_equal(params(XEN_SYSCTL_SCHEDOP_putinfo, XEN_SYSCTL_SCHED_RATELIMIT_MIN - 1, &us), -EINVAL);
    assert_int_equal(params(XEN_SYSCTL_SCHEDOP_putinfo, XEN_SYSCTL_SCHED_RATELIMIT_MAX + 1, &us), -EINVAL);
    assert_int_equal(params(2, 1000, &us), -EINVAL);
    assert_int_equal(granularity, 250000);
    assert_int_equal(params(XEN_SYSCTL_SCHEDOP_putinfo, XEN_SYSCTL_SCHED_RATELIMIT_MAX, &us), 0);
    assert_int_equal(us, XEN_SYSCTL_SCHED_RATELIMIT_MAX);
    assert_int_equal(granularity, XEN_SYSCTL_SCHED_RATELIMIT_MAX * 1000ul);
    assert_int_equal(params(XEN_SYSCTL_SCHEDOP_putinfo, 0, &us), 0);
    assert_int_equal(granularity, 0);
}

static void idle_of_each_cpu(void **state) {
    xen_sysctl_cpuinfo_t info[4] = {0};
    struct xen_sysctl op = {0};

    (void)state;
    op.u.getcpuinfo.max_cpus = 4;
    op.u.getcpuinfo.info.p = info;
    assert_int_equal(control_cpu_info(NULL, &op), 0);
    assert_int_equal(op.u.getcpuinfo.nr_cpus, 2);
    assert_int_equal(info[0].idletime, 100);
    assert_int_equal(info[1].idletime, 101);
    assert_int_equal(info[2].idletime, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(devices_are_there_or_not, setup),
        cmocka_unit_test_setup(devices_in_pieces, setup),
        cmocka_unit_test_setup(ratelimit, setup),
        cmocka_unit_test_setup(idle_of_each_cpu, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
