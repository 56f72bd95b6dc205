/* SPDX-License-Identifier: MIT */
/*
 * dom0_host: a machine for the tests of the control domain's devices: 24 interrupt lines, PCI devices with messages of
 * each kind, arrays all of them; the control domain on it, and its calls.
 */
#ifndef TESTS_UNIT_DOM0_HOST_H
#define TESTS_UNIT_DOM0_HOST_H

#include "mm_host.h"
#include <pv/hypercall.h>
#include <xen/event_channel.h>
#include <xen/physdev.h>
#include <cmocka.h>
#include "../../hypervisor/dom0/internal.h"

#define ARGS MM_SLOT_VA(0)
#define LINES 24
#define OURS 4    /* the line of the console */
#define EDU 0x10  /* a device with one message without a mask bit */
#define NIC 0x18  /* with a table of messages, and a single one that can be masked */
#define LOOP 0x20 /* whose list of capabilities runs in circles */
#define BAR 0xfeb90000u
#define ENTRIES 5
#define TABLE_MAX 256
#define DEVICE_FRAME 0xfeb90u

extern struct domain *d, *other; /* the control domain, and one that is not */
extern struct mm_space s;
extern void *args; /* where calls have their argument */

struct dom0_line {
    struct platform_route route;
    bool open;
};
extern struct dom0_line line[LINES];
extern u8 config[256][256];
extern u32 table[TABLE_MAX * 4]; /* NIC's messages */
extern bool out_of_reach;        /* mapping memory fails */

#define PHYSDEV(op, type, ...)                                                                                         \
    ({                                                                                                                 \
        *(struct physdev_##type *)args = (struct physdev_##type){__VA_ARGS__};                                         \
        physdev(PHYSDEVOP_##op);                                                                                       \
    })
#define GOT(type) ((struct physdev_##type *)args)

void put16(u32 devfn, u32 reg, u32 v);
void put32(u32 devfn, u32 reg, u32 v);
u32 get16(u32 devfn, u32 reg);
u32 get32(u32 devfn, u32 reg);
void dom0_host_devices(void);
int dom0_host_set_up(void **state);
int dom0_host_tear_down(void **state);
long physdev(u64 cmd);
long map_line(int gsi, int pirq);
long map_message(int type, int devfn, int entry, u64 table_base);
long add(u32 devfn);
long unmap(u32 pirq);
long eoi(u32 pirq);
long bind(struct domain *who, u32 pirq, u32 *port);
bool pending(u32 port);
bool look(u32 port);
u64 *set_eoi_map(u32 version);

#endif
