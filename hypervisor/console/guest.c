// SPDX-License-Identifier: MIT
/*
 * Guests on the serial line: their places, attaching a domain's console ring, and moving bytes between the ring and the
 * multiplexer in small, fair portions. A guest may fill its ring as fast as it likes: each tick it gets BUDGET bytes of
 * the line, in turn with the others, and then waits for the next tick.
 */
#include "internal.h"
#include <pv/domain.h>

#define TICK_NS TIME_MS(2)
#define BUDGET 2048u       /* bytes of output, of one guest in one tick */
#define TOTAL_BUDGET 8192u /* of all */
#define PORTION 64u        /* bytes moved at once: even as single line feeds they fit PORTION_ROOM */
#define PORTION_ROOM (PORTION * 64)

struct guest_console guest_consoles[CONSOLE_MAX_GUESTS];
static u32 next_turn; /* where the round robin goes on */
static u64 total_tick;
static u32 total_budget;
static bool expect_ready, told_ready;

struct guest_console *guest_next(struct guest_console *gc) {
    for (gc = gc ? gc + 1 : guest_consoles; gc < guest_consoles + CONSOLE_MAX_GUESTS; gc++)
        if (gc->name[0])
            return gc;
    return NULL;
}

struct guest_console *console_guest_create(const char *name) {
    struct guest_console *gc = NULL;

    console_lock();
    for (u32 i = 0; i < CONSOLE_MAX_GUESTS && !gc; i++)
        if (!guest_consoles[i].name[0])
            gc = &guest_consoles[i];
    if (gc) {
        memset(gc, 0, sizeof(*gc));
        strlcpy(gc->name, *name ? name : "?", sizeof(gc->name));
        gc->number = (u32)(gc - guest_consoles) + 1;
        mux_set_ready_text(gc, "READY");
        if (!mux.focus && !console_is_batch())
            mux_set_focus(gc);
    }
    console_unlock();
    return gc;
}

void console_guest_destroy(struct guest_console *gc) {
    console_guest_detach(gc);
    console_lock();
    gc->name[0] = 0;
    if (mux.focus == gc)
        mux_set_focus(guest_next(NULL));
    console_unlock();
}

/* The guest's send: look at its ring soon, on this CPU, so that whoever writes much works for it itself. */
static void on_event(struct domain *d, u32 port, void *arg) {
    struct guest_console *gc = arg;
    (void)d;
    (void)port;
    __atomic_store_n(&gc->pending, true, __ATOMIC_SEQ_CST);
    cpu_request(this_cpu(), CPU_REQ_WORK);
}

int console_guest_attach(struct guest_console *gc, struct domain *d, void *ring, u32 *port) {
    u32 bound = 0;
    int rc = ring ? evtchn_bind_host(d, on_event, gc, &bound) : 0;
    if (rc)
        return rc;

    console_lock();
    gc->d = d;
    gc->ring = ring;
    gc->port = bound;
    if (ring)
        ring_attach(ring, &gc->out_cons, &gc->in_prod);
    gc->input_prod = gc->input_cons = 0;
    WRITE_ONCE(gc->pending, true); /* what it wrote before now */
    d->console = gc;
    console_unlock();
    *port = bound;
    return 0;
}

/* All that is in the ring: it holds 2 KiB at most, but the guest may go on filling it, so that much and no more. */
static void take_last_output(struct guest_console *gc) {
    char buf[PORTION];
    u32 left = gc->ring ? BUDGET : 0;

    while (left) {
        u32 n = ring_take_output(gc->ring, &gc->out_cons, buf, MIN(left, PORTION));
        if (!n)
            break;
        mux_guest_write(gc, buf, n);
        left -= n;
    }
    mux_flush(gc);
}

void console_guest_detach(struct guest_console *gc) {
    console_lock();
    take_last_output(gc);
    if (gc->d)
        gc->d->console = NULL;
    gc->d = NULL;
    gc->ring = NULL;
    gc->port = 0;
    console_send();
    console_unlock();
    while (__atomic_load_n(&gc->users, __ATOMIC_SEQ_CST))
        __asm__ volatile("" ::: "memory"); /* another CPU is just raising the port */
}

static void refill(struct guest_console *gc, u64 tick) {
    if (gc->tick != tick) {
        gc->tick = tick;
        gc->budget = BUDGET;
    }
    if (total_tick != tick) {
        total_tick = tick;
        total_budget = TOTAL_BUDGET;
    }
}

static void charge(u32 *budget, u64 used) {
    *budget -= (u32)MIN(*budget, used);
}

/* Moves what the budgets allow; true if the ring was emptied. *moved: something was taken. */
static bool move_output(struct guest_console *gc, bool *moved) {
    char buf[PORTION];

    while (gc->budget && total_budget && tx_room() >= PORTION_ROOM) {
        u64 before = tx_total();
        u32 n = ring_take_output(gc->ring, &gc->out_cons, buf, PORTION);
        if (!n)
            return true;
        *moved = true;
        mux_guest_write(gc, buf, n);
        u64 used = MAX(tx_total() - before, (u64)n);
        charge(&gc->budget, used);
        charge(&total_budget, used);
    }
    return false;
}

static bool move_input(struct guest_console *gc) {
    bool moved = false;

    while (gc->input_cons != gc->input_prod) {
        u32 at = gc->input_cons % CONSOLE_INPUT_SIZE;
        u32 n = MIN(gc->input_prod - gc->input_cons, CONSOLE_INPUT_SIZE - at);
        u32 done = ring_put_input(gc->ring, &gc->in_prod, gc->input + at, n);
        if (!done)
            break;
        gc->input_cons += done;
        moved = true;
    }
    return moved;
}

/* One guest's turn; true if it has to be told. */
static bool move_one(struct guest_console *gc) {
    bool moved = false;

    __atomic_store_n(&gc->pending, false, __ATOMIC_SEQ_CST);
    if (!gc->ring)
        return gc->d && gc->input_cons != gc->input_prod;
    if (!move_output(gc, &moved))
        WRITE_ONCE(gc->pending, true); /* to be continued */
    return move_input(gc) || moved;
}

u64 guest_move_all(u64 now, u64 raise[CONSOLE_MAX_GUESTS / 64]) {
    u64 tick = now / TICK_NS + 1; /* 0: never */
    bool more = false;
    u32 start = next_turn;

    for (u32 i = 0; i < CONSOLE_MAX_GUESTS; i++) {
        u32 at = (start + i) % CONSOLE_MAX_GUESTS;
        struct guest_console *gc = &guest_consoles[at];
        if (!__atomic_load_n(&gc->pending, __ATOMIC_SEQ_CST))
            continue;
        refill(gc, tick);
        if (move_one(gc)) {
            raise[at / 64] |= BIT(at % 64);
            __atomic_fetch_add(&gc->users, 1, __ATOMIC_SEQ_CST);
        }
        more |= gc->pending;
        next_turn = at + 1;
    }
    return more ? tick * TICK_NS : TIME_NEVER;
}

static void raise_one(struct guest_console *gc) {
    struct domain *d = READ_ONCE(gc->d);
    u32 port = READ_ONCE(gc->port);

    if (d && port)
        evtchn_raise_host(d, port);
    else if (d)
        evtchn_send_virq(d->vcpu[0], VIRQ_CONSOLE);
    __atomic_fetch_sub(&gc->users, 1, __ATOMIC_SEQ_CST);
}

void guest_raise(const u64 raise[CONSOLE_MAX_GUESTS / 64]) {
    for (u32 i = 0; i < CONSOLE_MAX_GUESTS; i++)
        if (raise[i / 64] >> (i % 64) & 1)
            raise_one(&guest_consoles[i]);
}

void guest_input(struct guest_console *gc, u8 c) {
    if (!gc->d || gc->input_prod - gc->input_cons == CONSOLE_INPUT_SIZE)
        return; /* it does not read: typed into the void */
    gc->input[gc->input_prod++ % CONSOLE_INPUT_SIZE] = (char)c;
    WRITE_ONCE(gc->pending, true);
}

void console_guest_write(struct domain *d, const char *buf, size_t n) {
    struct guest_console *gc = d->console;

    while (gc && n) {
        size_t part = MIN(n, (size_t)128);
        console_lock();
        bool was_ready = gc->ready;
        mux_guest_write(gc, buf, part);
        console_send();
        if (was_ready != gc->ready)
            cpu_request(this_cpu(), CPU_REQ_WORK);
        console_unlock();
        buf += part;
        n -= part;
    }
}

size_t console_guest_read(struct domain *d, char *buf, size_t n) {
    struct guest_console *gc = d->console;
    size_t done = 0;

    console_lock();
    while (gc && done < n && gc->input_cons != gc->input_prod)
        buf[done++] = gc->input[gc->input_cons++ % CONSOLE_INPUT_SIZE];
    console_unlock();
    return done;
}

/* --- readiness --- */
void console_guest_set_ready_text(struct guest_console *gc, const char *text) {
    console_lock();
    mux_set_ready_text(gc, text);
    console_unlock();
}

bool console_guest_ready(const struct guest_console *gc) {
    return READ_ONCE(gc->ready);
}
u64 console_guest_ready_time(const struct guest_console *gc) {
    return READ_ONCE(gc->ready_time);
}
struct domain *console_guest_domain(const struct guest_console *gc) {
    return READ_ONCE(gc->d);
}

void console_expect_ready(void) {
    WRITE_ONCE(expect_ready, true);
    cpu_request(this_cpu(), CPU_REQ_WORK);
}

/* True once: all guests that exist are ready. Lock held. */
bool guest_all_ready(void) {
    struct guest_console *gc = guest_next(NULL);

    if (!expect_ready || told_ready || !gc)
        return false;
    for (; gc; gc = guest_next(gc))
        if (!gc->ready)
            return false;
    return told_ready = true;
}
