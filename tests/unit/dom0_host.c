// SPDX-License-Identifier: MIT
/* A machine of arrays in place of room platform, for the tests of room dom0. */
#include "dom0_host.h"

struct platform_info platform;
struct domain *d, *other;
struct mm_space s;
void *args;

/* --- the machine --- */

struct dom0_line line[LINES];
u8 config[256][256];
u32 table[TABLE_MAX * 4];
bool out_of_reach;

bool platform_set_gsi(u32 gsi, const struct platform_route *r) {
    if (gsi >= LINES)
        return false;
    line[gsi].route = *r;
    line[gsi].open = false;
    return true;
}
void platform_move_gsi(u32 gsi, u32 apic_id) {
    line[gsi].route.apic_id = apic_id;
}
void platform_mask_gsi(u32 gsi) {
    line[gsi].open = false;
}
void platform_unmask_gsi(u32 gsi) {
    line[gsi].open = true;
}
bool platform_has_gsi(u32 gsi) {
    return gsi < LINES;
}
bool platform_owns_gsi(u32 gsi) {
    return gsi == OURS;
}
struct platform_route platform_default_route(u32 gsi) {
    return (struct platform_route){.level = gsi >= 16, .low = gsi >= 16};
}
bool platform_read_ioapic(u64 address, u32 reg, u32 *value) {
    *value = reg + 1;
    return address == 0xfec00000 && reg < 0x40;
}
u32 pci_read(struct pci_address a, u32 reg, u32 size) {
    u32 v = ~0u;
    if (!a.seg && !a.bus && reg < 256)
        memcpy(&v, &config[a.devfn][reg], size);
    return size == 4 ? v : v & ((1u << size * 8) - 1);
}
void pci_write(struct pci_address a, u32 reg, u32 size, u32 value) {
    if (!a.seg && !a.bus && reg < 256)
        memcpy(&config[a.devfn][reg], &value, size);
}
void *pci_map_memory(u64 address, size_t size) {
    assert_true(address >= BAR && address + size <= BAR + sizeof(table));
    return out_of_reach ? NULL : &table[(address - BAR) / 4];
}
void put16(u32 devfn, u32 reg, u32 v) {
    pci_write((struct pci_address){0, 0, (u8)devfn}, reg, 2, v);
}
void put32(u32 devfn, u32 reg, u32 v) {
    pci_write((struct pci_address){0, 0, (u8)devfn}, reg, 4, v);
}
u32 get16(u32 devfn, u32 reg) {
    return pci_read((struct pci_address){0, 0, (u8)devfn}, reg, 2);
}
u32 get32(u32 devfn, u32 reg) {
    return pci_read((struct pci_address){0, 0, (u8)devfn}, reg, 4);
}

static void make_device(u32 devfn, u8 caps) {
    put16(devfn, 4, 7);
    put16(devfn, 6, 0x10);
    config[devfn][0x34] = caps;
}

void dom0_host_devices(void) {
    memset(config, 0xff, sizeof(config));
    memset(config[EDU], 0, 256);
    memset(config[NIC], 0, 256);
    memset(config[LOOP], 0, 256);
    memset(table, 0, sizeof(table));
    make_device(EDU, 0x40);
    put32(EDU, 0x40, 0x00800005); /* 64 bits, no mask */
    make_device(NIC, 0x50);
    put32(NIC, 0x50, 0x01006005); /* 32 bits, maskable, then 0x60 */
    put32(NIC, 0x60, 0x00040011); /* five entries */
    put32(NIC, 0x64, 3);          /* in the fourth BAR */
    put32(NIC, 0x1c, BAR);
    make_device(LOOP, 0x40);
    put32(LOOP, 0x40, 0x4001);
}

int dom0_host_set_up(void **state) {
    (void)state;
    mm_host_init(2);
    cpus[0]->apic_id = 0;
    cpus[1]->apic_id = 3;
    memset(line, 0, sizeof(line));
    dom0_host_devices();
    platform = (struct platform_info){.phys_bits = 40, .nr_mmcfgs = 1, .mmcfg = {{0xb0000000, 0, 0, 255}}};
    d = mm_host_domain(0, 2, 300);
    d->is_control = true;
    d->eoi_mfn = MFN_INVALID;
    other = mm_host_domain(2, 1, 100);
    other->eoi_mfn = MFN_INVALID;
    evtchn_init(d);
    evtchn_init(other);
    s = mm_host_space(d);
    assert_int_equal(mm_host_set(d, s.l[1], 0, mm_pte(mm_host_frame(d), MM_RWP)), 0);
    args = mfn_to_virt(pte_mfn(mm_host_table(s.l[1])[0]));
    d->vcpu[0]->cpu = cpus[0];
    d->vcpu[1]->cpu = cpus[1];
    dom0_init();
    return 0;
}

int dom0_host_tear_down(void **state) {
    (void)state;
    evtchn_destroy(d);
    evtchn_destroy(other);
    assert_true(mm_host_destroy(d, -1));
    assert_true(mm_host_destroy(other, -1));
    heap_check();
    return 0;
}

/* --- the guest's calls --- */

long physdev(u64 cmd) {
    u64 arg[6] = {cmd, ARGS};

    return hypercall_call(s.v, __HYPERVISOR_physdev_op, arg);
}
long map_line(int gsi, int pirq) {
    return PHYSDEV(map_pirq, map_pirq, .domid = DOMID_SELF, .type = MAP_PIRQ_TYPE_GSI, .index = gsi, .pirq = pirq);
}
long map_message(int type, int devfn, int entry, u64 table_base) {
    return PHYSDEV(map_pirq, map_pirq, .domid = DOMID_SELF, .type = type, .index = -1, .pirq = -1, .devfn = devfn,
                   .entry_nr = entry, .table_base = table_base);
}
long add(u32 devfn) {
    return PHYSDEV(pci_device_add, pci_device_add, .devfn = (u8)devfn);
}
long unmap(u32 pirq) {
    return PHYSDEV(unmap_pirq, unmap_pirq, .domid = DOMID_SELF, .pirq = (int)pirq);
}
long eoi(u32 pirq) {
    return PHYSDEV(eoi, eoi, .irq = pirq);
}
long bind(struct domain *who, u32 pirq, u32 *port) {
    struct evtchn_bind_pirq b = {.pirq = pirq};
    long rc = evtchn_op(who->vcpu[0], EVTCHNOP_bind_pirq, &b);

    *port = b.port;
    return rc;
}
bool pending(u32 port) {
    return bit_test((u64 *)d->shared_info->evtchn_pending, port);
}
/* As a guest that looks. */
bool look(u32 port) {
    return bit_test_and_clear((u64 *)d->shared_info->evtchn_pending, port);
}
u64 *set_eoi_map(u32 version) {
    mfn_t m = mm_host_frame(d);

    memset(mfn_to_virt(m), 0, PAGE_SIZE);
    if (version == 1)
        assert_int_equal(PHYSDEV(pirq_eoi_gmfn_v1, pirq_eoi_gmfn, .gmfn = m.n), 0);
    else
        assert_int_equal(PHYSDEV(pirq_eoi_gmfn_v2, pirq_eoi_gmfn, .gmfn = m.n), 0);
    return mfn_to_virt(m);
}
