// SPDX-License-Identifier: MIT
/*
 * Background: how guests share a host, and what they pay to reach each other, is seen with several of them.
 * Scenario: as the control domain, build a guest from the kernel in the ramdisk for each part of the command line that
 *   begins with `-- `; the part is its command line, and `weight=N` in it its weight. With `pair`, the last two get an
 *   event channel between them: `port=N` in the words of both, `peer=DOMAIN` in those of the last. All start at
 *   once; their lines are printed behind "| ". With `seconds=N` the CPU time of each within that time is printed, else
 * the end is that of the last but one guest. `memory=MiB` for each. Good: each guest's own lines. Bad: any refusal
 * while building, or silence.
 */
#include "../builder/builder.h"

#include <xen/io/console.h>

const char kernel_name[] = "crowd";

#define MAX_GUESTS 24
#define CONSOLES_VA (SCRATCH_VA + (32UL << 30))
#define POLL (50 * MILLISECOND)
#define WARM_UP (2 * SECOND)

static struct guest guests[MAX_GUESTS];
static char words[MAX_GUESTS][128];
static unsigned nr_guests;

/* Splits the command line at its `-- `. */
static void find_guests(void) {
    const char *at = (const char *)start_info->cmd_line;

    for (; *at; at++) {
        size_t n = 0;

        if (strncmp(at, "-- ", 3) || nr_guests == MAX_GUESTS)
            continue;
        for (at += 3; *at && strncmp(at, " -- ", 4) && n < sizeof(words[0]) - 40; at++)
            words[nr_guests][n++] = *at;
        nr_guests++;
        if (!*at)
            return;
    }
}

static void add_word(unsigned i, const char *key, unsigned long value) {
    size_t n = strlen(words[i]);

    snprintf(words[i] + n, sizeof(words[i]) - n, " %s=%lu", key, value);
}

static bool connect_last_two(void) {
    unsigned first = nr_guests - 2, last = nr_guests - 1;
    long port = event_alloc_unbound(guests[first].id, guests[last].id);

    if (!test_check("pair", port > 0, "no port: %ld", port))
        return false;
    add_word(first, "port", (unsigned long)port);
    add_word(last, "port", (unsigned long)port);
    add_word(last, "peer", guests[first].id);
    return true;
}

static unsigned weight_of(unsigned i) {
    const char *at = words[i];
    unsigned weight = 0;

    while (*at && strncmp(at, "weight=", 7))
        at++;
    for (at += *at ? 7 : 0; *at >= '0' && *at <= '9'; at++)
        weight = weight * 10 + (unsigned)(*at - '0');
    return weight;
}

static bool create_all(void) {
    for (unsigned i = 0; i < nr_guests; i++) {
        guests[i].vcpus = 1;
        guests[i].nr_pages = cmdline_number("memory", 16) << (20 - PAGE_SHIFT);
        if (!build_create(&guests[i]))
            return false;
    }
    return !cmdline_has("pair") || connect_last_two();
}

/* All guests are filled through the same window; the console's page gets a place of its own. */
static bool fill(unsigned i) {
    unsigned long va = CONSOLES_VA + i * PAGE_SIZE;

    if (!build_fill(&guests[i], words[i]))
        return false;
    pt_make(va);
    return test_check("console", space_map_frame(&guests[i], va, guests[i].mfns[guests[i].console]), "not mapped") &&
           (!weight_of(i) || test_equal("weight", control_set_weight(&guests[i], weight_of(i)), 0));
}

static void print_line(unsigned i, volatile struct xencons_interface *ring, uint32_t *cons, uint32_t prod) {
    char line[256];
    size_t n = 0;

    while (*cons != prod && n < sizeof(line) - 1) {
        line[n] = ring->out[MASK_XENCONS_IDX(*cons, ring->out)];
        ++*cons;
        if (line[n] == '\n')
            break;
        n++;
    }
    line[n] = 0;
    printf("| %u %s\n", i, line);
}

static void drain_console(unsigned i) {
    volatile struct xencons_interface *ring = (void *)(CONSOLES_VA + i * PAGE_SIZE);
    uint32_t cons = ring->out_cons, prod = __atomic_load_n(&ring->out_prod, __ATOMIC_ACQUIRE);

    if (cons == prod || prod - cons > sizeof(ring->out))
        return;
    while (cons != prod)
        print_line(i, ring, &cons, prod);
    __atomic_store_n(&ring->out_cons, cons, __ATOMIC_RELEASE);
    event_send(guests[i].console_port);
}

static void wait_until_over(void) {
    unsigned reason;
    bool over;

    do {
        clock_sleep(POLL);
        over = control_has_ended(&guests[nr_guests - 2], &reason);
        for (unsigned i = 0; i < nr_guests; i++)
            drain_console(i);
    } while (!over);
}

static void print_shares(uint64_t ns) {
    static uint64_t before[MAX_GUESTS];
    uint64_t start;

    clock_sleep(WARM_UP);
    start = clock_now();
    for (unsigned i = 0; i < nr_guests; i++)
        before[i] = control_cpu_time(&guests[i]);
    clock_sleep(ns);
    for (unsigned i = 0; i < nr_guests; i++)
        before[i] = control_cpu_time(&guests[i]) - before[i];
    start = clock_now() - start;
    for (unsigned i = 0; i < nr_guests; i++)
        printf("BENCH share weight %u: %lu ns of %lu\n", weight_of(i), before[i], start);
}

void kernel_main(void) {
    unsigned long seconds = cmdline_number("seconds", 0);

    find_guests();
    if (!is_control_domain() || !start_info->mod_len || nr_guests < 2) {
        test_skip("crowd", "this needs a privileged domain, a kernel as its ramdisk, and two guests or more");
        return;
    }
    if (!create_all())
        return;
    for (unsigned i = 0; i < nr_guests; i++)
        if (!fill(i))
            return;
    for (unsigned i = 0; i < nr_guests; i++)
        test_equal("unpause", control_unpause(&guests[i]), 0);
    if (seconds)
        print_shares(seconds * SECOND);
    else
        wait_until_over();
}
