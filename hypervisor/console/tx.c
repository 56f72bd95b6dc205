// SPDX-License-Identifier: MIT
/*
 * The transmit buffer: everything that goes out on the serial line passes it, so that a slow line delays nobody but
 * those who fill it. Copies go to the debug port at once, where there is one.
 */
#include "internal.h"
#include <pv/platform.h>

#define TX_SIZE 32768u      /* a power of two */
#define WAIT_READS 1000000u /* status reads before a line counts as dead: over a second, for 16 bytes */

static char buffer[TX_SIZE];
static u64 prod, cons;
static struct uart *uart;
static bool has_debug_port, dead;

void tx_init(struct uart *u, bool debug_port) {
    uart = u;
    has_debug_port = debug_port;
    prod = cons = 0;
    dead = !u->base;
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
    if (dead)
        cons = prod;
    while (cons != prod && uart_can_send(uart))
        send_some();
    return cons != prod;
}

static bool wait_until_empty(void) {
    for (u32 i = 0; i < WAIT_READS; i++)
        if (uart_can_send(uart))
            return true;
    return false;
}

void tx_drain(void) {
    while (cons != prod && !dead) {
        if (wait_until_empty())
            send_some();
        else
            dead = true;
    }
    if (dead)
        cons = prod;
}

void tx_put(const char *buf, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (prod - cons == TX_SIZE && tx_pump() && prod - cons == TX_SIZE)
            tx_drain();
        buffer[prod++ % TX_SIZE] = buf[i];
        if (has_debug_port)
            platform_debug_port_write(buf[i]);
    }
}
