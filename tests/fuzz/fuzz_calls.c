// SPDX-License-Identifier: MIT
// sources: tests/unit/hc_stubs.c tests/unit/mm_host.c tests/unit/host.c hypercall/*.c gnttab/*.c evtchn/*.c mm/[!ms]*.c
/*
 * Any hypercall with any arguments: numbers, pointers into its own memory, frames, nonsense; the memory they point to
 * holds the input's bytes. Nothing is foretold, but whatever was done must be undone by the end of the domain.
 */
#include "mm_host.h"
#include <pv/gate.h>
#include <pv/hypercall.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
extern void *calloc(size_t n, size_t size);
extern void free(void *p);

#define VCPUS 2
#define PAGES 4 /* mapped from MM_MAP_BASE on */

static const u8 *rest, *end;
static struct domain *d;
static struct mm_space s;
static mfn_t page[PAGES], shared_info;

static u8 byte(void) {
    return rest < end ? *rest++ : 0;
}

static u64 word(void) {
    u64 v = 0;

    for (u32 i = 0; i < 8; i++)
        v |= (u64)byte() << i * 8;
    return v;
}

/* An argument: small, a pointer, a frame, the address of an entry, anything. */
static u64 argument(void) {
    u8 kind = byte();

    switch (kind & 7) {
    case 0:
    case 1:
        return byte();
    case 2:
    case 3:
        return MM_MAP_BASE + (kind >> 3) * 512u;
    case 4:
        return d->page_list == FRAME_NONE ? 0 : page[kind >> 3 & 3].n;
    case 5:
        return s.l[1 + (kind >> 3 & 3)].n << (kind & 32 ? PAGE_SHIFT : 0) | (kind & 64 ? 8 : 0);
    case 6:
        return DOMID_SELF;
    default:
        return word();
    }
}

/* The guest writes into its own memory, if it still is memory. */
static void scribble(void) {
    mfn_t m = page[byte() % PAGES];
    u32 at = byte() * 16u, n = byte() % 128;

    if (mfn_to_page(m)->owner != d->id + 1u || page_get_with_type(mfn_to_page(m), d, PT_WRITABLE))
        return;
    for (u32 i = 0; i < n; i++) {
        u64 value = argument();

        if (at + i * 8 + 8 <= PAGE_SIZE)
            mm_host_table(m)[at / 8 + i] = value;
    }
    page_put_with_type(mfn_to_page(m));
}

static void call(void) {
    struct vcpu *v = d->vcpu[byte() % VCPUS];
    u64 number = byte() % 48, arg[6];

    for (u32 i = 0; i < 6; i++)
        arg[i] = i < 4 ? argument() : 0;
    if (mfn_eq(v->base, MFN_INVALID))
        v = s.v;
    cpus[0]->current = v;
    v->cpu = cpus[0];
    cpus[0]->gate_dirty = false;
    for (u32 tries = 0; tries < 64; tries++) {
        long rc;

        mm_preempt_after = tries < 60 ? tries % 4 : -1;
        rc = hypercall_call(v, number, arg);
        mm_preempt_after = -1;
        while (!mm_drain(d))
            continue;
        if (rc != -ERESTART || d->dying)
            break;
    }
}

static void start(void) {
    mm_host_init(1);
    host_quiet = true;
    d = mm_host_domain(1, VCPUS, 100);
    if (gnttab_init(d, 2))
        panic("no grant table");
    evtchn_init(d);
    s = mm_host_space(d);
    shared_info = d->shared_info_mfn;
    for (u32 i = 0; i < PAGES; i++) {
        page[i] = mm_host_frame(d);
        if (mm_host_set(d, s.l[1], i, mm_pte(page[i], MM_RWP)))
            panic("page %u", i);
    }
    for (u32 i = 0; i < VCPUS; i++) {
        d->vcpu[i]->gate = calloc(1, sizeof(struct gate_vcpu));
        d->vcpu[i]->pause = i ? VCPU_DOWN : 0;
        d->vcpu[i]->initialised = !i;
        d->vcpu[i]->kernel_mode = true;
    }
}

static void finish(u64 free_before) {
    void *gates[VCPUS];

    d->dying = true;
    gnttab_destroy(d);
    evtchn_destroy(d);
    for (u32 i = 0; i < VCPUS; i++) {
        struct vcpu *v = d->vcpu[i];

        gates[i] = v->gate;
        if (!mfn_eq(v->info_mfn, shared_info))
            page_put_with_type(mfn_to_page(v->info_mfn));
    }
    if (!mm_host_destroy(d, 2) || heap_free_count() != free_before || host_heap_live)
        panic("something is left of the domain");
    for (u32 i = 0; i < VCPUS; i++)
        free(gates[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    u64 free_before;

    mm_host_init(1);
    free_before = heap_free_count();
    rest = data;
    end = data + size;
    start();
    while (rest < end && !d->dying)
        byte() & 1 ? scribble() : call();
    finish(free_before);
    return 0;
}
