// SPDX-License-Identifier: MIT
// What an audit of all counts has to know of grants: which frames the handles hold by themselves, without an entry.
#include "internal.h"

void gnttab_for_each_hold(struct domain *d, void (*fn)(mfn_t m, bool use, const void *arg), const void *arg) {
    struct gnttab *t = &d->gnttab;
    for (u32 i = 0; i < t->nr_map_chunks * GNTTAB_MAP_CHUNK; i++) {
        const struct gnttab_map *m = &t->map[i / GNTTAB_MAP_CHUNK][i % GNTTAB_MAP_CHUNK];
        if (m->flags & GNTMAP_device_map)
            fn(mfn(m->frame), !(m->flags & GNTMAP_readonly), arg);
    }
}
