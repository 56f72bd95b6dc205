/* SPDX-License-Identifier: MIT */
/*
 * What the files of console share. All state is guarded by the console lock, taken in console.c, guest.c and printk.c;
 * the pure parts (mux.c, ring.c, keys.c, log.c, tx.c, uart.c, options.c) never take it.
 */
#ifndef CONSOLE_INTERNAL_H
#define CONSOLE_INTERNAL_H

#include <pv/console.h>
#include <pv/lib.h>
#include <xen/io/console.h>

#define CONSOLE_LINE_SIZE 256
#define CONSOLE_INPUT_SIZE 256 /* a power of two */

struct guest_console {
    char name[CONSOLE_NAME_SIZE]; /* empty: the place is free */
    u32 number;                   /* as shown and typed, from 1 */

    struct domain *d; /* NULL: detached */
    struct xencons_interface *ring;
    u32 port;
    u32 out_cons, in_prod; /* our indices: those in the page are the guest's to change */
    u32 users;             /* CPUs that use d outside the lock; atomic */
    bool pending;          /* the guest sent an event: look at the ring; atomic */

    /* The line the guest is writing (mux.c) */
    char line[CONSOLE_LINE_SIZE];
    u32 len, shown;
    bool carriage; /* a \r came last */

    char ready_text[CONSOLE_READY_SIZE];
    u32 ready_len;
    char tail[CONSOLE_READY_SIZE]; /* the last bytes written, a ring */
    u32 tail_pos;
    bool ready;
    u64 ready_time;

    char input[CONSOLE_INPUT_SIZE];
    u32 input_prod, input_cons;

    u64 tick; /* fairness: output allowed in this tick */
    u32 budget;
};
extern struct guest_console guest_consoles[CONSOLE_MAX_GUESTS];

/* --- options.c --- */
struct console_options {
    u16 port; /* of the UART in use, 0: none */
    u8 irq;
    u32 baud;
    u8 line_control; /* register value for data bits, parity, stop bits */
    bool colour, batch;
    bool quiet; /* the host's own lines go to the log alone, until a panic */
};
void options_parse(const char *cmdline, struct console_options *o);

/* --- uart.c: a 16550 --- */
#define UART_FIFO_SIZE 16
struct uart {
    const struct uart_ops *ops;
    u16 base; /* 0: absent */
};
/* False, and base 0, if there is no UART. */
bool uart_init(struct uart *u, const struct uart_ops *ops, const struct console_options *o);
void uart_enable_input_interrupt(struct uart *u);
bool uart_can_send(const struct uart *u); /* a whole FIFO */
bool uart_is_idle(const struct uart *u);  /* all has left the machine */
void uart_send(const struct uart *u, const char *buf, u32 n);
/* The next byte that came in, -1: none. */
int uart_receive(const struct uart *u);

/* --- tx.c: the transmit buffer before the UART --- */
void tx_init(struct uart *u, bool debug_port);
void tx_put(const char *buf, size_t n); /* as it is; waits for room if need be, but not for a line that stands still */
u32 tx_room(void);
u64 tx_total(void);  /* bytes put so far */
bool tx_pump(void);  /* sends what the UART takes now; true: more is left */
void tx_drain(void); /* sends all to its last bit, waiting as long as the line moves */

/* --- log.c --- */
void log_put(const char *buf, size_t n);

/* --- ring.c: the guest's ring page, which may change under us at any time --- */
void ring_attach(const struct xencons_interface *r, u32 *out_cons, u32 *in_prod);
u32 ring_take_output(struct xencons_interface *r, u32 *out_cons, char *buf, u32 max);
u32 ring_put_input(struct xencons_interface *r, u32 *in_prod, const char *buf, u32 n);

/* --- mux.c: who has the line --- */
struct mux {
    bool raw; /* one guest, as it is */
    bool colour;
    bool line_start;             /* the cursor is at the start of a line */
    struct guest_console *owner; /* whose partial line is shown */
    struct guest_console *focus; /* who gets the input */
};
extern struct mux mux;
void mux_guest_write(struct guest_console *gc, const char *buf, size_t n);
void mux_host_write(const char *buf, size_t n);
/* Shows a partial line as if it were whole: the guest is about to end. */
void mux_flush(struct guest_console *gc);
void mux_set_focus(struct guest_console *gc);
/* Has the output contained the text? Fed by mux_guest_write(). */
void mux_set_ready_text(struct guest_console *gc, const char *text);

/* --- keys.c: the escape key and the commands behind it --- */
#define KEY_ESCAPE 0x1d /* Ctrl-] */
enum key_command {
    KEY_NOTHING,
    KEY_INPUT,
    KEY_FOCUS,
    KEY_NEXT,
    KEY_PREVIOUS,
    KEY_HELP,
    KEY_TABLE,
    KEY_INFO,
    KEY_PAUSE,
    KEY_RESUME,
    KEY_DESTROY,
    KEY_RESTART,
    KEY_POWER_OFF,
    KEY_REBOOT,
    KEY_AUDIT,
    KEY_UNKNOWN
};
struct key_action {
    enum key_command command;
    u8 arg; /* INPUT: the byte; FOCUS: the guest's number */
};
struct keys {
    bool escaped;
};
struct key_action keys_feed(struct keys *k, u8 c);
void keys_help(void (*line)(const char *text));

/* --- console.c, guest.c, menu.c, table.c --- */
void console_lock(void);
void console_unlock(void);
/* What was put goes out: at once while synchronous, else as the UART takes it. Lock held. */
void console_send(void);
/* Formats a line of host text; lock held. */
void console_say(const char *fmt, ...) __printf(1, 2);
extern const struct console_ops *console_ops;
struct guest_console *guest_next(struct guest_console *gc); /* used places, in order; NULL: the first */
void guest_input(struct guest_console *gc, u8 c);
/* Moves output and input of all guests with something to do. Returns when to look again, TIME_NEVER: at an event. Lock
 * held. *raise gets the guests to be told, a bit each; guest_raise() tells them without the lock. */
u64 guest_move_all(u64 now, u64 raise[CONSOLE_MAX_GUESTS / 64]);
void guest_raise(const u64 raise[CONSOLE_MAX_GUESTS / 64]);
bool guest_all_ready(void);
void table_print(void); /* lock held */
/* One byte from the keyboard; lock held on entry and exit, not while hooks run. */
void menu_key(u8 c);

#endif
