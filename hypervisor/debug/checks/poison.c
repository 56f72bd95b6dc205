// SPDX-License-Identifier: MIT
// Poison: memory that nobody owns is filled with a pattern, and looked at when it is given away again. Whoever wrote to
// it meanwhile had let go of it, or never had it.
#include "checks.h"

#include <pv/mm.h>

#define POISON 0xfb1edf0ef1ee5eedul
#define TYPE_POISONED BIT(63) /* of a free frame: its content is ours to look at */

void debug_poison(void *p, size_t n) {
    u64 *word = p;

    for (size_t i = 0; i < n / sizeof(*word); i++)
        word[i] = POISON;
}

void debug_check_poison(const void *p, size_t n) {
    const u64 *word = p;

    for (size_t i = 0; i < n / sizeof(*word); i++)
        if (word[i] != POISON)
            panic("free memory was written to: %lx at machine address %lx", word[i], virt_to_maddr(&word[i]).a);
}

void debug_poison_frames(struct page *pg, u64 n) {
    debug_poison(page_to_virt(pg), n * PAGE_SIZE);
    for (u64 i = 0; i < n; i++)
        pg[i].type |= TYPE_POISONED;
}

void debug_check_frames(const struct page *pg, u64 n) {
    for (u64 i = 0; i < n; i++)
        if (pg[i].type & TYPE_POISONED)
            debug_check_poison(page_to_virt(pg + i), PAGE_SIZE);
}
