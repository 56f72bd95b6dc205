/* SPDX-License-Identifier: MIT */
/*
 * What the files of dom0 share: the interrupts of devices. To the control domain an interrupt is a number, its pirq; it
 * is a line of an IO-APIC (GSI) or a message of a device (MSI, MSI-X), and leads to an event channel once it is bound:
 *
 *     FREE --get_free_pirq--> RESERVED --\
 *      ^  \------------------------------ map_pirq --> LINE, MSI, MSIX: not bound --bind_pirq--> bound to a port
 *      |                                                 |           ^                        |
 *      \---------------------unmap_pirq------------------/           \--- close, unmap_pirq --/
 *
 * What is not bound is masked at its source. So is what waits: a line from each interrupt to the guest's EOI, and any
 * other source that went on and on without the guest's looking.
 */
#ifndef DOM0_INTERNAL_H
#define DOM0_INTERNAL_H

#include <pv/dom0.h>
#include <pv/domain.h>
#include <pv/platform.h>

#define NR_PIRQS 512

enum pirq_kind { PIRQ_FREE, PIRQ_RESERVED, PIRQ_LINE, PIRQ_MSI, PIRQ_MSIX };

/* Where a device keeps one of its messages. */
struct msi {
    struct pci_address device;
    u16 cap;             /* the capability's register */
    bool wide, maskable; /* MSI: a 64-bit address; a mask bit */
    bool cut;            /* MSI without a mask bit: switched off instead */
    u16 entry;           /* MSI-X */
    volatile u32 *regs;  /* MSI-X: the entry in the table */
};

struct pirq {
    u8 kind;         /* enum pirq_kind */
    u8 vector;       /* 0: none yet */
    bool waits;      /* masked until the guest's EOI */
    u8 unseen;       /* interrupts in a row that found the port pending already */
    u8 elsewhere;    /* interrupts in a row that came to another CPU than the vCPU's */
    bool set_up;     /* LINE: by PHYSDEVOP_setup_gsi */
    bool level, low; /* LINE */
    u16 gsi;         /* LINE */
    u16 port;        /* 0: not bound */
    u8 vcpu;         /* who is told */
    u16 cpu;         /* where it comes */
    struct msi msi;
};

/* Guards all of the above, and the list of devices. */
extern struct spinlock pirq_lock;

/* --- memory.c --- */
/* Memory that is no RAM, and not forbidden. */
bool dom0_is_device(mfn_t m);

/* --- pirq.c; all with the lock held --- */
extern struct pirq pirqs[NR_PIRQS];
extern struct domain *pirq_owner; /* whose ports they are bound to: the control domain */
/* NULL: no such number, or not mapped. */
struct pirq *pirq_mapped(u32 n);
struct pirq *pirq_by_vector(u32 vector);
/* A number that nobody has, from the top down; -ENOSPC. */
int pirq_find_free(void);
/* The pirq a line is mapped to, NULL: none. */
struct pirq *pirq_of_line(u32 gsi);
/* want: the number the guest asks for, -1: any. 0, or -errno. */
int pirq_map_line(u32 gsi, int *want);
struct msi_request {
    struct pci_address device;
    bool table; /* MSI-X: */
    u64 table_base;
    int entry;
};
int pirq_map_message(const struct msi_request *r, int *want);
int pirq_unmap(struct domain *d, u32 n);
/* Writes the messages of a device again, which it lost, and their masks. */
void pirq_restore(struct pci_address a);
int pirq_set_up_line(u32 gsi, bool level, bool low);
void pirq_mask(struct pirq *p);
void pirq_unmask(struct pirq *p);
void pirq_move(struct pirq *p, const struct vcpu *v);
extern const struct evtchn_pirq_hooks dom0_pirq_hooks;

/* --- interrupt.c: with the lock held but for dom0_interrupt() --- */
/* *unmask: the port that the caller shall unmask, without the lock, 0: none. */
int pirq_eoi(struct domain *d, u32 n, u32 *unmask);
int pirq_set_eoi_map(struct domain *d, mfn_t m, bool unmasks);
void pirq_drop_eoi_map(struct domain *d);
/* The bit by which the guest knows whether a pirq wants an EOI. */
void pirq_mark_eoi(struct domain *d, const struct pirq *p, bool wanted);

/* --- msi.c: messages; the lock held --- */
/* Finds where a device keeps a message: 0, -ENODEV: it has no such capability, -EINVAL: no such entry, -ENXIO: its
 * memory can't be reached. */
int msi_find(const struct msi_request *r, struct msi *m);
void msi_set_message(const struct msi *m, u8 vector, u32 apic_id);
void msi_move(const struct msi *m, u32 apic_id);
void msi_mask(struct msi *m);
void msi_unmask(struct msi *m);
/* For good: the device sends this message no more. */
void msi_end(struct msi *m);
bool msi_has_table(struct pci_address a);

/* --- devices.c: which PCI devices the control domain told of; the lock held --- */
int device_add(struct pci_address a);
int device_remove(struct pci_address a);
bool device_known(struct pci_address a);
void device_forget_all(void);

#endif
