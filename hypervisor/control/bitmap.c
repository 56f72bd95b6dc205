// SPDX-License-Identifier: MIT
// Sets of CPUs and nodes as tools pass them: bytes in the caller's memory, and how many bits they have room for.
#include "internal.h"

#include <pv/mm.h>

long control_read_bitmap(const struct xenctl_bitmap *b, u64 *bits) {
    u32 bytes = MIN((b->nr_bits + 7) / 8, (u32)sizeof(*bits));

    *bits = 0;
    if (b->nr_bits > CONTROL_BITMAP_LIMIT)
        return -EINVAL;
    if (copy_from_guest(bits, gva((u64)b->bitmap.p), bytes))
        return -EFAULT;
    if (b->nr_bits < 64)
        *bits &= BIT(b->nr_bits) - 1;
    return 0;
}

long control_write_bitmap(const struct xenctl_bitmap *b, u64 bits) {
    u32 bytes = (b->nr_bits + 7) / 8;
    const u64 none = 0;

    if (b->nr_bits > CONTROL_BITMAP_LIMIT)
        return -EINVAL;
    for (u32 at = 0; at < bytes; at += sizeof(bits)) {
        u32 n = MIN(bytes - at, (u32)sizeof(bits));

        if (copy_to_guest(gva((u64)(b->bitmap.p + at)), at ? &none : &bits, n))
            return -EFAULT;
    }
    return 0;
}
