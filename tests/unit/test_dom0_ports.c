// SPDX-License-Identifier: MIT
// sources: dom0/ports.c
/* Which I/O ports the control domain has, and PCI configuration space as it sees it through two of them. */
#include "host.h"
#include <pv/console.h>
#include <pv/dom0.h>
#include <pv/platform.h>
#include <cmocka.h>

static struct domain domain;
static struct vcpu vcpu = {.domain = &domain};
static u8 config[65536];
static u16 port_touched;
static u32 port_value;

/* One function on bus 2: 3.1 */
#define FUNCTION (2u << 16 | 0x19u << 8)

u32 pci_read(struct pci_address a, u32 reg, u32 size) {
    u32 v = ~0u;
    assert_int_equal(a.seg, 0);
    if (a.bus == 2 && a.devfn == 0x19)
        memcpy(&v, config + reg, size);
    return v;
}
void pci_write(struct pci_address a, u32 reg, u32 size, u32 value) {
    if (a.bus == 2 && a.devfn == 0x19)
        memcpy(config + reg, &value, size);
}
u32 platform_port_read(u16 port, u32 size) {
    (void)size;
    port_touched = port;
    return port_value;
}
void platform_port_write(u16 port, u32 size, u32 value) {
    (void)size;
    port_touched = port;
    port_value = value;
}
bool console_owns_port(u16 port) {
    return port >= 0x3f8 && port < 0x400;
}
u32 emul_port_read(u16 port, u32 size) {
    (void)port, (void)size;
    return 0x5a5a5a5a;
}

static void test_ports(void **state) {
    static const u16 refused[] = {0x20, 0x21, 0xa0, 0xa1, 0x40, 0x43, 0x61, 0x3f8, 0x3ff, 0x4d0};
    static const u16 allowed[] = {0x60, 0x64, 0x70, 0x71, 0x80, 0x2f8, 0x400, 0x608, 0xb2, 0xcd0, 0xd00};

    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(refused); i++) {
        port_touched = 0;
        assert_true(dom0_port_forbidden(refused[i], 1));
        assert_int_equal(dom0_port_read(&vcpu, refused[i], 1), 0x5a5a5a5a);
        dom0_port_write(&vcpu, refused[i], 1, 1);
        assert_int_equal(port_touched, 0);
    }
    for (u32 i = 0; i < ARRAY_SIZE(allowed); i++) {
        assert_false(dom0_port_forbidden(allowed[i], 1));
        dom0_port_write(&vcpu, allowed[i], 1, i);
        assert_int_equal(port_touched, allowed[i]);
        assert_int_equal(dom0_port_read(&vcpu, allowed[i], 1), i);
    }
    assert_true(dom0_port_forbidden(0x3f7, 2));
    assert_true(dom0_port_forbidden(0x3f5, 4));
    assert_true(dom0_port_forbidden(0xffff, 2));
    assert_true(dom0_port_forbidden(0xcf8, 4));
    assert_true(dom0_port_forbidden(0xcf6, 4));
    assert_true(dom0_port_forbidden(0xcff, 1));
    assert_int_equal(dom0_port_read(&vcpu, 0xfffe, 4), 0x5a5a5a5a);
}

static u32 get32(u32 reg) {
    u32 v;
    memcpy(&v, config + reg, 4);
    return v;
}

static void test_pci_ports(void **state) {
    (void)state;
    port_touched = 0;
    dom0_port_write(&vcpu, 0xcf8, 4, 0x80000000 | FUNCTION | 0x1c);
    assert_int_equal(dom0_port_read(&vcpu, 0xcf8, 4), 0x80000000 | FUNCTION | 0x1c);
    dom0_port_write(&vcpu, 0xcfc, 4, 0xfeb90000);
    assert_int_equal(get32(0x1c), 0xfeb90000);
    assert_int_equal(dom0_port_read(&vcpu, 0xcfc, 4), 0xfeb90000);
    assert_int_equal((u16)dom0_port_read(&vcpu, 0xcfe, 2), 0xfeb9);
    assert_int_equal((u8)dom0_port_read(&vcpu, 0xcff, 1), 0xfe);
    dom0_port_write(&vcpu, 0xcfd, 1, 0x12);
    assert_int_equal(get32(0x1c), 0xfeb91200);
    dom0_port_write(&vcpu, 0xcf8, 4, FUNCTION | 0x1c); /* not enabled */
    assert_int_equal(dom0_port_read(&vcpu, 0xcfc, 4), 0xffffffff);
    dom0_port_write(&vcpu, 0xcfc, 4, 0);
    assert_int_equal(get32(0x1c), 0xfeb91200);
    dom0_port_write(&vcpu, 0xcf8, 4, 0x81000000 | FUNCTION | 0x1c); /* the extended registers of some machines */
    dom0_port_write(&vcpu, 0xcfc, 4, 7);
    assert_int_equal(get32(0x11c), 7);
    assert_int_equal(port_touched, 0); /* the machine's address port is not the guest's */
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_ports), cmocka_unit_test(test_pci_ports)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
