// SPDX-License-Identifier: MIT
// sources: console/ring.c
/* A guest that writes anything into its console ring, between rounds of service. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../hypervisor/console/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok) {
    if (!ok)
        abort();
}

static void serve(struct xencons_interface *r, u32 *out_cons, u32 *in_prod, u8 how) {
    u32 max = how & 63, before = *out_cons, n;
    char *buf = malloc(max + 1);

    memset(buf, 'i', max + 1);
    if (how & 64) {
        n = ring_put_input(r, in_prod, buf, max);
        require(n <= max && r->in_prod == *in_prod && *in_prod - r->in_cons <= sizeof(r->in));
    } else {
        n = ring_take_output(r, out_cons, buf, max);
        require(n <= max && (!n || *out_cons - before == n) && r->out_prod - *out_cons <= sizeof(r->out));
    }
    free(buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct xencons_interface *r = calloc(1, sizeof(*r));
    u32 out_cons, in_prod, *const index[] = {&r->in_cons, &r->in_prod, &r->out_cons, &r->out_prod};

    ring_attach(r, &out_cons, &in_prod);
    for (; size >= 3; data += 3, size -= 3) {
        if (data[0] & 128)
            serve(r, &out_cons, &in_prod, data[1]);
        else if (data[0] & 64)
            *index[data[0] & 3] = (data[0] & 32 ? 0xfffff000u : 0) + data[1] * 16u + data[2];
        else
            *index[data[0] & 3] += data[1];
    }
    free(r);
    return 0;
}
