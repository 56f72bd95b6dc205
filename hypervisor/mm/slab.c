// SPDX-License-Identifier: MIT
// heap_alloc: small objects from pages cut into equal pieces, one free list for each size; large ones as whole pages.
// Pages of a size stay with it for ever.
#include <pv/heap.h>
#include <pv/debug.h>
#include <pv/lib.h>
#include <pv/mm.h>

#define MIN_SHIFT 5
#define NR_CLASSES 7 /* 32 .. 2048 bytes */
#define SMALL 0x100u /* in aux of a page of small objects, with the class; else aux is the order */

static struct spinlock slab_lock = SPINLOCK_INIT(LOCK_SLAB);
static void *free_objects[NR_CLASSES];

static u64 object_size(u32 class) {
    return 1ul << (MIN_SHIFT + class);
}

static bool refill(u32 class) {
    u64 size = object_size(class);
    struct page *pg = heap_alloc_pages(0);

    if (!pg)
        return false;
    pg->aux = SMALL | class;
    for (u64 off = 0; off < PAGE_SIZE; off += size) {
        void **object = (void **)((char *)page_to_virt(pg) + off);

        if (DEBUG)
            debug_poison(object, size);
        *object = free_objects[class];
        free_objects[class] = object;
    }
    return true;
}

static void *alloc_small(u32 class) {
    void **object = NULL;

    spin_lock(&slab_lock);
    if (free_objects[class] || refill(class)) {
        object = free_objects[class];
        free_objects[class] = *object;
        if (DEBUG)
            debug_check_poison(object + 1, object_size(class) - sizeof(*object));
    }
    spin_unlock(&slab_lock);
    return object;
}

static void *alloc_large(size_t size) {
    u32 order = 0;
    struct page *pg;

    while (PAGE_SIZE << order < size && order < MAX_ORDER)
        order++;
    pg = PAGE_SIZE << order >= size ? heap_alloc_pages(order) : NULL;
    if (!pg)
        return NULL;
    pg->aux = order;
    return page_to_virt(pg);
}

void *heap_alloc(size_t size) {
    u32 class = 0;
    void *p;

    if (DEBUG && debug_allocation_fails())
        return NULL;
    while (class < NR_CLASSES && 1ul << (MIN_SHIFT + class) < size)
        class ++;
    p = class < NR_CLASSES ? alloc_small(class) : alloc_large(size);
    return p ? memset(p, 0, size) : NULL;
}

void heap_free(void *p) {
    struct page *pg;

    if (!p)
        return;
    pg = mfn_to_page(virt_to_mfn(p));
    if (!(pg->aux & SMALL)) {
        heap_free_pages(pg, pg->aux);
        return;
    }
    if (DEBUG)
        debug_poison(p, object_size(pg->aux & ~SMALL));
    spin_lock(&slab_lock);
    *(void **)p = free_objects[pg->aux & ~SMALL];
    free_objects[pg->aux & ~SMALL] = p;
    spin_unlock(&slab_lock);
}
