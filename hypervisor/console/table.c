// SPDX-License-Identifier: MIT
/* The table of guests, for the menu and the batch mode: one line a guest, and under it how often it left, by kind. */
#include "internal.h"
#include <pv/domain.h>

static const char *const counter_names[NR_COUNTERS] = {
    [COUNT_HYPERCALL] = "hypercalls", [COUNT_SYSCALL] = "syscalls",   [COUNT_PAGE_FAULT] = "faults",
    [COUNT_EXCEPTION] = "exceptions", [COUNT_EMULATION] = "emulated", [COUNT_INTERRUPT] = "interrupts",
    [COUNT_PT_WRITE] = "pt-writes",   [COUNT_EVENT] = "events",       [COUNT_SWITCH] = "switches",
};

/* Read without locks: a snapshot that may be a moment old. The domain stays while the console lock is held. */
static const char *state_of(const struct domain *d) {
    if (!d)
        return "none";
    if (READ_ONCE(d->dying))
        return "dying";
    if (READ_ONCE(d->shut_down))
        return READ_ONCE(d->shutdown_code) == SHUTDOWN_crash ? "crashed" : "ended";
    if (READ_ONCE(d->pause_count))
        return "paused";
    for (u32 i = 0; i < d->nr_vcpus; i++)
        if (d->vcpu[i] && !READ_ONCE(d->vcpu[i]->pause))
            return "running";
    return "idle";
}

static u64 cpu_time_ms(const struct domain *d) {
    u64 ns = 0;
    for (u32 i = 0; d && i < d->nr_vcpus; i++)
        if (d->vcpu[i])
            ns += sched_peek_cpu_time(&d->vcpu[i]->sched, time_now());
    return ns / 1000000;
}

static void print_counters(const struct domain *d) {
    char line[320];
    size_t at = (size_t)snprintf(line, sizeof(line), "      ");

    for (u32 k = 0; k < NR_COUNTERS; k++) {
        u64 sum = 0;
        for (u32 i = 0; i < d->nr_vcpus; i++)
            sum += d->vcpu[i] ? READ_ONCE(d->vcpu[i]->count[k]) : 0;
        if (counter_names[k] && at < sizeof(line))
            at += (size_t)snprintf(line + at, sizeof(line) - at, " %s %lu", counter_names[k], sum);
    }
    console_say("%s", line);
}

static void print_guest(const struct guest_console *gc) {
    const struct domain *d = gc->d;
    u64 ms = cpu_time_ms(d), ready = gc->ready_time / 1000000;
    char when[24] = "-";

    if (gc->ready)
        snprintf(when, sizeof(when), "%lu.%03lu s", ready / 1000, ready % 1000);
    console_say("%c%3u  %-20s %-8s %5u %7lu M %8lu.%03lu s  %s", gc == mux.focus ? '*' : ' ', gc->number, gc->name,
                state_of(d), d ? d->nr_vcpus : 0, d ? d->tot_pages >> (20 - PAGE_SHIFT) : 0, ms / 1000, ms % 1000,
                when);
    if (d)
        print_counters(d);
}

void table_print(void) {
    console_say("   #  %-20s %-8s %5s %9s %14s  %s", "guest", "state", "vcpus", "memory", "cpu time", "ready");
    for (struct guest_console *gc = guest_next(NULL); gc; gc = guest_next(gc))
        print_guest(gc);
}
