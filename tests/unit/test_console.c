// SPDX-License-Identifier: MIT
// sources: console/console.c console/guest.c console/keys.c console/log.c console/menu.c console/mux.c
// sources: console/options.c console/ring.c console/table.c console/tx.c console/uart.c
/* The console as a whole before a UART of our own: what stands on the line when host and guests write, what the keys
 * do, and that a guest that floods or lies is held. */
#include "host.h"
#include <cmocka.h>
#include <pv/mm.h>
#include <pv/platform.h>
#include "../../hypervisor/console/internal.h"

extern char *strstr(const char *text, const char *part); /* <string.h> and pv/lib.h do not go together */

/* --- the machine --- */
static char line[1 << 20]; /* what went out */
static u32 line_len;
static char typed[256];
static u32 typed_prod, typed_cons;
static bool uart_busy;
static u32 uart_busy_reads; /* then it is no more */
static u32 uart_last_reads; /* as often the last byte is seen on its way, once the FIFO is empty */
static u8 scratch;
static u64 raised; /* ports */
static u32 virqs;
static u64 timer_at, began;
static evtchn_handler_fn handler;
static u32 next_port;

static u8 uart_read(u16 base, u8 reg) {
    assert_int_equal(base, 0x3f8);
    if (uart_busy_reads && !--uart_busy_reads)
        uart_busy = false;
    if (reg == 5)
        return (uart_busy ? 0 : 0x20) | (uart_busy || (uart_last_reads && uart_last_reads--) ? 0 : 0x40) |
               (typed_cons != typed_prod);
    if (reg == 0)
        return (u8)typed[typed_cons++ % sizeof(typed)];
    return reg == 7 ? scratch : 0;
}

static bool divisor_latch;
static void uart_write(u16 base, u8 reg, u8 value) {
    (void)base;
    if (reg == 3)
        divisor_latch = value & 0x80;
    if (reg == 7)
        scratch = value;
    if (reg == 0 && !divisor_latch)
        line[line_len++] = (char)value;
}
static const struct uart_ops ops = {uart_read, uart_write};

bool platform_has_debug_port(void) {
    return false;
}
void platform_debug_port_write(char c) {
    (void)c;
}
bool platform_route_isa_irq(u32 irq, u8 vector, u32 apic_id) {
    (void)apic_id;
    assert_int_equal(vector, CONSOLE_VECTOR);
    return irq == 4;
}
void timer_init(struct timer *t, void (*fn)(void *arg), void *arg) {
    *t = (struct timer){.fn = fn, .arg = arg};
}
void timer_set(struct timer *t, u32 cpu, u64 at) {
    (void)t;
    (void)cpu;
    timer_at = at;
}
bool timer_is_set(const struct timer *t) {
    (void)t;
    return timer_at != TIME_NEVER;
}
u64 heap_free_count(void) {
    return 256 * 100;
}
u64 sched_peek_cpu_time(const struct sched_entity *e, u64 now) {
    return e->run_ns + (now ? 1000000 : 0); /* what it runs just now */
}
int evtchn_bind_host(struct domain *d, evtchn_handler_fn fn, void *arg, u32 *port) {
    (void)d;
    (void)arg;
    handler = fn;
    *port = ++next_port;
    return 0;
}
void evtchn_raise_host(struct domain *d, u32 port) {
    (void)d;
    raised |= BIT(port);
}
void evtchn_send_virq(struct vcpu *v, u32 virq) {
    (void)v;
    assert_int_equal(virq, VIRQ_CONSOLE);
    virqs++;
}

/* --- guests --- */
static struct guest {
    struct guest_console *gc;
    struct domain *d;
    struct xencons_interface ring;
    u32 port;
} guests[3];

static void add_guest(u32 i, const char *name, bool ring) {
    struct guest *g = &guests[i];
    memset(g, 0, sizeof(*g));
    g->gc = console_guest_create(name);
    g->d = host_domain((domid_t)(i + 1), 1);
    assert_int_equal(console_guest_attach(g->gc, g->d, ring ? &g->ring : NULL, &g->port), 0);
}

static void start(const char *options) {
    line_len = typed_prod = typed_cons = virqs = next_port = 0;
    raised = 0;
    uart_busy = false;
    timer_at = TIME_NEVER;
    host_now = (host_now / TIME_SEC(1) + 1) * TIME_SEC(1); /* a new tick */
    began = host_now;
    mux = (struct mux){.line_start = true};
    console_set_ops(NULL);
    host_set_cpus(1);
    console_init(options, &ops);
    console_start();
    add_guest(0, "alpha", true);
    add_guest(1, "beta", true);
    add_guest(2, "gamma", false);
}

static int stop(void **state) {
    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(guests); i++) {
        console_guest_destroy(guests[i].gc);
        host_domain_free(guests[i].d);
    }
    return 0;
}
static int start_plain(void **state) {
    (void)state;
    start("com1=115200,8n1 color=off");
    return 0;
}

static void guest_says(u32 i, const char *text) {
    struct guest *g = &guests[i];
    for (; *text; text++)
        g->ring.out[g->ring.out_prod++ % sizeof(g->ring.out)] = *text;
    handler(g->d, g->port, g->gc);
    console_work();
}

static void type(const char *keys) {
    for (; *keys; keys++)
        typed[typed_prod++ % sizeof(typed)] = *keys;
    console_interrupt();
    console_work();
}

static void expect_line(const char *want) {
    line[line_len] = 0;
    assert_string_equal(line, want);
    line_len = 0;
}
static void expect_in_line(const char *want) {
    line[line_len] = 0;
    assert_non_null(strstr(line, want));
    line_len = 0;
}
#define ESCAPE "\x1d"

/* --- output --- */
static void host_lines_have_a_prefix(void **state) {
    (void)state;
    printk("one %d", 1);
    printk("two\nthree\n");
    expect_line("paravane: one 1\r\nparavane: two\r\nparavane: three\r\n");
}

static void guests_lines_are_whole(void **state) {
    (void)state;
    guest_says(1, "begin");
    expect_line("");
    guest_says(2 - 2, "first\r\n");
    guest_says(1, " end\r\n");
    expect_line("[alpha] first\r\n[beta] begin end\r\n");
}

static void the_focus_shows_its_prompt(void **state) {
    (void)state;
    guest_says(0, "login: ");
    expect_line("[alpha] login: ");
    guest_says(0, "root");
    expect_line("root");
    guest_says(1, "noise\n");
    expect_line("\r\n[beta] noise\r\n[alpha] login: root");
    printk("host");
    expect_line("\r\nparavane: host\r\n[alpha] login: root");
    guest_says(0, "\r\n# ");
    expect_line("\r\n[alpha] # ");
}

static void a_carriage_return_restarts_the_line(void **state) {
    (void)state;
    guest_says(0, "10%");
    guest_says(0, "\r20%");
    expect_line("[alpha] 10%\r[alpha] 20%");
    guest_says(1, "10%\r90%\r\n");
    expect_in_line("[beta] 90%\r\n");
}

static void others_cannot_move_the_cursor(void **state) {
    (void)state;
    guest_says(1, "a\033[2J\033[31mb\033c\bc\a\td\x7f\033\n");
    expect_line("[beta] abc\td\r\n");
    guest_says(0, "\033[31mred\n");
    expect_line("[alpha] \033[31mred\r\n");
}

static void long_lines_are_cut(void **state) {
    (void)state;
    char text[CONSOLE_LINE_SIZE + 11];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = 0;
    guest_says(1, text);
    assert_int_equal(line_len, 7 + CONSOLE_LINE_SIZE + 2);
    line_len = 0;
    guest_says(1, "\n");
    expect_line("[beta] xxxxxxxxxx\r\n");
}

static void colours_tell_guests_apart(void **state) {
    (void)state;
    start("");
    guest_says(0, "a\n");
    guest_says(1, "b\n");
    expect_line("\033[0;36m[alpha]\033[0m a\r\n\033[0;31m[beta]\033[0m b\r\n");
}

static void raw_is_as_it_is(void **state) {
    (void)state;
    console_set_raw(true);
    guest_says(0, "a\033[2J\r\n# ");
    expect_line("a\033[2J\r\n# ");
    printk("host");
    expect_line("\r\nparavane: host\r\n");
}

static void console_io_writes_too(void **state) {
    (void)state;
    char text[1000];
    memset(text, '\n', sizeof(text));
    console_guest_write(guests[2].d, "hi\n", 3);
    expect_line("[gamma] hi\r\n");
    console_guest_write(guests[2].d, text, sizeof(text));
    assert_int_equal(line_len, 1000 * 10);
}

static void the_last_words_are_taken(void **state) {
    (void)state;
    memcpy(guests[1].ring.out, "panic: no", 9);
    guests[1].ring.out_prod = 9;
    console_guest_detach(guests[1].gc);
    expect_line("[beta] panic: no\r\n");
    assert_null(guests[1].d->console);
}

static void the_log_keeps_what_printk_said(void **state) {
    (void)state;
    char buf[200] = "";
    u64 index = 0;
    console_ring_clear();
    printk("for the log");
    guest_says(0, "not for the log\n");
    size_t n = console_ring_read(&index, buf, 10);
    n += console_ring_read(&index, buf + n, sizeof(buf) - n);
    assert_string_equal(buf, "paravane: for the log\n");
    assert_int_equal(console_ring_read(&index, buf, sizeof(buf)), 0);
    for (int i = 0; i < 20000; i++)
        console_write("0123456789\n", 11);
    index = 0;
    line_len = 0;
    u64 total = 0;
    while ((n = console_ring_read(&index, buf, sizeof(buf))))
        total += n;
    assert_int_equal(total, 131072);
}

/* --- fairness --- */
static void a_flood_waits_for_its_tick(void **state) {
    (void)state;
    struct guest *g = &guests[1];
    host_now = began + TIME_MS(2);
    memset(g->ring.out, 'x', sizeof(g->ring.out));
    for (int i = 0; i < 100; i++) { /* refills its ring whenever it can */
        g->ring.out_prod = g->ring.out_cons + 2048;
        handler(g->d, g->port, g->gc);
        console_work();
    }
    assert_true(line_len < 2 * 2048);
    assert_int_equal(timer_at, began + TIME_MS(4));
    line_len = 0;
    guest_says(0, "heard\n");
    expect_line("[alpha] heard\r\n");
    host_now = timer_at;
    console_work();
    assert_true(line_len > 1000);
    line_len = 0;
}

static void a_flood_of_empty_lines_is_charged_for_its_prefixes(void **state) {
    (void)state;
    struct guest *g = &guests[1];
    memset(g->ring.out, '\n', sizeof(g->ring.out));
    g->ring.out_prod = 2048;
    handler(g->d, g->port, g->gc);
    console_work();
    assert_true(line_len < 3 * 2048);
    line_len = 0;
}

static void a_slow_line_holds_nobody(void **state) {
    (void)state;
    uart_busy = true;
    guest_says(1, "later\n");
    printk("queued");
    expect_line("");
    assert_true(timer_at <= host_now + TIME_MS(1));
    uart_busy = false;
    console_work();
    expect_line("[beta] later\r\nparavane: queued\r\n");
}

/* Busy for a while, as a line at work is: the last words before the machine goes off are waited for. */
static void the_last_words_get_out(void **state) {
    (void)state;
    uart_busy = true;
    printk("last words");
    expect_line("");
    uart_busy_reads = 100;
    uart_last_reads = 100;
    console_drain();
    expect_line("paravane: last words\r\n");
    assert_int_equal(uart_last_reads, 0); /* else the last bytes are lost when the machine goes off */
    uart_busy = false;
}

/* What the buffer holds survives, the rest is counted, and all goes on when somebody reads again. */
static void a_line_that_stood_still_comes_back(void **state) {
    (void)state;
    uart_busy = true;
    printk("first");
    for (u32 i = 0; i < 3000; i++)
        printk("filler");
    uart_busy = false;
    console_work();
    printk("last");
    console_work();
    line[line_len] = 0;
    assert_ptr_equal(strstr(line, "paravane: first\r\nparavane: filler\r\n"), line);
    assert_non_null(strstr(line, " bytes lost]\r\n"));
    expect_in_line("paravane: last\r\n");
}

static void a_lying_guest_is_ignored(void **state) {
    (void)state;
    guests[1].ring.out_prod = 0x7fffffff;
    guests[1].ring.in_cons = 0x55555555;
    handler(guests[1].d, guests[1].port, guests[1].gc);
    console_work();
    type(ESCAPE "2abc");
    guest_says(0, "fine\n");
    expect_in_line("[alpha] fine\r\n");
}

/* --- input --- */
static void input_goes_to_the_focus(void **state) {
    (void)state;
    type("ls\r");
    assert_memory_equal(guests[0].ring.in, "ls\r", 3);
    assert_int_equal(guests[0].ring.in_prod, 3);
    assert_true(raised & BIT(guests[0].port));
    assert_int_equal(guests[1].ring.in_prod, 0);
}

static void keys_switch_the_focus(void **state) {
    (void)state;
    type(ESCAPE "2x");
    expect_in_line("input goes to beta (2)");
    assert_int_equal(guests[1].ring.in[0], 'x');
    type(ESCAPE "nyz");
    expect_in_line("gamma (3)");
    char buf[8];
    assert_int_equal(console_guest_read(guests[2].d, buf, sizeof(buf)), 2);
    assert_memory_equal(buf, "yz", 2);
    assert_int_equal(virqs, 1);
    type(ESCAPE "\t");
    expect_in_line("alpha (1)");
    type(ESCAPE "p");
    expect_in_line("gamma (3)");
    type(ESCAPE "9");
    expect_in_line("there is no guest 9");
}

static void the_escape_can_be_sent(void **state) {
    (void)state;
    type(ESCAPE);
    type(ESCAPE);
    assert_int_equal(guests[0].ring.in[0], 0x1d);
    assert_int_equal(guests[0].ring.in_prod, 1);
}

static void input_waits_for_room(void **state) {
    (void)state;
    struct guest *g = &guests[0];
    g->ring.in_prod = 1024;
    g->gc->in_prod = 1024;
    type("late");
    assert_int_equal(g->ring.in_prod, 1024);
    g->ring.in_cons = 1024;
    handler(g->d, g->port, g->gc);
    console_work();
    assert_memory_equal(g->ring.in, "late", 4);
    for (int i = 0; i < 10000; i++) /* nobody reads: lost, and no harm */
        type("0123456789");
}

static struct domain *hooked;
static int hook_calls, ready_calls;
static void hook(struct domain *d) {
    hooked = d;
    hook_calls++;
    printk("hooks run without the lock");
}
static void ready_hook(void) {
    ready_calls++;
    console_print_guest_table();
    printk("all guests ready");
}

static void commands_reach_their_hooks(void **state) {
    (void)state;
    static const struct console_ops o = {.pause = hook, .restart = hook};
    type(ESCAPE "z");
    expect_in_line("cannot pause: not offered here");
    console_set_ops(&o);
    hook_calls = 0;
    type(ESCAPE "2" ESCAPE "z");
    assert_ptr_equal(hooked, guests[1].d);
    type(ESCAPE "R");
    assert_int_equal(hook_calls, 2);
    type(ESCAPE "D" ESCAPE "!");
    line[line_len] = 0;
    assert_non_null(strstr(line, "cannot destroy"));
    expect_in_line("no such command");
    type(ESCAPE "h");
    expect_in_line("Ctrl-], then:");
    type(ESCAPE "i");
    expect_in_line("1 CPUs, 3 guests, 102400 KiB free, up ");
    type(ESCAPE "i");
    expect_in_line("; 0 KiB in 3 guests that run");
}

static void the_table_tells_of_each_guest(void **state) {
    (void)state;
    guests[0].d->tot_pages = 256 * 64;
    guests[0].d->vcpu[0]->sched.run_ns = 1233567890;
    guests[0].d->vcpu[0]->count[COUNT_HYPERCALL] = 4711;
    guests[1].d->pause_count = 1;
    type(ESCAPE "m");
    line[line_len] = 0;
    assert_non_null(strstr(line, "*  1  alpha                running      1      64 M        1.234 s  -"));
    assert_non_null(strstr(line, "hypercalls 4711"));
    expect_in_line("beta                 paused");
}

/* --- batch --- */
static void batch_tells_once_when_all_are_ready(void **state) {
    (void)state;
    static const struct console_ops o = {.all_ready = ready_hook};
    start("batch console=com1");
    assert_null(mux.focus);
    console_set_ops(&o);
    console_guest_set_ready_text(guests[1].gc, "login:");
    ready_calls = 0;
    host_now = began + TIME_MS(70);
    guest_says(0, "REAREADY");
    assert_true(console_guest_ready(guests[0].gc));
    assert_int_equal(console_guest_ready_time(guests[0].gc), began + TIME_MS(70));
    guest_says(1, "READY log");
    assert_false(console_guest_ready(guests[1].gc));
    guest_says(1, "in: ");
    console_guest_write(guests[2].d, "READY\n", 6);
    console_work();
    assert_int_equal(ready_calls, 0);
    console_expect_ready();
    console_work();
    console_work();
    assert_int_equal(ready_calls, 1);
    expect_in_line("paravane: all guests ready\r\n");
}

static void options_are_read(void **state) {
    (void)state;
    struct console_options o;
    options_parse("quiet com2=9600,7e2,0x3e8,10 console=com2", &o);
    assert_int_equal(o.port, 0x3e8);
    assert_int_equal(o.irq, 10);
    assert_int_equal(o.baud, 9600);
    assert_int_equal(o.line_control, 0x02 | 0x04 | 0x18);
    assert_true(o.colour);
    options_parse("com1=,, console=none color=off", &o);
    assert_int_equal(o.port, 0);
    assert_false(o.colour);
    options_parse(NULL, &o);
    assert_int_equal(o.port, 0x3f8);
    options_parse("com1=nonsense,8,0xffffff,99 batchy", &o);
    assert_int_equal(o.baud, 115200);
    assert_int_equal(o.irq, 4);
    assert_false(o.batch);
}

#define WITH_GUESTS(f) cmocka_unit_test_setup_teardown(f, start_plain, stop)
/* Tests that start the console with options of their own. */
#define OWN_START(f) cmocka_unit_test_setup_teardown(f, NULL, stop)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_GUESTS(host_lines_have_a_prefix),
        WITH_GUESTS(guests_lines_are_whole),
        WITH_GUESTS(the_focus_shows_its_prompt),
        WITH_GUESTS(a_carriage_return_restarts_the_line),
        WITH_GUESTS(others_cannot_move_the_cursor),
        WITH_GUESTS(long_lines_are_cut),
        OWN_START(colours_tell_guests_apart),
        WITH_GUESTS(raw_is_as_it_is),
        WITH_GUESTS(console_io_writes_too),
        WITH_GUESTS(the_last_words_are_taken),
        WITH_GUESTS(the_log_keeps_what_printk_said),
        WITH_GUESTS(a_flood_waits_for_its_tick),
        WITH_GUESTS(a_flood_of_empty_lines_is_charged_for_its_prefixes),
        WITH_GUESTS(a_slow_line_holds_nobody),
        WITH_GUESTS(the_last_words_get_out),
        WITH_GUESTS(a_line_that_stood_still_comes_back),
        WITH_GUESTS(a_lying_guest_is_ignored),
        WITH_GUESTS(input_goes_to_the_focus),
        WITH_GUESTS(keys_switch_the_focus),
        WITH_GUESTS(the_escape_can_be_sent),
        WITH_GUESTS(input_waits_for_room),
        WITH_GUESTS(commands_reach_their_hooks),
        WITH_GUESTS(the_table_tells_of_each_guest),
        OWN_START(batch_tells_once_when_all_are_ready),
        cmocka_unit_test(options_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
