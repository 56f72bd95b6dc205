// SPDX-License-Identifier: MIT
/*
 * The table of pirqs, the control domain's numbers for interrupts: mapping them to lines and messages, binding them to
 * event channels, and which vector of which CPU they come by. A vector belongs to one pirq, on all CPUs.
 */
#include "internal.h"

#include <pv/regs.h>

#define VECTOR_FIRST (VEC_IOAPIC_FIRST + 1) /* the console has the first */
#define VECTOR_END VEC_TIMER
#define VECTOR_INT80 0x80

struct spinlock pirq_lock = SPINLOCK_INIT(LOCK_PIRQ);
struct pirq pirqs[NR_PIRQS];
struct domain *pirq_owner;
static u16 by_vector[NR_VECTORS]; /* pirq + 1, 0: nobody's */

/* --- numbers and vectors --- */

static u32 number_of(const struct pirq *p) {
    return (u32)(p - pirqs);
}

struct pirq *pirq_mapped(u32 n) {
    ASSERT(spin_held(&pirq_lock));
    return n < NR_PIRQS && pirqs[n].kind >= PIRQ_LINE ? &pirqs[n] : NULL;
}

struct pirq *pirq_by_vector(u32 vector) {
    ASSERT(spin_held(&pirq_lock));
    return by_vector[vector] ? &pirqs[by_vector[vector] - 1] : NULL;
}

int pirq_find_free(void) {
    for (u32 n = NR_PIRQS; n-- > 16;)
        if (pirqs[n].kind == PIRQ_FREE && !platform_has_gsi(n))
            return (int)n;
    return -ENOSPC;
}

struct pirq *pirq_of_line(u32 gsi) {
    for (u32 n = 0; n < NR_PIRQS; n++)
        if (pirqs[n].kind == PIRQ_LINE && pirqs[n].gsi == gsi)
            return &pirqs[n];
    return NULL;
}

static bool take_vector(struct pirq *p) {
    for (u32 v = VECTOR_FIRST; !p->vector && v < VECTOR_END; v++)
        if (!by_vector[v] && v != VECTOR_INT80) {
            by_vector[v] = (u16)(number_of(p) + 1);
            p->vector = (u8)v;
        }
    return p->vector;
}

static void give_vector_back(struct pirq *p) {
    if (p->vector)
        by_vector[p->vector] = 0;
    p->vector = 0;
}

/* --- at the source --- */

void pirq_mask(struct pirq *p) {
    if (p->kind == PIRQ_LINE)
        platform_mask_gsi(p->gsi);
    else
        msi_mask(&p->msi);
}

void pirq_unmask(struct pirq *p) {
    if (p->kind == PIRQ_LINE)
        platform_unmask_gsi(p->gsi);
    else
        msi_unmask(&p->msi);
}

/* Masked. */
static bool write_source(const struct pirq *p) {
    u32 apic_id = cpus[p->cpu]->apic_id;
    struct platform_route r = {p->vector, p->level, p->low, apic_id};

    if (p->kind == PIRQ_LINE)
        return platform_set_gsi(p->gsi, &r);
    if (apic_id > 0xfe)
        return false;
    msi_set_message(&p->msi, p->vector, apic_id);
    return true;
}

/* An interrupt under way to where it came before finds the same vector there. */
void pirq_move(struct pirq *p, const struct vcpu *v) {
    const struct cpu *to = READ_ONCE(v->cpu);

    p->elsewhere = 0;
    if (!to || to->id == p->cpu || to->apic_id > 0xfe)
        return;
    p->cpu = (u16)to->id;
    if (p->kind == PIRQ_LINE)
        platform_move_gsi(p->gsi, to->apic_id);
    else
        msi_move(&p->msi, to->apic_id);
}

/* --- mapping --- */

/* The number to use: the one asked for, if it is free or was given out by get_free_pirq; `any`, where it is -1. */
static int choose(int want, int any) {
    int n = want >= 0 ? want : any;

    if (n >= NR_PIRQS)
        return -EINVAL;
    return n >= 0 && pirqs[n].kind >= PIRQ_LINE ? -EEXIST : n;
}

int pirq_map_line(u32 gsi, int *want) {
    struct pirq *p = pirq_of_line(gsi);
    struct platform_route r = platform_default_route(gsi);
    int n;

    if (!platform_has_gsi(gsi))
        return -EINVAL;
    if (!gsi) /* where the 8259s would be wired to */
        return -EPERM;
    if (p) {
        n = (int)number_of(p);
        if (*want >= 0 && *want != n)
            return -EEXIST;
    } else {
        n = choose(*want, gsi < NR_PIRQS && pirqs[gsi].kind == PIRQ_FREE ? (int)gsi : pirq_find_free());
        if (n < 0)
            return n;
        pirqs[n] = (struct pirq){.kind = PIRQ_LINE, .gsi = (u16)gsi, .level = r.level, .low = r.low};
    }
    *want = n;
    return 0;
}

static bool is_of(const struct msi *m, struct pci_address a) {
    return m->device.seg == a.seg && m->device.bus == a.bus && m->device.devfn == a.devfn;
}

/* A device's message that is mapped already. */
static bool message_taken(const struct msi *m) {
    for (u32 n = 0; n < NR_PIRQS; n++) {
        const struct msi *o = &pirqs[n].msi;

        if (pirqs[n].kind > PIRQ_LINE && is_of(o, m->device) && o->cap == m->cap && o->entry == m->entry)
            return true;
    }
    return false;
}

int pirq_map_message(const struct msi_request *r, int *want) {
    struct pirq new = {.kind = r->table ? PIRQ_MSIX : PIRQ_MSI};
    int rc, n = choose(*want, pirq_find_free());

    if (!device_known(r->device))
        return -ENODEV;
    rc = n < 0 ? n : msi_find(r, &new.msi);
    if (!rc && message_taken(&new.msi))
        rc = -EEXIST;
    if (rc)
        return rc;
    pirqs[n] = new;
    if (!take_vector(&pirqs[n]) || !write_source(&pirqs[n])) {
        give_vector_back(&pirqs[n]);
        pirqs[n] = (struct pirq){0};
        return -ENOSPC;
    }
    pirq_mask(&pirqs[n]);
    *want = n;
    return 0;
}

/* No interrupt comes, and none that is under way is told of. */
static void unbind(struct domain *d, struct pirq *p) {
    pirq_mask(p);
    p->port = 0;
    p->waits = false;
    p->unseen = p->elsewhere = 0;
    pirq_mark_eoi(d, p, false);
}

/* The port stays, and is told of nothing any more. */
int pirq_unmap(struct domain *d, u32 n) {
    struct pirq *p = pirq_mapped(n);

    if (!p)
        return -EINVAL;
    unbind(d, p);
    if (p->kind != PIRQ_LINE)
        msi_end(&p->msi);
    give_vector_back(p);
    *p = (struct pirq){0};
    return 0;
}

void pirq_restore(struct pci_address a) {
    for (u32 n = 0; n < NR_PIRQS; n++) {
        struct pirq *p = &pirqs[n];

        if (p->kind <= PIRQ_LINE || !is_of(&p->msi, a) || !write_source(p))
            continue;
        if (p->port && !p->waits)
            pirq_unmask(p);
        else
            pirq_mask(p);
    }
}

/* Lines that are in use stay as they are. */
int pirq_set_up_line(u32 gsi, bool level, bool low) {
    struct pirq *p;
    int any = -1, rc = pirq_map_line(gsi, &any);

    if (rc == -EPERM || platform_owns_gsi(gsi))
        return -EEXIST;
    if (rc)
        return rc;
    p = &pirqs[any];
    if (p->set_up || p->port)
        return -EEXIST;
    p->set_up = true;
    p->level = level;
    p->low = low;
    return 0;
}

/* --- binding: hooks, with the lock of the domain's ports held --- */

static int bind_locked(struct domain *d, u32 n, u32 port) {
    struct pirq *p = pirq_mapped(n);

    if (!p)
        return n < NR_PIRQS ? -EPERM : -EINVAL;
    if (p->port)
        return -EEXIST;
    if (p->kind == PIRQ_LINE && platform_owns_gsi(p->gsi))
        return -EBUSY;
    if (!take_vector(p))
        return -ENOSPC;
    if (d->vcpu[0]->cpu && d->vcpu[0]->cpu->apic_id <= 0xfe)
        p->cpu = (u16)d->vcpu[0]->cpu->id;
    if (!write_source(p))
        return -ENOSPC;
    pirq_owner = d;
    p->vcpu = 0;
    p->port = (u16)port;
    pirq_mark_eoi(d, p, p->level);
    pirq_unmask(p);
    return 0;
}

/* Sharing with other domains is not there to be refused or allowed: devices have one driver. */
static int hook_bind(struct domain *d, u32 n, u32 flags, u32 port) {
    int rc;

    (void)flags;
    if (!d->is_control)
        return -EPERM;
    spin_lock(&pirq_lock);
    rc = bind_locked(d, n, port);
    spin_unlock(&pirq_lock);
    return rc;
}

static void hook_unbind(struct domain *d, u32 n, u32 port) {
    struct pirq *p;

    spin_lock(&pirq_lock);
    p = pirq_mapped(n);
    if (p && p->port == port)
        unbind(d, p);
    spin_unlock(&pirq_lock);
}

static void hook_moved(struct domain *d, u32 n, u32 port, u32 vcpu) {
    struct pirq *p;

    spin_lock(&pirq_lock);
    p = pirq_mapped(n);
    if (p && p->port == port) {
        p->vcpu = (u8)vcpu;
        pirq_move(p, d->vcpu[vcpu]);
    }
    spin_unlock(&pirq_lock);
}

/* The control domain goes: the devices fall silent. */
static void hook_release(struct domain *d) {
    if (!d->is_control)
        return;
    spin_lock(&pirq_lock);
    for (u32 n = 0; n < NR_PIRQS; n++) {
        pirq_unmap(d, n);
        pirqs[n] = (struct pirq){0};
    }
    pirq_drop_eoi_map(d);
    device_forget_all();
    pirq_owner = NULL;
    spin_unlock(&pirq_lock);
}

const struct evtchn_pirq_hooks dom0_pirq_hooks = {hook_bind, hook_unbind, hook_moved, hook_release};
