/* SPDX-License-Identifier: MIT */
/*
 * console: the host's log, the serial line, and its sharing among guests.
 *
 * All output goes through one lock and one transmit buffer. Guests write by console_io or through the ABI's console
 * ring page; the multiplexer puts whole lines with a prefix on the line, except for a single guest, which has it raw.
 * Input goes to the guest in focus; Ctrl-] is the escape key for the host menu.
 *
 * Order of calls at boot:
 *     console_init(command line, &platform_uart_ops)   at entry, needs nothing: printk() works, output is synchronous
 *     console_start()     after apic_init_cpu() and platform_init_time(): input interrupt or polling, asynchronous
 * output console_set_ops(), console_guest_create() ...    by whoever starts guests and then console_interrupt() for
 * vector CONSOLE_VECTOR and console_work() for CPU_REQ_WORK, on any CPU, without locks.
 *
 * Lock: one inside, taken after every other lock. It is not held while hooks or event channels are called.
 */
#ifndef PV_CONSOLE_H
#define PV_CONSOLE_H

#include <pv/types.h>
#include <stdarg.h>

struct domain;
struct guest_console;

#define CONSOLE_VECTOR 0x30 /* VEC_IOAPIC_FIRST */
#define CONSOLE_MAX_GUESTS 128
#define CONSOLE_NAME_SIZE 32
#define CONSOLE_READY_SIZE 64

/* How the registers of a 16550 are reached: reg is 0..7 from base. */
struct uart_ops {
    u8 (*read)(u16 base, u8 reg);
    void (*write)(u16 base, u8 reg, u8 value);
};

/* --- host --- */
/* Reads its options from the command line: com1=BAUD,8n1 com2=... console=com1|com2|none color=off batch. */
void console_init(const char *cmdline, const struct uart_ops *ops);
void console_start(void);
void console_interrupt(void);
void console_work(void);
bool console_owns_port(u16 port); /* one of the registers of the serial port in use */
bool console_is_batch(void);      /* the option "batch" was given */

/* printk() of <pv/lib.h> lives here; so does its va_list form. */
void console_vprintk(const char *fmt, va_list ap) __printf(1, 0);
/* To the serial line and the log as it is: for tables. Lines end with \n. */
void console_write(const char *buf, size_t n);
/* For panic(): from here on output is synchronous and no lock is waited for. */
void console_force_unlock(void);

/* The log. *index: where to go on (0 at first; advanced past what was overwritten); returns the bytes copied. */
size_t console_ring_read(u64 *index, char *buf, size_t n);
void console_ring_clear(void); /* later readings that start with index 0 start here */

/* --- guests --- */
/* A place on the serial line, kept over restarts of the guest. Numbers for the keys 1..9 are in order of creation. */
struct guest_console *console_guest_create(const char *name);
void console_guest_destroy(struct guest_console *gc);
/* Serves domain d here: sets d->console. ring: the console ring page through the direct map, NULL for a guest that has
 * console_io only. *port: the event channel to tell the guest, unbound at its end; 0 or -errno. */
int console_guest_attach(struct guest_console *gc, struct domain *d, void *ring, u32 *port);
/* The last output is taken, then the ring is never touched again. Before the domain's memory is freed. */
void console_guest_detach(struct guest_console *gc);
/* console_io: any n, in bounded work for n <= 4096. Domains without a console are given none: it is dropped. */
void console_guest_write(struct domain *d, const char *buf, size_t n);
size_t console_guest_read(struct domain *d, char *buf, size_t n);

/* Without prefix and line buffer: for one guest without launch file. */
void console_set_raw(bool raw);
void console_guest_set_ready_text(struct guest_console *gc, const char *text); /* default "READY" */
bool console_guest_ready(const struct guest_console *gc);
u64 console_guest_ready_time(const struct guest_console *gc); /* time_now() when it became so, 0: not yet */
struct domain *console_guest_domain(const struct guest_console *gc);

/* A table of all guests with consoles: state, vCPUs, CPU time, memory, ready, exits by kind. */
void console_print_guest_table(void);

/* What the menu and the batch mode do, by the room that starts guests; any may be NULL. Called without locks. */
struct console_ops {
    void (*pause)(struct domain *d);
    void (*resume)(struct domain *d);
    void (*destroy)(struct domain *d);
    void (*restart)(struct domain *d);
    void (*power_off)(void);
    void (*reboot)(void);
    void (*audit)(void);     /* debug builds */
    void (*all_ready)(void); /* once: each guest created so far is ready; only after console_expect_ready() */
};
void console_set_ops(const struct console_ops *ops);
/* Sends what still waits, as long as the line moves: before the machine goes off. */
void console_drain(void);
/* All guests are created: from now on tell when all are ready. */
void console_expect_ready(void);

#endif
