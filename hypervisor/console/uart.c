// SPDX-License-Identifier: MIT
/* A 16550: set-up, sending a FIFO at a time, receiving. The registers are reached through struct uart_ops. */
#include "internal.h"

enum uart_reg { UART_DATA = 0, UART_IER = 1, UART_FCR = 2, UART_LCR = 3, UART_MCR = 4, UART_LSR = 5, UART_SCRATCH = 7 };
enum uart_bits {
    IER_RECEIVED = 0x01,
    FCR_ENABLE_CLEAR = 0x07,
    LCR_DIVISOR = 0x80,
    MCR_DTR_RTS_OUT2 = 0x0b, /* OUT2 lets the interrupt through */
    LSR_RECEIVED = 0x01,
    LSR_EMPTY = 0x20, /* the FIFO */
    LSR_IDLE = 0x40,  /* and what it gave to the line */
};
#define UART_CLOCK 115200

static u8 rd(const struct uart *u, u8 reg) {
    return u->ops->read(u->base, reg);
}
static void wr(const struct uart *u, u8 reg, u8 value) {
    u->ops->write(u->base, reg, value);
}

static bool is_present(const struct uart *u) {
    wr(u, UART_SCRATCH, 0x5a);
    if (rd(u, UART_SCRATCH) != 0x5a)
        return false;
    wr(u, UART_SCRATCH, 0xa5);
    return rd(u, UART_SCRATCH) == 0xa5;
}

bool uart_init(struct uart *u, const struct uart_ops *ops, const struct console_options *o) {
    *u = (struct uart){ops, o->port};
    if (!ops || !o->port || !is_present(u)) {
        u->base = 0;
        return false;
    }
    u32 divisor = UART_CLOCK / o->baud;
    wr(u, UART_IER, 0);
    wr(u, UART_LCR, LCR_DIVISOR);
    wr(u, UART_DATA, (u8)divisor);
    wr(u, UART_IER, (u8)(divisor >> 8));
    wr(u, UART_LCR, o->line_control);
    wr(u, UART_FCR, FCR_ENABLE_CLEAR);
    wr(u, UART_MCR, MCR_DTR_RTS_OUT2);
    return true;
}

void uart_enable_input_interrupt(struct uart *u) {
    if (u->base)
        wr(u, UART_IER, IER_RECEIVED);
}

bool uart_can_send(const struct uart *u) {
    return u->base && (rd(u, UART_LSR) & LSR_EMPTY);
}

bool uart_is_idle(const struct uart *u) {
    return u->base && (rd(u, UART_LSR) & LSR_IDLE);
}

void uart_send(const struct uart *u, const char *buf, u32 n) {
    for (u32 i = 0; i < n; i++)
        wr(u, UART_DATA, (u8)buf[i]);
}

int uart_receive(const struct uart *u) {
    return u->base && (rd(u, UART_LSR) & LSR_RECEIVED) ? rd(u, UART_DATA) : -1;
}
