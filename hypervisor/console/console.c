// SPDX-License-Identifier: MIT
/*
 * The console's outside: options and set-up, the lock, printk(), the input interrupt, and the deferred work that moves
 * bytes, runs menu commands and tells when all guests are ready.
 */
#include "internal.h"
#include <pv/cpu.h>
#include <pv/debug.h>
#include <pv/platform.h>
#include <pv/time.h>

#define POLL_NS TIME_MS(20)  /* looking for input without an interrupt */
#define RESEND_NS TIME_MS(1) /* the UART was full */
#define MESSAGE_SIZE 512
#define MAX_KEYS 64 /* in one visit */
#define PREFIX "paravane: "

/* A ticket lock of its own: spin locks know their CPU, and printk() works before there are any. */
static struct {
    u32 next, owner;
    bool forced; /* the hypervisor panicked: nobody waits any more */
} lock;

static struct console_options options;
static struct uart uart;
static struct timer work_timer;
static bool synchronous = true; /* until console_start(), and in a panic */
static bool polled;             /* no input interrupt */
const struct console_ops *console_ops;

static u8 keys_typed[MAX_KEYS * 4]; /* bytes that came in and wait for console_work(); a ring */
static u32 keys_prod, keys_cons;

void console_lock(void) {
    if (READ_ONCE(lock.forced))
        return;
    if (DEBUG)
        locks_may_take(&lock, LOCK_CONSOLE);
    u32 ticket = __atomic_fetch_add(&lock.next, 1, __ATOMIC_ACQUIRE), rounds = 0;
    while (__atomic_load_n(&lock.owner, __ATOMIC_ACQUIRE) != ticket && !READ_ONCE(lock.forced))
        cpu_wait(&rounds, NULL);
    if (DEBUG)
        locks_taken(&lock, LOCK_CONSOLE, __builtin_return_address(0));
}

void console_unlock(void) {
    if (READ_ONCE(lock.forced))
        return;
    if (DEBUG)
        locks_released(&lock);
    __atomic_store_n(&lock.owner, lock.owner + 1, __ATOMIC_RELEASE);
}

void console_force_unlock(void) {
    WRITE_ONCE(lock.forced, true);
    synchronous = true;
    tx_drain();
}

void console_drain(void) {
    console_lock();
    tx_drain();
    console_unlock();
}

void console_init(const char *cmdline, const struct uart_ops *ops) {
    options_parse(cmdline, &options);
    uart_init(&uart, ops, &options);
    tx_init(&uart, platform_has_debug_port());
    mux.colour = options.colour;
}

static void work_later(void *arg) {
    (void)arg;
    console_work();
}

bool console_owns_port(u16 port) {
    return uart.base && port >= uart.base && port < uart.base + 8;
}

void console_start(void) {
    timer_init(&work_timer, work_later, NULL);
    if (uart.base && platform_route_isa_irq(options.irq, CONSOLE_VECTOR, this_cpu()->apic_id))
        uart_enable_input_interrupt(&uart);
    else
        polled = uart.base;
    console_lock();
    synchronous = false;
    console_unlock();
    console_work();
}

bool console_is_batch(void) {
    return options.batch;
}
void console_set_ops(const struct console_ops *ops) {
    WRITE_ONCE(console_ops, ops);
}

void console_set_raw(bool raw) {
    console_lock();
    mux.raw = raw;
    console_unlock();
}

/* --- host text --- */

void console_send(void) {
    if (synchronous)
        tx_drain();
    else if (tx_pump() && !timer_is_set(&work_timer))
        timer_set(&work_timer, this_cpu()->id, time_now() + RESEND_NS);
}

/* The text as lines, each with the prefix; the last one needs no \n. */
static void put_message(const char *text, size_t n) {
    char line[sizeof(PREFIX) + MESSAGE_SIZE];

    while (n) {
        size_t len = 0;
        while (len < n && text[len] != '\n')
            len++;
        size_t total = strlcpy(line, PREFIX, sizeof(line));
        memcpy(line + total, text, len);
        total += len;
        line[total++] = '\n';
        if (!options.quiet || lock.forced)
            mux_host_write(line, total);
        log_put(line, total);
        len += len < n;
        text += len;
        n -= len;
    }
}

void console_say(const char *fmt, ...) {
    char text[MESSAGE_SIZE];
    va_list ap;

    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof(text) - 1, fmt, ap);
    va_end(ap);
    n = MIN(n, (int)sizeof(text) - 2);
    text[n] = '\n';
    mux_host_write(text, (size_t)n + 1);
}

void console_vprintk(const char *fmt, va_list ap) {
    char text[MESSAGE_SIZE];
    int n = vsnprintf(text, sizeof(text), fmt, ap);

    console_lock();
    put_message(text, (size_t)MIN(n, (int)sizeof(text) - 1));
    console_send();
    console_unlock();
}

void printk(const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    console_vprintk(fmt, ap);
    va_end(ap);
}

void console_write(const char *buf, size_t n) {
    console_lock();
    mux_host_write(buf, n);
    log_put(buf, n);
    console_send();
    console_unlock();
}

void console_print_guest_table(void) {
    console_lock();
    table_print();
    console_send();
    console_unlock();
}

/* --- work --- */

/* Empties the UART, or an edge-triggered line would never tell again; what does not fit is lost. */
static void collect_keys(void) {
    int c;
    for (u32 i = 0; i < 256 && (c = uart_receive(&uart)) >= 0; i++)
        if (keys_prod - keys_cons < sizeof(keys_typed))
            keys_typed[keys_prod++ % sizeof(keys_typed)] = (u8)c;
}

void console_interrupt(void) {
    console_lock();
    collect_keys();
    console_unlock();
    cpu_request(this_cpu(), CPU_REQ_WORK);
}

static void handle_keys(void) {
    for (u32 i = 0; i < MAX_KEYS && keys_cons != keys_prod; i++)
        menu_key(keys_typed[keys_cons++ % sizeof(keys_typed)]);
}

static u64 move_everything(u64 now, u64 raise[CONSOLE_MAX_GUESTS / 64]) {
    if (polled)
        collect_keys();
    handle_keys();
    u64 next = guest_move_all(now, raise);
    if (tx_pump())
        next = MIN(next, now + RESEND_NS);
    if (keys_cons != keys_prod)
        next = now;
    return polled ? MIN(next, now + POLL_NS) : next;
}

void console_work(void) {
    u64 raise[CONSOLE_MAX_GUESTS / 64] = {0};

    console_lock();
    u64 next = move_everything(time_now(), raise);
    bool all_ready = guest_all_ready();
    const struct console_ops *ops = console_ops;
    console_unlock();

    guest_raise(raise);
    if (next != TIME_NEVER)
        timer_set(&work_timer, this_cpu()->id, next);
    if (all_ready && ops && ops->all_ready)
        ops->all_ready();
}
