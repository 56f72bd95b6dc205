// SPDX-License-Identifier: MIT
/*
 * The program that runs as init, alone, on each of the machines compared: it measures the rows it is told and prints
 * one line of raw readings for each. Everything that reckons with them is outside (tests/bench/bench).
 *
 *     init [rows=a:b:c] [rounds=N] [scale=N]
 *
 *     BENCH-CLOCK <ticks> <ns>             once: ticks of the TSC in so many nanoseconds of the guest's clock
 *     BENCH <row> <count> <ticks>...       the ticks of each round of `count` operations
 *     BENCH-END
 */
#include "bench.h"

static const struct row_table *const tables[] = {
    &calls_table, &memory_table, &switches_table, &processes_table, &loads_table,
};

static const char *wanted;
static unsigned rounds = 8, scale = 1;
static uint64_t readings[64];

static size_t length_of(const char *text) {
    size_t n = 0;

    while (text[n])
        n++;
    return n;
}

void print(const char *text) {
    sys3(__NR_write, 1, (long)text, (long)length_of(text));
}

void print_number(uint64_t value) {
    char text[24], *p = text + sizeof(text);

    *--p = '\0';
    do
        *--p = (char)('0' + value % 10);
    while (value /= 10);
    print(p);
}

long must(const char *what, long result) {
    if (result >= 0)
        return result;
    print("BENCH-FAILED ");
    print(what);
    print(" errno ");
    print_number((uint64_t)-result);
    print("\n");
    sys_exit(1);
}

/* What follows `key` in an argument, or NULL. */
static const char *value_of(const char *argument, const char *key) {
    while (*key && *argument == *key) {
        argument++;
        key++;
    }
    return *key ? NULL : argument;
}

static unsigned number(const char *text) {
    unsigned value = 0;

    while (*text >= '0' && *text <= '9')
        value = value * 10 + (unsigned)(*text++ - '0');
    return value;
}

static void read_arguments(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        const char *value;

        if ((value = value_of(argv[i], "rows=")))
            wanted = value;
        else if ((value = value_of(argv[i], "rounds=")))
            rounds = number(value);
        else if ((value = value_of(argv[i], "scale=")))
            scale = number(value);
    }
    if (rounds < 1 || rounds > LENGTH_OF(readings))
        rounds = LENGTH_OF(readings);
}

static bool is_wanted(const char *name) {
    for (const char *p = wanted; p && *p;) {
        const char *rest = value_of(p, name);

        if (rest && (*rest == '\0' || *rest == ':'))
            return true;
        while (*p && *p++ != ':')
            ;
    }
    return !wanted;
}

static uint64_t measure(const struct row *row, unsigned count) {
    uint64_t ticks;

    if (row->setup)
        row->setup();
    bench_mark_begin();
    ticks = ticks_now();
    row->run(count);
    ticks = ticks_now() - ticks;
    bench_mark_end();
    if (row->finish)
        row->finish();
    return ticks;
}

static void run_row(const struct row *row) {
    unsigned count = row->fixed ? row->count : row->count * scale;

    measure(row, row->fixed || row->count < 4 ? row->count : row->count / 4);
    for (unsigned i = 0; i < rounds; i++)
        readings[i] = measure(row, count);
    print("BENCH ");
    print(row->name);
    print(" ");
    print_number(count);
    for (unsigned i = 0; i < rounds; i++) {
        print(" ");
        print_number(readings[i]);
    }
    print("\n");
}

static uint64_t clock_ns(void) {
    struct {
        int64_t seconds, ns;
    } now;

    sys3(__NR_clock_gettime, 1 /* CLOCK_MONOTONIC */, (long)&now, 0);
    return (uint64_t)now.seconds * 1000000000 + (uint64_t)now.ns;
}

static void print_clock(uint64_t ticks, uint64_t ns) {
    print("BENCH-CLOCK ");
    print_number(ticks);
    print(" ");
    print_number(ns);
    print("\n");
}

#define NO_RANDOM_ADDRESSES 0x0040000

/*
 * Random addresses decide which mappings share page tables, and so what they cost, anew in each boot. So this program
 * starts itself once more without them; what it starts later has them again, as any program.
 */
static void settle_addresses(char **argv) {
    static const char *const no_environment[] = {NULL};

    if (sys3(__NR_personality, 0xffffffff, 0, 0) & NO_RANDOM_ADDRESSES) {
        sys3(__NR_personality, 0, 0, 0);
        return;
    }
    sys3(__NR_personality, NO_RANDOM_ADDRESSES, 0, 0);
    must("/init", sys3(__NR_execve, (long)"/init", (long)argv, (long)no_environment));
}

__attribute__((noreturn)) void bench_main(int argc, char **argv);

void bench_main(int argc, char **argv) {
    uint64_t ticks, ns;

    settle_addresses(argv);
    ticks = ticks_now();
    ns = clock_ns();
    read_arguments(argc, argv);
    for (unsigned t = 0; t < LENGTH_OF(tables); t++)
        for (unsigned i = 0; i < tables[t]->length; i++)
            if (is_wanted(tables[t]->rows[i].name))
                run_row(&tables[t]->rows[i]);
    print_clock(ticks_now() - ticks, clock_ns() - ns);
    print("BENCH-END\n");
    for (;;)
        sys6(__NR_reboot, (long)0xfee1dead, 672274793, 0x01234567, 0, 0, 0);
}
