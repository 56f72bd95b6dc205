// SPDX-License-Identifier: MIT
/*
 * The grant_table_op hypercall: a table of sub-operations over arrays of arguments, one element at a time, and those
 * that only look at the table.
 */
#include "internal.h"

#define MAX_ARG 64

struct op {
    /* 0: done, the result is in the argument; anything else ends the call. */
    long (*fn)(struct vcpu *v, void *arg);
    u8 size;
    enum { COUNTED, COUNT_IS_ONE, COUNT_IGNORED } count;
};

/* Whose table a query is about: one's own, or any for the control domain. */
static s16 target(struct vcpu *v, domid_t id, struct domain **d) {
    *d = gnttab_get_domain(v->domain, id);
    if (!*d)
        return GNTST_bad_domain;
    if (*d == v->domain || v->domain->is_control)
        return GNTST_okay;
    gnttab_put_domain(*d);
    return GNTST_permission_denied;
}

static s16 frames_to_guest(const struct gnttab *t, u32 nr, gva_t list) {
    for (u32 i = 0; i < nr; i++) {
        xen_pfn_t frame = t->frame_mfn[i].n;
        if (copy_to_guest(gva(list.a + i * sizeof(frame)), &frame, sizeof(frame)))
            return GNTST_bad_virt_addr;
    }
    return GNTST_okay;
}

static long setup_table(struct vcpu *v, void *arg) {
    struct gnttab_setup_table *op = arg;
    struct domain *d;
    op->status = target(v, op->dom, &d);
    if (op->status)
        return 0;
    if (gnttab_grow(d, op->nr_frames))
        op->status = GNTST_general_error;
    else
        op->status = frames_to_guest(&d->gnttab, op->nr_frames, gva((u64)op->frame_list.p));
    gnttab_put_domain(d);
    return 0;
}

static long query_size(struct vcpu *v, void *arg) {
    struct gnttab_query_size *op = arg;
    struct domain *d;
    op->status = target(v, op->dom, &d);
    if (op->status)
        return 0;
    op->nr_frames = READ_ONCE(d->gnttab.nr_frames);
    op->max_nr_frames = d->gnttab.max_frames;
    gnttab_put_domain(d);
    return 0;
}

/* Version 2 is refused as by a hypervisor that was told to allow version 1 only. */
static long set_version(struct vcpu *v, void *arg) {
    struct gnttab_set_version *op = arg;
    (void)v;
    if (op->version != 1 && op->version != 2)
        return -EINVAL;
    if (op->version == 2)
        return -ENOSYS;
    return 0;
}

static long get_version(struct vcpu *v, void *arg) {
    struct gnttab_get_version *op = arg;
    struct domain *d;
    s16 rc = target(v, op->dom, &d);
    if (rc)
        return rc == GNTST_bad_domain ? -ESRCH : -EPERM;
    op->version = 1;
    gnttab_put_domain(d);
    return 0;
}

static long map_grant_ref(struct vcpu *v, void *arg) {
    return gnttab_map_one(v, arg);
}
static long unmap_grant_ref(struct vcpu *v, void *arg) {
    return gnttab_unmap_one(v, arg);
}

static long copy(struct vcpu *v, void *arg) {
    gnttab_copy_one(v, arg);
    return 0;
}

static long unmap_and_replace(struct vcpu *v, void *arg) {
    return gnttab_replace_one(v, arg);
}

static long transfer(struct vcpu *v, void *arg) {
    return gnttab_transfer_one(v, arg);
}

static long swap_grant_ref(struct vcpu *v, void *arg) {
    struct gnttab_swap_grant_ref *op = arg;
    op->status = gnttab_swap(v->domain, op->ref_a, op->ref_b);
    return 0;
}

static long cache_flush(struct vcpu *v, void *arg) {
    return gnttab_cache_flush(v, arg);
}

/* There are none without version 2. */
static long get_status_frames(struct vcpu *v, void *arg) {
    struct gnttab_get_status_frames *op = arg;
    struct domain *d;
    op->status = target(v, op->dom, &d);
    if (op->status)
        return 0;
    op->status = GNTST_general_error;
    gnttab_put_domain(d);
    return 0;
}

#define MANY(name, type)                                                                                               \
    { .fn = name, .size = sizeof(struct type) }
#define ONE(name, type)                                                                                                \
    { .fn = name, .size = sizeof(struct type), .count = COUNT_IS_ONE }
#define ALWAYS_ONE(name, type)                                                                                         \
    { .fn = name, .size = sizeof(struct type), .count = COUNT_IGNORED }
static const struct op ops[] = {
    [GNTTABOP_map_grant_ref] = MANY(map_grant_ref, gnttab_map_grant_ref),
    [GNTTABOP_unmap_grant_ref] = MANY(unmap_grant_ref, gnttab_unmap_grant_ref),
    [GNTTABOP_copy] = MANY(copy, gnttab_copy),
    [GNTTABOP_setup_table] = ONE(setup_table, gnttab_setup_table),
    [GNTTABOP_query_size] = ONE(query_size, gnttab_query_size),
    [GNTTABOP_set_version] = ALWAYS_ONE(set_version, gnttab_set_version),
    [GNTTABOP_get_version] = ALWAYS_ONE(get_version, gnttab_get_version),
    [GNTTABOP_transfer] = MANY(transfer, gnttab_transfer),
    [GNTTABOP_unmap_and_replace] = MANY(unmap_and_replace, gnttab_unmap_and_replace),
    [GNTTABOP_get_status_frames] = ONE(get_status_frames, gnttab_get_status_frames),
    [GNTTABOP_swap_grant_ref] = MANY(swap_grant_ref, gnttab_swap_grant_ref),
    [GNTTABOP_cache_flush] = MANY(cache_flush, gnttab_cache_flush),
};
_Static_assert(sizeof(struct gnttab_copy) <= MAX_ARG && sizeof(struct gnttab_map_grant_ref) <= MAX_ARG &&
                   sizeof(struct gnttab_setup_table) <= MAX_ARG,
               "one element fits");

static long element(struct vcpu *v, const struct op *op, gva_t at) {
    u64 buf[MAX_ARG / 8];
    if (copy_from_guest(buf, at, op->size))
        return -EFAULT;
    long rc = op->fn(v, buf);
    if (rc)
        return rc;
    return copy_to_guest(at, buf, op->size) ? -EFAULT : 0;
}

long gnttab_op(struct vcpu *v, u32 cmd, u64 *arg) {
    u32 count = (u32)arg[2];
    if ((s32)count < 0)
        return -EINVAL;
    if (cmd >= ARRAY_SIZE(ops) || !ops[cmd].fn) /* GNTTABOP_dump_table as well */
        return -ENOSYS;
    const struct op *op = &ops[cmd];
    if (op->count == COUNT_IS_ONE && count != 1)
        return -EINVAL;
    if (op->count == COUNT_IGNORED)
        count = 1;
    while (count) {
        long rc = element(v, op, gva(arg[1]));
        if (rc)
            return rc;
        arg[1] += op->size;
        arg[2] = --count;
        if (count && preempt_pending())
            return -ERESTART;
    }
    return 0;
}
