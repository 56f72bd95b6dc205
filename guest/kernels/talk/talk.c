// SPDX-License-Identifier: MIT
/*
 * Background: two guests of one launch file that name the same channel can talk: over a page that one grants to the
 *   other, and an event channel, found through their stores.
 * Scenario: both send a stream of bytes and check what comes (`bytes=N`, 64 KiB by default), then play ping-pong with
 *   single bytes and with bare events (`rounds=N`, 1000 by default), `sessions=N` times (0: for ever). With `leave`,
 *   a guest ends while it is connected; with `hoard`, it maps every page it is offered and never gives one back; with
 *   `wild`, it fills the page with nonsense over and over. `patience=N` seconds for the other to come or to answer.
 * Good: every byte as it was sent, in both directions; a restart of one side begins a new session. Bad: a byte that
 *   differs, a session that does not end.
 */
#include <sdk/sdk.h>

const char kernel_name[] = "talk";

static struct channel ch;
static unsigned long bytes, rounds;
static uint64_t patience;

/* The n-th byte that a side sends. */
static uint8_t byte_of(bool frontend, unsigned long n) {
    return (uint8_t)(n * 7 + n / 251 + frontend);
}

static size_t send_some(unsigned long at) {
    uint8_t chunk[192];
    size_t n = 0;

    for (; n < sizeof(chunk) && at + n < bytes; n++)
        chunk[n] = byte_of(ch.is_frontend, at + n);
    return channel_send(&ch, chunk, n);
}

static size_t receive_some(unsigned long at, unsigned long *wrong) {
    size_t want = bytes - at < 256 ? bytes - at : 256, n;
    uint8_t chunk[256];

    n = channel_receive(&ch, chunk, want);
    for (size_t i = 0; i < n; i++)
        *wrong += chunk[i] != byte_of(!ch.is_frontend, at + i);
    return n;
}

/* Both directions at once, in pieces that do not divide the ring. False: the other side went. */
static bool exchange_streams(void) {
    unsigned long sent = 0, got = 0, wrong = 0;
    uint64_t end = clock_now() + patience;

    while (sent < bytes || got < bytes) {
        size_t out = send_some(sent), in = receive_some(got, &wrong);

        sent += out;
        got += in;
        if (out || in)
            continue;
        channel_block(&ch, SECOND);
        if (!channel_poll(&ch) || clock_now() > end)
            return false;
    }
    return test_equal("talk.stream", (long)wrong, 0);
}

/* One byte out or in. The store is looked at only when nothing moves: asking it for each byte would be what we time. */
static bool pass_byte(bool out, uint8_t *byte) {
    uint64_t end = clock_now() + patience, look = clock_now() + SECOND;

    while (!(out ? channel_send(&ch, byte, 1) : channel_receive(&ch, byte, 1))) {
        channel_block(&ch, SECOND);
        if (clock_now() > end || (clock_now() > look && !channel_poll(&ch)))
            return false;
    }
    return true;
}

static bool get_byte(uint8_t *byte) {
    return pass_byte(false, byte);
}

static bool put_byte(uint8_t byte) {
    return pass_byte(true, &byte);
}

static bool ping_byte(unsigned n) {
    uint8_t mine = (uint8_t)n, got = 0;

    if (!ch.is_frontend)
        return get_byte(&got) && put_byte(got);
    return put_byte(mine) && get_byte(&got) && got == mine;
}

/* --- bare events, over ports of their own: the frontend's, which it tells the backend of --- */

static unsigned ping_port;
static volatile unsigned pings;

static void on_ping(unsigned port) {
    (void)port;
    pings++;
}

static bool open_ping_port(void) {
    uint8_t port[2] = {0}, ready = 0;
    long rc;

    if (ch.is_frontend) {
        rc = event_alloc_unbound(DOMID_SELF, ch.peer);
        port[0] = (uint8_t)rc;
        port[1] = (uint8_t)(rc >> 8);
    } else {
        rc = get_byte(&port[0]) && get_byte(&port[1]) ? event_bind_interdomain(ch.peer, port[0] | port[1] << 8) : -1;
    }
    if (rc < 0)
        return false;
    ping_port = (unsigned)rc;
    /* Binding gave the binder an event, and the other may have had none yet. */
    event_clear(ping_port);
    pings = 0;
    event_adopt(ping_port, on_ping);
    if (ch.is_frontend)
        return put_byte(port[0]) && put_byte(port[1]) && get_byte(&ready);
    return put_byte(ready);
}

static bool wait_ping(unsigned n) {
    uint64_t end = clock_now() + patience;

    while (pings <= n) {
        if (clock_now() > end)
            return false;
        channel_block(&ch, SECOND);
    }
    return true;
}

static bool ping_event(unsigned n) {
    if (ch.is_frontend)
        event_send(ping_port);
    if (!wait_ping(n))
        return false;
    if (!ch.is_frontend)
        event_send(ping_port);
    return true;
}

static bool play(const char *name, bool (*ping)(unsigned n)) {
    uint64_t start = clock_now(), tsc = rdtsc();

    for (unsigned n = 0; n < rounds; n++)
        if (!ping(n))
            return test_check(name, false, "no answer in round %u", n);
    if (ch.is_frontend)
        printf("BENCH %-18s %8lu ns %8lu cycles\n", name, (clock_now() - start) / rounds, (rdtsc() - tsc) / rounds);
    test_pass(name);
    return true;
}

/* --- ill behaviour --- */

/* Whatever the other reads of indices and data, it is nonsense, and it is told so all the time. */
static void be_wild(void) {
    uint64_t *words = (uint64_t *)ch.page, seed = 88172645463325252UL;

    for (;;) {
        for (unsigned i = 0; i < sizeof(*ch.page) / sizeof(*words); i++) {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            WRITE_ONCE(words[i], seed);
        }
        event_send(ch.port);
    }
}

/* Takes every offer and never gives a page back. */
static void hoard(void) {
    for (unsigned n = 1;; n++) {
        printf("talk: page %u, of domain %u, stays mapped\n", n, ch.peer);
        ch.page = NULL;
        ch.index++;
        while (!channel_wait(&ch, SECOND))
            continue;
    }
}

static bool session(unsigned long n) {
    if (!test_check("talk.connected", channel_wait(&ch, patience), "nobody there"))
        return false;
    printf("talk: session %lu, %s, with domain %u\n", n, ch.is_frontend ? "frontend" : "backend", ch.peer);
    if (cmdline_has("wild"))
        be_wild();
    if (cmdline_has("hoard"))
        hoard();
    if (cmdline_has("leave"))
        shutdown(SHUTDOWN_poweroff);
    if (!test_check("talk.streams", exchange_streams(), "the other side went"))
        return false;
    if (play("talk.byte", ping_byte) && test_check("talk.port", open_ping_port(), "none")) {
        play("talk.event", ping_event);
        event_close(ping_port);
    }
    return true;
}

void kernel_main(void) {
    unsigned long sessions = cmdline_number("sessions", 1);
    char name[32];

    patience = cmdline_number("patience", 60) * SECOND;
    bytes = cmdline_number("bytes", 64 << 10);
    rounds = cmdline_number("rounds", 1000);
    if (channel_open(&ch, cmdline_value("channel", name, sizeof(name)))) {
        test_skip("talk", "this guest has no channel");
        return;
    }
    for (unsigned long n = 1; !sessions || n <= sessions; n++) {
        if (!session(n) && sessions)
            break;
        channel_close(&ch);
    }
}
