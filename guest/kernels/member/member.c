// SPDX-License-Identifier: MIT
/*
 * Background: one of a crowd (the kernel `crowd` builds it). Scenario, by the first word of its command line: `spin`
 * never stops; `ping` sends events to the one who is connected with its `port=N`, and each time sleeps until the answer
 * has come; `pong`, with `port=N peer=DOMAIN`, answers for ever. `ping` also times a hypercall that does nothing.
 *   `rounds=N`, 2000 by default; `pause=US`, between the trips that are timed by themselves, 0 by default.
 * Good: lines `BENCH name`, of times. Bad: silence.
 */
#include <sdk/sdk.h>

const char kernel_name[] = "member";

#define MAX_ROUNDS 10000

static volatile unsigned events;
static unsigned port;
static unsigned long rounds;
static uint64_t taken[MAX_ROUNDS];

static void on_event(unsigned which) {
    (void)which;
    events++;
}

/* Sleeps until so many events have come in all. Blocking enables events, and returns at once if one is pending. */
static void wait_events(unsigned n) {
    while (events < n) {
        events_disable();
        if (events < n)
            hv_sched_op(SCHEDOP_block, NULL);
        events_enable();
    }
}

static void spin(void) {
    for (;;)
        barrier();
}

static void pong(void) {
    unsigned seen = 0;

    port = (unsigned)event_bind_interdomain((domid_t)cmdline_number("peer", 0), (unsigned)cmdline_number("port", 0));
    event_clear(port);
    event_adopt(port, on_event);
    event_send(port);
    for (;;) {
        wait_events(++seen);
        event_send(port);
    }
}

static void null_hypercalls(void) {
    uint64_t ns = clock_now(), tsc = rdtsc();

    for (unsigned long i = 0; i < rounds; i++)
        hv_xen_version(XENVER_pagesize, NULL);
    tsc = rdtsc() - tsc;
    printf("BENCH null_hypercall %lu ns %lu cycles\n", (clock_now() - ns) / rounds, tsc / rounds);
}

static void sort(uint64_t *values, unsigned long n) {
    for (unsigned long gap = n / 2; gap; gap = gap / 2)
        for (unsigned long i = gap; i < n; i++)
            for (unsigned long j = i; j >= gap && values[j - gap] > values[j]; j -= gap) {
                uint64_t value = values[j];

                values[j] = values[j - gap];
                values[j - gap] = value;
            }
}

static void round_trip(void) {
    unsigned n = events;

    event_send(port);
    wait_events(n + 1);
}

static void round_trips(uint64_t pause) {
    for (unsigned long i = 0; i < rounds; i++) {
        uint64_t start;

        if (pause)
            clock_sleep(pause);
        start = clock_now();
        round_trip();
        taken[i] = clock_now() - start;
    }
    sort(taken, rounds);
    printf("BENCH trips of %lu: min %lu median %lu p99 %lu max %lu ns\n", rounds, taken[0], taken[rounds / 2],
           taken[rounds * 99 / 100], taken[rounds - 1]);
}

/* Once without looking at the clock in between, since that may trap; then each trip by itself. */
static void ping(void) {
    uint64_t ns, tsc;

    port = (unsigned)cmdline_number("port", 0);
    event_adopt(port, on_event);
    wait_events(1);
    null_hypercalls();
    round_trip();
    ns = clock_now();
    tsc = rdtsc();
    for (unsigned long i = 0; i < rounds; i++)
        round_trip();
    tsc = rdtsc() - tsc;
    printf("BENCH ping_pong_guests %lu ns %lu cycles\n", (clock_now() - ns) / rounds, tsc / rounds);
    round_trips(cmdline_number("pause", 0) * (MILLISECOND / 1000));
}

void kernel_main(void) {
    rounds = cmdline_number("rounds", 2000);
    if (rounds < 1 || rounds > MAX_ROUNDS)
        panic("rounds: from 1 to %d", MAX_ROUNDS);
    if (cmdline_has("spin"))
        spin();
    else if (cmdline_has("pong"))
        pong();
    else if (cmdline_has("ping"))
        ping();
    else
        test_skip("member", "neither spin nor ping nor pong");
}
