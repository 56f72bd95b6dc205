// SPDX-License-Identifier: MIT
/*
 * Events without end: the backend sends on 64 ports of the frontend's from two vCPUs, then binds and closes them while
 * the frontend sends. What the frontend has masked costs it nothing, what it has not is its own to bear; either way it
 * goes on with its work.
 */
#include "feud.h"

#define UNITS 100
#define EVENTS 1000
#define ROUNDS 500
#define WINDOWS 8
#define LEAST 12 /* percent of the work of calm times, in the best of the windows */
#define PATIENCE (120 * SECOND)

static unsigned ports[NR_PORTS];
static volatile unsigned long upcalls;
static volatile unsigned ended;
static unsigned started;

static void on_event(unsigned port) {
    (void)port;
    upcalls++;
}

static void open_ports(void) {
    for (unsigned i = 0; i < NR_PORTS; i++) {
        long port = event_alloc_unbound(DOMID_SELF, ch.peer);

        if (port < 0)
            panic("no port: %ld", port);
        event_mask((unsigned)port);
        event_set_handler((unsigned)port, on_event);
        board->port[i] = ports[i] = (unsigned)port;
    }
    board->stop = board->go = 0;
}

static bool bind(unsigned i) {
    long port = event_bind_interdomain(ch.peer, board->port[i]);

    ports[i] = port < 0 ? 0 : (unsigned)port;
    return port > 0;
}

static void bind_ports(void) {
    unsigned bound = 0;

    for (unsigned i = 0; i < NR_PORTS; i++)
        bound += bind(i);
    test_equal("storm.bound", bound, NR_PORTS);
    refused("storm.bind_twice", event_bind_interdomain(ch.peer, board->port[0]));
    refused("storm.bind_none", event_bind_interdomain(ch.peer, 4000));
}

/* --- sending, by vCPUs of the backend's but the first, which waits for its next step --- */

/* In calm times they only look whether they are to begin. */
static void storm(void *arg) {
    (void)arg;
    while (!board->stop) {
        for (unsigned i = 0; board->go && i < NR_PORTS; i++)
            event_send(ports[i]);
        if (!board->go)
            clock_sleep(MILLISECOND);
    }
    __atomic_add_fetch(&ended, 1, __ATOMIC_SEQ_CST);
}

static void on_others(void (*fn)(void *)) {
    ended = started = 0;
    for (unsigned id = 1; id < cpu_count_possible(); id++)
        started += !cpu_start(id, fn, NULL);
    test_check("storm.start", started, "no second vCPU");
}

static void start_storm(void) {
    on_others(storm);
}

static void wait_others(void) {
    uint64_t end = clock_now() + PATIENCE;

    while (ended < started && clock_now() < end)
        clock_sleep(MILLISECOND);
    test_equal("storm.ended", ended, started);
}

/* --- the frontend meanwhile --- */

/* Units of work in a tenth of a second. */
static unsigned long pace(void) {
    uint64_t end = clock_now() + SECOND / 10;
    unsigned long units = 0;

    for (; clock_now() < end; units++)
        for (volatile unsigned i = 0; i < 5000; i++)
            continue;
    return units;
}

static unsigned long best_share(void) {
    unsigned long best = 0, calm, share;

    for (unsigned n = 0; n < WINDOWS; n++) {
        board->go = 0;
        clock_sleep(10 * MILLISECOND);
        calm = pace();
        board->go = 1;
        clock_sleep(10 * MILLISECOND);
        share = pace() * 100 / (calm + 1);
        best = share > best ? share : best;
    }
    return best;
}

/* Masked events are noted and cost nothing else; then all that has been noted comes, and goes on coming. */
static void weather_storm(void) {
    unsigned long share = best_share(), units = 0;
    uint64_t end = clock_now() + PATIENCE;
    unsigned pending = 0;

    for (unsigned i = 0; i < NR_PORTS; i++)
        pending += event_is_pending(ports[i]);
    printf("INFO feud: %lu %% of the calm pace in a storm of masked events\n", share);
    test_check("storm.masked", share >= LEAST, "%lu %% of the calm pace", share);
    test_equal("storm.noted", pending, NR_PORTS);
    test_equal("storm.no_upcall", (long)upcalls, 0);
    for (unsigned i = 0; i < NR_PORTS; i++)
        event_unmask(ports[i]);
    while ((upcalls < EVENTS || units < UNITS) && clock_now() < end)
        units += pace();
    test_check("storm.upcalls", upcalls >= EVENTS && units >= UNITS, "%lu upcalls, %lu units", upcalls, units);
    board->stop = 1;
}

/* --- binding and closing --- */

static void rebind(void *arg) {
    (void)arg;
    while (!board->stop)
        for (unsigned i = cpu_this()->id - 1; i < NR_PORTS; i += cpu_count_possible() - 1) {
            event_close(ports[i]);
            bind(i);
        }
    __atomic_add_fetch(&ended, 1, __ATOMIC_SEQ_CST);
}

static void start_rebinding(void) {
    on_others(rebind);
}

static void send_meanwhile(void) {
    unsigned long refusals = 0;

    for (unsigned n = 0; n < ROUNDS; n++)
        for (unsigned i = 0; i < NR_PORTS; i++)
            refusals += event_send(ports[i]) < 0;
    test_equal("rebind.sent", (long)refusals, 0);
    board->stop = 1;
}

static void let_rebind(void) {
    board->stop = 0;
}

static void judge_ports(void) {
    struct evtchn_status status = {.dom = DOMID_SELF};
    unsigned bound = 0;

    for (unsigned i = 0; i < NR_PORTS; i++) {
        status.port = ports[i];
        bound += !hv_event_channel_op(EVTCHNOP_status, &status) && status.status == EVTCHNSTAT_interdomain &&
                 status.u.interdomain.dom == ch.peer;
        event_close(ports[i]);
    }
    test_equal("rebind.bound", bound, NR_PORTS);
}

static void close_ports(void) {
    unsigned closed = 0;

    for (unsigned i = 0; i < NR_PORTS; i++)
        closed += !event_close(ports[i]);
    test_equal("rebind.closed", closed, NR_PORTS);
}

const struct step storm_steps[] = {
    FRONT(open_ports), BACK(bind_ports),   BACK(start_storm),     FRONT(weather_storm),
    BACK(wait_others), FRONT(let_rebind),  BACK(start_rebinding), FRONT(send_meanwhile),
    BACK(wait_others), FRONT(judge_ports), BACK(close_ports),     {false, NULL},
};
