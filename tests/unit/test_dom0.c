// SPDX-License-Identifier: MIT
// sources: tests/unit/hc_stubs.c tests/unit/mm_host.c hypercall/*.c gnttab/*.c evtchn/*.c mm/[!m]*.c
// sources: tests/unit/dom0_host.c dom0/*[!ms].c dom0/devices.c
/*
 * The control domain's devices, on the machine of dom0_host.h. What is looked at: which lines and messages are open and
 * where they lead, what the guest is told, what it may not touch, and that nothing is left when it ends.
 * scripts/alloc-sites names some of these tests.
 */
#include "dom0_host.h"
#include <pv/boot.h>

/* --- lines --- */

static void test_numbers(void **state) {
    u32 port;

    (void)state;
    assert_int_equal(map_line(5, -1), 0);
    assert_int_equal(GOT(map_pirq)->pirq, 5);
    assert_int_equal(map_line(5, 5), 0);
    assert_int_equal(map_line(5, 6), -EEXIST);
    assert_int_equal(map_line(6, 5), -EEXIST);
    assert_int_equal(map_line(0, 0), -EPERM);
    assert_int_equal(map_line(LINES, -1), -EINVAL);
    assert_int_equal(map_line(-1, -1), -EINVAL);
    assert_int_equal(map_line(7, NR_PIRQS), -EINVAL);
    assert_int_equal(map_line(7, 0x7fffffff), -EINVAL);
    assert_int_equal(PHYSDEV(get_free_pirq, get_free_pirq, 0), 0);
    assert_int_equal(GOT(get_free_pirq)->pirq, NR_PIRQS - 1);
    assert_int_equal(map_line(7, NR_PIRQS - 1), 0);
    assert_int_equal(bind(d, 8, &port), -EPERM);
    assert_int_equal(bind(d, NR_PIRQS, &port), -EINVAL);
    assert_int_equal(map_line(OURS, -1), 0);
    assert_int_equal(bind(d, OURS, &port), -EBUSY);
    assert_int_equal(unmap(5), 0);
    assert_int_equal(unmap(5), -EINVAL);
    assert_int_equal(unmap(0xffffffff), -EINVAL);
    assert_int_equal(PHYSDEV(map_pirq, map_pirq, .domid = 2, .type = MAP_PIRQ_TYPE_GSI, .index = 5), -EPERM);
    assert_int_equal(PHYSDEV(map_pirq, map_pirq, .domid = 9, .type = MAP_PIRQ_TYPE_GSI, .index = 5), -ESRCH);
    assert_int_equal(PHYSDEV(unmap_pirq, unmap_pirq, .domid = 2, .pirq = 7), -EPERM);
    assert_int_equal(PHYSDEV(map_pirq, map_pirq, .domid = DOMID_SELF, .type = 2), -EINVAL);
}

static void test_set_up(void **state) {
    u32 port;

    (void)state;
    assert_int_equal(PHYSDEV(setup_gsi, setup_gsi, .gsi = 5, .triggering = 1, .polarity = 1), 0);
    assert_int_equal(PHYSDEV(setup_gsi, setup_gsi, .gsi = 5, .triggering = 1, .polarity = 1), -EEXIST);
    assert_int_equal(PHYSDEV(setup_gsi, setup_gsi, .gsi = OURS), -EEXIST);
    assert_int_equal(PHYSDEV(setup_gsi, setup_gsi, .gsi = 0), -EEXIST);
    assert_int_equal(PHYSDEV(setup_gsi, setup_gsi, .gsi = LINES), -EINVAL);
    assert_int_equal(PHYSDEV(setup_gsi, setup_gsi, .gsi = -1), -EINVAL);
    assert_int_equal(map_line(5, 5), 0);
    assert_int_equal(bind(d, 5, &port), 0);
    assert_true(line[5].route.level && line[5].route.low && line[5].open);
    assert_int_equal(map_line(16, 16), 0);
    assert_int_equal(bind(d, 16, &port), 0);
    assert_int_equal(PHYSDEV(setup_gsi, setup_gsi, .gsi = 16), -EEXIST); /* in use */
    assert_true(line[16].route.level);
    assert_int_equal(PHYSDEV(irq_status_query, irq_status_query, .irq = 300), 0);
    assert_int_equal(GOT(irq_status_query)->flags, XENIRQSTAT_needs_eoi);
    assert_int_equal(PHYSDEV(irq_status_query, irq_status_query, .irq = NR_PIRQS), -EINVAL);
    assert_int_equal(PHYSDEV(alloc_irq_vector, irq, .irq = 77), 0);
    assert_int_equal(GOT(irq)->vector, 77);
    assert_int_equal(PHYSDEV(apic_read, apic, .apic_physbase = 0xfec00000, .reg = 1), 0);
    assert_int_equal(GOT(apic)->value, 2);
    assert_int_equal(PHYSDEV(apic_read, apic, .apic_physbase = 0xfec01000, .reg = 1), -EINVAL);
    assert_int_equal(PHYSDEV(apic_write, apic, .apic_physbase = 0xfec00000, .reg = 0x20, .value = 0xf0), 0);
    assert_int_equal(PHYSDEV(apic_write, apic, .apic_physbase = 0xfec00000, .reg = 0x200), -EINVAL);
}

static void test_level(void **state) {
    u64 *map = set_eoi_map(2);
    u32 port, again;

    (void)state;
    assert_int_equal(map_line(16, 16), 0);
    assert_false(line[16].open);
    assert_int_equal(bind(d, 16, &port), 0);
    assert_int_equal(bind(d, 16, &again), -EEXIST);
    assert_true(line[16].open);
    assert_true(bit_test(map, 16));
    assert_true(dom0_interrupt(line[16].route.vector));
    assert_true(pending(port));
    assert_false(line[16].open);
    assert_true(look(port));
    assert_int_equal(eoi(16), 0);
    assert_true(line[16].open);
    assert_false(pending(port)); /* the line itself says whether there is more */
    assert_true(bit_test(map, 16));
    assert_int_equal(eoi(17), -EINVAL);
    assert_int_equal(eoi(0xffffffff), -EINVAL);
    assert_true(dom0_interrupt(line[16].route.vector));
    assert_int_equal(evtchn_close(d, port), 0);
    assert_false(line[16].open);
    assert_false(bit_test(map, 16));
    assert_int_equal(eoi(16), 0);
    assert_false(line[16].open); /* nobody is bound: an EOI too late opens nothing */
    assert_true(dom0_interrupt(line[16].route.vector));
}

static void test_edge(void **state) {
    u64 *map = set_eoi_map(2);
    u32 port;

    (void)state;
    assert_int_equal(map_line(8, 8), 0);
    assert_int_equal(bind(d, 8, &port), 0);
    assert_false(bit_test(map, 8));
    for (u32 i = 0; i < 1000; i++) { /* as long as the guest looks */
        assert_true(dom0_interrupt(line[8].route.vector));
        assert_true(look(port));
        assert_true(line[8].open);
    }
    assert_int_equal(eoi(8), 0);
    assert_false(pending(port));
    for (u32 i = 0; i < 1000 && line[8].open; i++) /* and when it does not */
        dom0_interrupt(line[8].route.vector);
    assert_false(line[8].open);
    assert_true(bit_test(map, 8));
    assert_true(look(port));
    assert_int_equal(eoi(8), 0);
    assert_true(line[8].open);
    assert_false(bit_test(map, 8));
    assert_true(pending(port)); /* for what may have been lost */
    assert_false(dom0_interrupt(0xef));
}

static void test_eoi_map(void **state) {
    mfn_t m = mm_host_frame(d), foreign = mm_host_frame(other);
    u32 port;

    (void)state;
    assert_int_equal(map_line(16, 16), 0);
    assert_int_equal(bind(d, 16, &port), 0);
    assert_int_equal(PHYSDEV(pirq_eoi_gmfn_v2, pirq_eoi_gmfn, .gmfn = ~0ul >> 12), -EINVAL);
    assert_int_equal(PHYSDEV(pirq_eoi_gmfn_v2, pirq_eoi_gmfn, .gmfn = foreign.n), -EINVAL);
    assert_int_equal(PHYSDEV(pirq_eoi_gmfn_v2, pirq_eoi_gmfn, .gmfn = s.l[1].n), -EINVAL);
    u64 *map = set_eoi_map(1);
    assert_true(bit_test(map, 16)); /* bound before */
    u32 uses = mm_uses(m);
    assert_int_equal(PHYSDEV(pirq_eoi_gmfn_v2, pirq_eoi_gmfn, .gmfn = m.n), -EBUSY);
    assert_int_equal(mm_uses(m), uses);
    bit_set((u64 *)d->shared_info->evtchn_mask, port); /* version 1: an EOI unmasks the port */
    assert_int_equal(eoi(16), 0);
    assert_false(bit_test((u64 *)d->shared_info->evtchn_mask, port));
}

static void test_moving(void **state) {
    struct evtchn_bind_vcpu b = {.vcpu = 1};

    (void)state;
    assert_int_equal(map_line(16, 16), 0);
    assert_int_equal(bind(d, 16, &b.port), 0);
    u8 vector = line[16].route.vector;
    assert_int_equal(line[16].route.apic_id, 0);
    assert_int_equal(evtchn_op(d->vcpu[0], EVTCHNOP_bind_vcpu, &b), 0);
    assert_int_equal(line[16].route.apic_id, 3);
    assert_int_equal(line[16].route.vector, vector);
    assert_true(line[16].open);
    d->vcpu[1]->cpu = cpus[0]; /* the scheduler took it elsewhere: so does the interrupt go, in a while */
    for (u32 i = 0; i < 100 && line[16].route.apic_id; i++) {
        host_cpu = 1;
        dom0_interrupt(vector);
        host_cpu = 0;
        eoi(16);
    }
    assert_int_equal(line[16].route.apic_id, 0);
    assert_true(line[16].open);
}

/* --- messages --- */

static void test_message(void **state) {
    u32 port;

    (void)state;
    assert_int_equal(map_message(MAP_PIRQ_TYPE_MSI_SEG, EDU, 0, 0), -ENODEV); /* not told of */
    assert_int_equal(add(EDU), 0);
    assert_int_equal(add(EDU), 0);
    assert_int_equal(map_message(MAP_PIRQ_TYPE_MSI_SEG, EDU, 3, 0x1000), -ENODEV); /* it has no table */
    assert_int_equal(map_message(MAP_PIRQ_TYPE_MULTI_MSI, EDU, 2, 0), -EOPNOTSUPP);
    assert_int_equal(map_message(MAP_PIRQ_TYPE_MULTI_MSI, EDU, 33, 0), -EDOM);
    assert_int_equal(map_message(MAP_PIRQ_TYPE_MSI_SEG, EDU, 0, 0), 0);
    u32 pirq = (u32)GOT(map_pirq)->pirq;
    u8 vector = (u8)get16(EDU, 0x4c);
    assert_int_equal(get32(EDU, 0x44), 0xfee00000);
    assert_int_equal(get32(EDU, 0x48), 0);
    assert_true(vector > VEC_IOAPIC_FIRST && vector < VEC_TIMER && vector != 0x80);
    assert_int_equal(map_message(MAP_PIRQ_TYPE_MSI, EDU, 0, 0), -EEXIST);
    put16(EDU, 0x42, 0x81);              /* the driver switches it on */
    assert_true(dom0_interrupt(vector)); /* nobody is bound: it is switched off */
    assert_int_equal(get16(EDU, 0x42), 0x80);
    assert_int_equal(bind(d, pirq, &port), 0);
    assert_int_equal(get16(EDU, 0x42), 0x81);
    assert_true(dom0_interrupt(vector));
    assert_true(look(port));
    assert_int_equal(evtchn_close(d, port), 0);
    assert_int_equal(get16(EDU, 0x42), 0x80);
    assert_int_equal(unmap(pirq), 0);
    assert_false(dom0_interrupt(vector));
    assert_int_equal(PHYSDEV(pci_device_remove, pci_device, .devfn = EDU), 0);
    assert_int_equal(PHYSDEV(pci_device_remove, pci_device, .devfn = EDU), -ENODEV);
}

static void test_masks(void **state) {
    u32 port;

    (void)state;
    assert_int_equal(add(NIC), 0);
    assert_int_equal(map_message(MAP_PIRQ_TYPE_MSI, NIC, 0, 0), 0);
    u32 pirq = (u32)GOT(map_pirq)->pirq;
    assert_int_equal(get32(NIC, 0x54), 0xfee00000);
    assert_int_equal(get32(NIC, 0x5c), 1);
    assert_int_equal(bind(d, pirq, &port), 0);
    assert_int_equal(get32(NIC, 0x5c), 0);
    for (u32 i = 0; i < 1000 && !get32(NIC, 0x5c); i++)
        dom0_interrupt(get16(NIC, 0x58));
    assert_int_equal(get32(NIC, 0x5c), 1);
    assert_int_equal(eoi(pirq), 0);
    assert_int_equal(get32(NIC, 0x5c), 0);
    put32(NIC, 0x54, 0); /* a reset of the device loses it */
    put32(NIC, 0x5c, 0);
    assert_int_equal(PHYSDEV(restore_msi_ext, pci_device, .devfn = NIC), 0);
    assert_int_equal(get32(NIC, 0x54), 0xfee00000);
    assert_int_equal(get32(NIC, 0x5c), 0);
}

static void test_table(void **state) {
    struct evtchn_bind_vcpu b = {.vcpu = 1};

    (void)state;
    assert_int_equal(add(NIC), 0);
    assert_int_equal(map_message(MAP_PIRQ_TYPE_MSI_SEG, NIC, ENTRIES, BAR), -EINVAL);
    assert_int_equal(map_message(MAP_PIRQ_TYPE_MSI_SEG, NIC, -1, BAR), -EINVAL);
    assert_int_equal(map_message(MAP_PIRQ_TYPE_MSI_SEG, NIC, 0, BAR + 0x1000), -ENXIO);
    put16(NIC, 4, 5);
    assert_int_equal(map_message(MAP_PIRQ_TYPE_MSI_SEG, NIC, 0, BAR), -ENXIO); /* its memory is switched off */
    put16(NIC, 4, 7);
    assert_int_equal(map_message(MAP_PIRQ_TYPE_MSI_SEG, NIC, 1, BAR), 0);
    u32 pirq = (u32)GOT(map_pirq)->pirq;
    u8 vector = (u8)table[6];
    assert_int_equal(table[4], 0xfee00000);
    assert_int_equal(table[7], 1);
    assert_int_equal(map_message(MAP_PIRQ_TYPE_MSI_SEG, NIC, 1, BAR), -EEXIST);
    assert_int_equal(map_message(MAP_PIRQ_TYPE_MSI_SEG, NIC, 4, BAR), 0);
    assert_int_not_equal(table[18], vector);
    assert_int_equal(bind(d, pirq, &b.port), 0);
    assert_int_equal(table[7], 0);
    assert_true(dom0_interrupt(vector));
    assert_true(look(b.port));
    assert_int_equal(evtchn_op(d->vcpu[0], EVTCHNOP_bind_vcpu, &b), 0);
    assert_int_equal(table[4], 0xfee03000);
    assert_int_equal(table[6], vector);
    put16(NIC, 4, 5); /* what lies at the table's address now is something else: it is left alone */
    table[7] = 77;
    assert_int_equal(evtchn_close(d, b.port), 0);
    assert_int_equal(table[7], 77);
    put16(NIC, 4, 7);
    assert_int_equal(unmap(pirq), 0);
    assert_int_equal(table[7], 1);
}

/* A BAR that the control domain moved over RAM, or over the interrupt controllers. */
static void test_table_elsewhere(void **state) {
    (void)state;
    assert_int_equal(add(NIC), 0);
    boot_info.nr_ranges = 1;
    boot_info.range[0] = (struct boot_range){.start = 0, .end = 0xc0000000, .ram = true};
    put32(NIC, 0x1c, 0x10000000);
    assert_int_equal(map_message(MAP_PIRQ_TYPE_MSI_SEG, NIC, 0, 0x10000000), -ENXIO);
    put32(NIC, 0x1c, 0xfee00000);
    assert_int_equal(map_message(MAP_PIRQ_TYPE_MSI_SEG, NIC, 0, 0xfee00000), -ENXIO);
    put32(NIC, 0x1c, BAR | 1); /* ports */
    assert_int_equal(map_message(MAP_PIRQ_TYPE_MSI_SEG, NIC, 0, BAR), -ENXIO);
    boot_info.nr_ranges = 0;
}

static void test_out_of_reach(void **state) {
    (void)state;
    assert_int_equal(add(NIC), 0);
    out_of_reach = true;
    assert_int_equal(map_message(MAP_PIRQ_TYPE_MSI_SEG, NIC, 0, BAR), -ENXIO);
    out_of_reach = false;
    assert_int_equal(map_message(MAP_PIRQ_TYPE_MSI_SEG, NIC, 0, BAR), 0);
}

static void test_capabilities(void **state) {
    (void)state;
    assert_int_equal(add(LOOP), 0);
    assert_int_equal(map_message(MAP_PIRQ_TYPE_MSI_SEG, LOOP, 0, 0), -ENODEV);
    assert_int_equal(add(0x77), 0); /* nothing is there */
    assert_int_equal(map_message(MAP_PIRQ_TYPE_MSI_SEG, 0x77, 0, 0), -ENODEV);
    assert_int_equal(PHYSDEV(prepare_msix, pci_device, .devfn = LOOP), -ENODEV);
    assert_int_equal(PHYSDEV(prepare_msix, pci_device, .devfn = 0x99), -ENODEV);
    assert_int_equal(add(NIC), 0);
    assert_int_equal(PHYSDEV(prepare_msix, pci_device, .devfn = NIC), 0);
    assert_int_equal(PHYSDEV(release_msix, pci_device, .devfn = NIC), 0);
}

static void test_vectors_run_out(void **state) {
    u32 mapped = 0, port;
    long rc = 0;

    (void)state;
    assert_int_equal(add(NIC), 0);
    put16(NIC, 0x62, TABLE_MAX - 1);
    assert_int_equal(map_line(20, 20), 0);
    for (int i = 0; !rc && i < TABLE_MAX; i++) {
        rc = map_message(MAP_PIRQ_TYPE_MSI_SEG, NIC, i, BAR);
        mapped += !rc;
    }
    assert_int_equal(rc, -ENOSPC);
    assert_true(mapped > 100 && mapped < 224);
    assert_int_equal(bind(d, 20, &port), -ENOSPC);
    assert_false(line[20].open);
    assert_int_equal(unmap(NR_PIRQS - 1), 0);
    assert_int_equal(bind(d, 20, &port), 0);
}

static void test_devices(void **state) {
    (void)state;
    host_fail_at = 1;
    assert_int_equal(add(EDU), -ENOMEM);
    assert_int_equal(host_fail_at, 0);
    assert_int_equal(map_message(MAP_PIRQ_TYPE_MSI, EDU, 0, 0), -ENODEV);
    assert_int_equal(add(EDU), 0);
}

/* --- the rest --- */

static void test_windows(void **state) {
    (void)state;
    assert_int_equal(PHYSDEV(pci_mmcfg_reserved, pci_mmcfg_reserved, 0xb0000000, 0, 0, 255, 1), 0);
    assert_int_equal(PHYSDEV(pci_mmcfg_reserved, pci_mmcfg_reserved, 0xb0000000, 0, 0, 255, 9), -EINVAL);
    assert_int_equal(PHYSDEV(pci_mmcfg_reserved, pci_mmcfg_reserved, 0x1000, 0, 0, 255, 1), -EIO);
    assert_int_equal(PHYSDEV(pci_mmcfg_reserved, pci_mmcfg_reserved, 0xb0000000, 3, 0, 255, 1), -ENODEV);
    assert_int_equal(PHYSDEV(dbgp_op, dbgp_op, .op = PHYSDEVOP_DBGP_RESET_PREPARE), 0);
}

static void test_end(void **state) {
    mfn_t m = mm_host_frame(d);
    u32 port, vector;

    (void)state;
    u32 refs = mm_refs(m), uses = mm_uses(m);
    assert_int_equal(PHYSDEV(pirq_eoi_gmfn_v2, pirq_eoi_gmfn, .gmfn = m.n), 0);
    assert_int_equal(map_line(16, 16), 0);
    assert_int_equal(bind(d, 16, &port), 0);
    assert_int_equal(add(NIC), 0);
    assert_int_equal(map_message(MAP_PIRQ_TYPE_MSI_SEG, NIC, 1, BAR), 0);
    assert_int_equal(bind(d, (u32)GOT(map_pirq)->pirq, &port), 0);
    vector = table[6];
    evtchn_destroy(d);
    assert_false(line[16].open);
    assert_int_equal(table[7], 1);
    assert_false(dom0_interrupt(vector));
    assert_false(dom0_interrupt(line[16].route.vector));
    assert_int_equal(mm_refs(m), refs);
    assert_int_equal(mm_uses(m), uses);
    for (u32 n = 0; n < NR_PIRQS; n++)
        assert_int_equal(pirqs[n].kind, PIRQ_FREE);
}

static void test_others(void **state) {
    u32 port;

    (void)state;
    assert_int_equal(map_line(16, 16), 0);
    assert_int_equal(bind(other, 16, &port), -EPERM);
    evtchn_destroy(other); /* leaves the control domain's alone */
    assert_int_equal(bind(d, 16, &port), 0);
    assert_false(mm_may_map_device(other, mfn(DEVICE_FRAME)));
    assert_true(mm_may_map_device(d, mfn(DEVICE_FRAME)));
    assert_false(mm_may_map_device(d, mfn(0xfee00)));
    assert_false(mm_may_map_device(d, mfn(0xfeeff)));
    platform.nr_ioapics = 1;
    platform.ioapic[0].address = 0xfec00000;
    assert_false(mm_may_map_device(d, mfn(0xfec00)));
    d->is_control = false;
    assert_int_equal(map_line(17, 17), -EPERM);
    assert_int_equal(add(EDU), -EPERM);
    d->is_control = true;
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, dom0_host_set_up, dom0_host_tear_down)
int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(numbers),      TEST(set_up),       TEST(level),           TEST(edge),    TEST(eoi_map),
        TEST(moving),       TEST(message),      TEST(masks),           TEST(table),   TEST(table_elsewhere),
        TEST(out_of_reach), TEST(capabilities), TEST(vectors_run_out), TEST(devices), TEST(windows),
        TEST(end),          TEST(others),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
