// SPDX-License-Identifier: MIT
/*
 * The transmit buffer: everything that goes out on the serial line passes it, so that a slow line delays nobody but
 * those who fill it. A line that stands still (nobody reads at its other end) is waited for once; until it moves again,
 * what does not fit is lost, and its amount told. Copies go to the debug port at once, where there is one.
 */
#include "internal.h"
#include <pv/platform.h>

#define TX_SIZE 32768u      /* a power of two */
#define WAIT_READS 1000000u /* status reads before a line counts as stalled: over a second, for 16 bytes */
#define NOTE_SIZE 48u

static char buffer[TX_SIZE];
static u64 prod, cons, lost;
static struct uart *uart;
static bool has_debug_port, absent, stalled;

void tx_init(struct uart *u, bool debug_port) {
    uart = u;
    has_debug_port = debug_port;
    prod = cons = lost = 0;
    stalled = false;
    absent = !u->base;
}

u32 tx_room(void) {
    return (u32)(TX_SIZE - (prod - cons));
}
u64 tx_total(void) {
    return prod;
}

/* Sends up to one FIFO from the buffer. */
static void send_some(void) {
    u32 at = (u32)(cons % TX_SIZE);
    u32 n = (u32)MIN(MIN(prod - cons, (u64)UART_FIFO_SIZE), (u64)(TX_SIZE - at));
    uart_send(uart, buffer + at, n);
    cons += n;
}

bool tx_pump(void) {
    if (absent)
        cons = prod;
    while (cons != prod && uart_can_send(uart)) {
        send_some();
        stalled = false;
    }
    return cons != prod;
}

static bool wait_until(bool (*ready)(const struct uart *)) {
    for (u32 i = 0; i < WAIT_READS; i++)
        if (ready(uart))
            return true;
    return false;
}

void tx_drain(void) {
    while (tx_pump() && !stalled)
        stalled = !wait_until(uart_can_send);
    if (!absent && !stalled)
        stalled = !wait_until(uart_is_idle);
}

/* False: the buffer is full and the line stands still. */
static bool make_room(void) {
    if (!tx_room() && tx_pump() && !tx_room())
        tx_drain();
    return tx_room();
}

static void put(char c) {
    buffer[prod++ % TX_SIZE] = c;
    if (has_debug_port)
        platform_debug_port_write(c);
}

static void tell_lost(void) {
    char note[NOTE_SIZE];
    int n = snprintf(note, sizeof(note), "\r\n[%lu bytes lost]\r\n", lost);

    for (int i = 0; i < n; i++)
        put(note[i]);
    lost = 0;
}

void tx_put(const char *buf, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (!make_room()) {
            lost += n - i;
            return;
        }
        if (lost && tx_room() > NOTE_SIZE)
            tell_lost();
        put(buf[i]);
    }
}
