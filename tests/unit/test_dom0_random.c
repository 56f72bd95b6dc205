// SPDX-License-Identifier: MIT
// sources: tests/unit/hc_stubs.c tests/unit/mm_host.c hypercall/*.c gnttab/*.c evtchn/*.c mm/[!m]*.c
// sources: tests/unit/dom0_host.c dom0/*[!ms].c dom0/devices.c
/*
 * Random calls of the control domain about interrupts, and interrupts that come at any time. After each step: sources
 * are open exactly if they are bound and do not wait for an EOI, vectors have one owner, the guest's map says who wants
 * an EOI, and ports lead to whom they are bound.
 */
#include "dom0_host.h"

#define STEPS 4000
#define SEEDS 12
#define PORTS 40

static u64 seed;
static u64 *eoi_map;
static u32 bound_to[NR_PIRQS]; /* the ports that pirqs are bound to as far as the calls say, 0: none */

static u32 choose(u32 n) {
    return (u32)(host_random(&seed) % n);
}

/* Any of the numbers that are in use, and of those near them. */
static u32 some_pirq(void) {
    return choose(3) ? choose(LINES + 2) : NR_PIRQS - 8 + choose(10);
}

static void step_map(void) {
    if (choose(2))
        map_line((int)choose(LINES + 2) - 1, choose(2) ? (int)some_pirq() : -1);
    else if (choose(2))
        map_message((int)choose(6), choose(2) ? EDU : NIC, 0, 0);
    else
        map_message(MAP_PIRQ_TYPE_MSI_SEG, NIC, (int)choose(ENTRIES + 2) - 1, choose(8) ? BAR : BAR + 0x1000);
}

static void step_bind(void) {
    u32 port, n = some_pirq();

    if (!bind(choose(20) ? d : other, n, &port))
        bound_to[n] = port;
}

static void step_unmap(void) {
    u32 n = some_pirq();

    if (!choose(3) && !unmap(n))
        bound_to[n] = 0;
}

static void step_port(void) {
    struct evtchn_bind_vcpu b = {.port = choose(PORTS), .vcpu = choose(2)};

    if (choose(2) && !evtchn_close(d, b.port))
        for (u32 n = 0; n < NR_PIRQS; n++)
            bound_to[n] = bound_to[n] == b.port ? 0 : bound_to[n];
    else
        evtchn_op(d->vcpu[0], EVTCHNOP_bind_vcpu, &b);
}

static void step_devices(void) {
    u32 devfn = choose(2) ? EDU : NIC;

    switch (choose(6)) {
    case 0:
        PHYSDEV(pci_device_remove, pci_device, .devfn = (u8)devfn);
        break;
    case 1:
        PHYSDEV(restore_msi_ext, pci_device, .devfn = (u8)devfn);
        break;
    case 2:
        PHYSDEV(setup_gsi, setup_gsi, .gsi = (int)choose(LINES + 1), .triggering = (u8)choose(2));
        break;
    case 3:
        PHYSDEV(get_free_pirq, get_free_pirq, 0);
        break;
    default:
        add(devfn);
    }
}

static void step_interrupt(void) {
    host_cpu = choose(2);
    for (u32 n = choose(3) ? 1 : 80; n; n--)
        dom0_interrupt(VEC_IOAPIC_FIRST + choose(NR_VECTORS - VEC_IOAPIC_FIRST));
    for (u32 n = 70, vector = VEC_IOAPIC_FIRST + 1 + choose(8); n && !choose(4); n--)
        dom0_interrupt(vector);
    host_cpu = 0;
}

static void step(void) {
    switch (choose(8)) {
    case 0:
        step_map();
        break;
    case 1:
        step_bind();
        break;
    case 2:
        step_port();
        break;
    case 3:
        step_devices();
        break;
    case 4:
        step_unmap();
        break;
    case 5:
        eoi(some_pirq());
        break;
    case 6:
        look(choose(PORTS));
        break;
    default:
        step_interrupt();
    }
}

/* --- what holds after each --- */

static const struct pirq *owner_of(u32 vector) {
    spin_lock(&pirq_lock);
    const struct pirq *p = pirq_by_vector(vector);
    spin_unlock(&pirq_lock);
    return p;
}

static bool is_open(const struct pirq *p) {
    if (p->kind == PIRQ_LINE)
        return line[p->gsi].open;
    if (p->kind == PIRQ_MSIX)
        return !(p->msi.regs[3] & 1);
    return p->msi.maskable ? !config[NIC][0x5c] : !p->msi.cut;
}

static void check_bound(u32 n, const struct pirq *p) {
    struct evtchn_status st = {.dom = DOMID_SELF, .port = p->port};

    assert_int_equal(evtchn_op(d->vcpu[0], EVTCHNOP_status, &st), 0);
    assert_int_equal(st.status, EVTCHNSTAT_pirq);
    assert_int_equal(st.u.pirq, n);
    assert_int_equal(st.vcpu, p->vcpu);
    assert_int_not_equal(p->vector, 0);
    assert_int_equal(is_open(p), !p->waits);
    assert_int_equal(bit_test(eoi_map, n), p->level || p->waits);
    if (p->kind == PIRQ_LINE) {
        assert_int_equal(line[p->gsi].route.vector, p->vector);
        assert_int_equal(line[p->gsi].route.apic_id, cpus[p->cpu]->apic_id);
        assert_int_not_equal(p->gsi, OURS);
    }
}

static void check_pirq(u32 n) {
    const struct pirq *p = &pirqs[n];

    assert_int_equal(p->port, bound_to[n]);
    if (p->port) {
        check_bound(n, p);
    } else {
        assert_false(p->waits);
        assert_false(bit_test(eoi_map, n));
        if (p->kind == PIRQ_LINE || p->kind == PIRQ_MSIX)
            assert_false(is_open(p));
    }
    if (p->kind < PIRQ_LINE)
        assert_true(!p->vector && !p->port);
    if (p->vector)
        assert_ptr_equal(owner_of(p->vector), p);
}

static void check(void) {
    u32 open = 0, lines = 0;

    for (u32 v = 0; v < NR_VECTORS; v++) {
        const struct pirq *p = owner_of(v);

        if (p)
            assert_true(p->vector == v && v > VEC_IOAPIC_FIRST && v < VEC_TIMER && v != 0x80);
    }
    for (u32 n = 0; n < NR_PIRQS; n++) {
        const struct pirq *p = &pirqs[n];

        if (p->kind || p->port || bound_to[n])
            check_pirq(n);
        lines += p->kind == PIRQ_LINE && p->port && !p->waits;
    }
    for (u32 gsi = 0; gsi < LINES; gsi++)
        open += line[gsi].open;
    assert_int_equal(open, lines); /* no line is open that no pirq has */
}

static void test_random(void **state) {
    u64 first = host_number("MODEL_FIRST", 1);

    (void)state;
    for (u64 i = 0; i < SEEDS; i++) {
        seed = first + i;
        dom0_host_set_up(NULL);
        memset(bound_to, 0, sizeof(bound_to));
        eoi_map = set_eoi_map(2);
        for (u32 k = 0; k < STEPS; k++) {
            step();
            check();
        }
        dom0_host_tear_down(NULL);
        for (u32 n = 0; n < NR_PIRQS; n++)
            assert_int_equal(pirqs[n].kind, PIRQ_FREE);
        for (u32 gsi = 0; gsi < LINES; gsi++)
            assert_false(line[gsi].open);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
