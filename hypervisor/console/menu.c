// SPDX-License-Identifier: MIT
/* What the keys behind Ctrl-] do: choosing the guest in focus, the table, and commands on guests through the hooks. */
#include "internal.h"
#include <pv/domain.h>
#include <pv/mm.h>

static struct keys keys;

static void tell_focus(void) {
    if (mux.focus)
        console_say("-- input goes to %s (%u); Ctrl-] h for help", mux.focus->name, mux.focus->number);
    else
        console_say("-- input goes nowhere; Ctrl-] h for help");
}

static void focus_on(struct guest_console *gc) {
    if (gc)
        mux_set_focus(gc);
    tell_focus();
}

static struct guest_console *by_number(u32 number) {
    for (struct guest_console *gc = guest_next(NULL); gc; gc = guest_next(gc))
        if (gc->number == number)
            return gc;
    return NULL;
}

static void focus_number(u32 number) {
    struct guest_console *gc = by_number(number);
    if (gc)
        focus_on(gc);
    else
        console_say("-- there is no guest %u", number);
}

static struct guest_console *after(struct guest_console *gc) {
    struct guest_console *next = gc ? guest_next(gc) : NULL;
    return next ? next : guest_next(NULL);
}

/* The one whose successor is gc, round the list. */
static struct guest_console *before(struct guest_console *gc) {
    struct guest_console *at = guest_next(NULL);
    while (at && gc && after(at) != gc)
        at = guest_next(at);
    return at;
}

/* Runs a hook on the domain in focus without the lock. */
static void on_domain(void (*hook)(struct domain *d), const char *what) {
    struct guest_console *gc = mux.focus;

    if (!gc || !gc->d || !hook) {
        console_say("-- cannot %s: %s", what, !gc || !gc->d ? "no running guest in focus" : "not offered here");
        return;
    }
    struct domain *d = gc->d;
    console_say("-- %s: %s", what, gc->name);
    console_unlock();
    hook(d);
    console_lock();
}

static void on_host(void (*hook)(void), const char *what) {
    console_say("-- %s%s", what, hook ? "" : ": not offered here");
    if (!hook)
        return;
    tx_drain();
    console_unlock();
    hook();
    console_lock();
}

static void say_info(void) {
    u32 guests = 0, running = 0;
    u64 held = 0, ms = time_now() / 1000000;
    for (struct guest_console *gc = guest_next(NULL); gc; gc = guest_next(gc)) {
        guests++;
        running += gc->d != NULL;
        held += gc->d ? READ_ONCE(gc->d->tot_pages) : 0;
    }
    console_say("-- %u CPUs, %u guests, %lu KiB free, up %lu.%03lu s; %lu KiB in %u guests that run", nr_cpus, guests,
                heap_free_count() << (PAGE_SHIFT - 10), ms / 1000, ms % 1000, held << (PAGE_SHIFT - 10), running);
}

static void help_line(const char *text) {
    console_say("-- %s", text);
}

static void run_guest_command(enum key_command command, const struct console_ops *ops) {
    switch (command) {
    case KEY_PAUSE:
        on_domain(ops->pause, "pause");
        break;
    case KEY_RESUME:
        on_domain(ops->resume, "resume");
        break;
    case KEY_DESTROY:
        on_domain(ops->destroy, "destroy");
        break;
    case KEY_RESTART:
        on_domain(ops->restart, "restart");
        break;
    case KEY_POWER_OFF:
        on_host(ops->power_off, "power off");
        break;
    case KEY_REBOOT:
        on_host(ops->reboot, "reboot");
        break;
    case KEY_AUDIT:
        on_host(ops->audit, "audit");
        break;
    default:
        console_say("-- no such command; Ctrl-] h for help");
    }
}

void menu_key(u8 c) {
    static const struct console_ops no_ops;
    struct key_action a = keys_feed(&keys, c);

    switch (a.command) {
    case KEY_NOTHING:
        break;
    case KEY_INPUT:
        if (mux.focus)
            guest_input(mux.focus, a.arg);
        break;
    case KEY_FOCUS:
        focus_number(a.arg);
        break;
    case KEY_NEXT:
        focus_on(after(mux.focus));
        break;
    case KEY_PREVIOUS:
        focus_on(before(mux.focus));
        break;
    case KEY_HELP:
        keys_help(help_line);
        break;
    case KEY_TABLE:
        table_print();
        break;
    case KEY_INFO:
        say_info();
        break;
    default:
        run_guest_command(a.command, console_ops ? console_ops : &no_ops);
    }
}
