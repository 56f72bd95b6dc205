// SPDX-License-Identifier: MIT
/*
 * The console's two ways out: console_io for privileged domains, the shared ring for the others. The ring's
 * page is part of the initial image, so it can be found before any memory is set up.
 */
#include <sdk/console.h>
#include <sdk/event.h>
#include <sdk/start.h>

#include <xen/io/console.h>

static struct xencons_interface *ring;
static uint32_t lock;

static void lock_console(void) {
    while (__atomic_exchange_n(&lock, 1, __ATOMIC_ACQUIRE))
        hv_sched_op(SCHEDOP_yield, NULL);
}

static void unlock_console(void) {
    __atomic_store_n(&lock, 0, __ATOMIC_RELEASE);
}

void console_init(void) {
    unsigned long mfn = start_info->console.domU.mfn;

    if (!is_privileged() && mfn)
        ring = (void *)(kernel_virt_base + (machine_to_phys_mapping[mfn] << PAGE_SHIFT));
}

static size_t ring_put(const char *text, size_t n) {
    uint32_t cons = __atomic_load_n(&ring->out_cons, __ATOMIC_ACQUIRE), prod = ring->out_prod;
    size_t done = 0;

    while (done < n && prod - cons < sizeof(ring->out))
        ring->out[MASK_XENCONS_IDX(prod++, ring->out)] = text[done++];
    __atomic_store_n(&ring->out_prod, prod, __ATOMIC_RELEASE);
    return done;
}

static void ring_write(const char *text, size_t n) {
    size_t done;

    for (; n; text += done, n -= done) {
        done = ring_put(text, n);
        event_send(start_info->console.domU.evtchn);
        if (done < n)
            hv_sched_op(SCHEDOP_yield, NULL);
    }
}

void console_write(const char *text, size_t n) {
    bool were_enabled = events_disable();

    lock_console();
    if (ring)
        ring_write(text, n);
    else
        hv_console_io(CONSOLEIO_write, n, (void *)(uintptr_t)text);
    unlock_console();
    events_restore(were_enabled);
}

static size_t ring_read(char *text, size_t n) {
    uint32_t prod = __atomic_load_n(&ring->in_prod, __ATOMIC_ACQUIRE), cons = ring->in_cons;
    size_t done = 0;

    while (done < n && cons != prod)
        text[done++] = ring->in[MASK_XENCONS_IDX(cons++, ring->in)];
    __atomic_store_n(&ring->in_cons, cons, __ATOMIC_RELEASE);
    if (done)
        event_send(start_info->console.domU.evtchn);
    return done;
}

size_t console_read(char *text, size_t n) {
    long got;

    if (ring)
        return ring_read(text, n);
    got = hv_console_io(CONSOLEIO_read, n, text);
    return got > 0 ? (size_t)got : 0;
}

void console_flush(void) {
    /* A hypervisor without a reader must not keep us from ending. */
    for (unsigned tries = 0; ring && tries < 100000; tries++) {
        if (__atomic_load_n(&ring->out_cons, __ATOMIC_ACQUIRE) == ring->out_prod)
            return;
        hv_sched_op(SCHEDOP_yield, NULL);
    }
}
