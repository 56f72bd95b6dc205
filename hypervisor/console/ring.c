// SPDX-License-Identifier: MIT
/*
 * The ABI's console ring page, seen from the back end. The guest can write all of it at any time: each of its indices
 * is read once and checked, ours are kept outside. Indices run freely modulo 2^32; with prod - cons over the ring's
 * size the content is garbage and the ring is taken for empty from there on.
 */
#include "internal.h"

#define OUT_SIZE sizeof(((struct xencons_interface *)0)->out)
#define IN_SIZE sizeof(((struct xencons_interface *)0)->in)

static void barrier(void) {
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* A guest's page may carry indices from an earlier life. */
void ring_attach(const struct xencons_interface *r, u32 *out_cons, u32 *in_prod) {
    *out_cons = READ_ONCE(r->out_cons);
    *in_prod = READ_ONCE(r->in_prod);
}

u32 ring_take_output(struct xencons_interface *r, u32 *out_cons, char *buf, u32 max) {
    u32 prod = READ_ONCE(r->out_prod), cons = *out_cons;
    u32 n = prod - cons;

    if (n > OUT_SIZE) {
        WRITE_ONCE(r->out_cons, prod);
        *out_cons = prod;
        return 0;
    }
    n = MIN(n, max);
    barrier(); /* the index before the bytes */
    for (u32 i = 0; i < n; i++)
        buf[i] = READ_ONCE(r->out[(cons + i) % OUT_SIZE]);
    barrier(); /* the bytes before they may be overwritten */
    *out_cons = cons + n;
    if (n)
        WRITE_ONCE(r->out_cons, cons + n);
    return n;
}

u32 ring_put_input(struct xencons_interface *r, u32 *in_prod, const char *buf, u32 n) {
    u32 cons = READ_ONCE(r->in_cons), prod = *in_prod;

    if (prod - cons > IN_SIZE)
        prod = cons;
    n = MIN(n, (u32)(IN_SIZE - (prod - cons)));
    barrier(); /* the guest is done with the bytes */
    for (u32 i = 0; i < n; i++)
        WRITE_ONCE(r->in[(prod + i) % IN_SIZE], buf[i]);
    barrier(); /* the bytes before the index */
    *in_prod = prod + n;
    WRITE_ONCE(r->in_prod, prod + n);
    return n;
}
