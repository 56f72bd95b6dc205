// SPDX-License-Identifier: MIT
/*
 * The PCI devices that the control domain has told of. Nothing is looked up in them but whether they are there: only
 * they get messages.
 */
#include "internal.h"

#include <pv/heap.h>

#define MAX_DEVICES 4096

struct device {
    struct list link;
    struct pci_address at;
};

static struct list devices = LIST_INIT(devices);
static u32 nr_devices;

static struct device *find(struct pci_address a) {
    struct device *dev;

    ASSERT(spin_held(&pirq_lock));
    list_for_each(dev, &devices,
                  link) if (dev->at.seg == a.seg && dev->at.bus == a.bus && dev->at.devfn == a.devfn) return dev;
    return NULL;
}

bool device_known(struct pci_address a) {
    return find(a);
}

bool dom0_knows_device(const struct pci_address *a) {
    bool known;

    spin_lock(&pirq_lock);
    known = find(*a);
    spin_unlock(&pirq_lock);
    return known;
}

/* Again is no mistake. */
int device_add(struct pci_address a) {
    struct device *dev;

    if (find(a))
        return 0;
    dev = nr_devices < MAX_DEVICES ? heap_alloc(sizeof(*dev)) : NULL;
    if (!dev)
        return -ENOMEM;
    dev->at = a;
    list_add_tail(&devices, &dev->link);
    nr_devices++;
    return 0;
}

static void drop(struct device *dev) {
    list_del(&dev->link);
    nr_devices--;
    heap_free(dev);
}

int device_remove(struct pci_address a) {
    struct device *dev = find(a);

    if (!dev)
        return -ENODEV;
    drop(dev);
    return 0;
}

void device_forget_all(void) {
    struct device *dev, *next;

    list_for_each_safe(dev, next, &devices, link) drop(dev);
}
