// SPDX-License-Identifier: MIT
/*
 * From the first C function to kernel_main and to the end: the order in which the SDK's parts come up, the
 * command line, shutdown.
 */
#include <sdk/sdk.h>

struct start_info *start_info;
static uint8_t shared_info_page[PAGE_SIZE] __attribute__((aligned(4096)));
struct shared_info *shared_info = (void *)shared_info_page;

void start_kernel(struct start_info *si);

void start_kernel(struct start_info *si) {
    start_info = si;
    if (hv_update_va_mapping(ARG(shared_info_page), si->shared_info | PTE_KERNEL, UVMF_INVLPG))
        hv_sched_op(SCHEDOP_shutdown, &(struct sched_shutdown){SHUTDOWN_crash});
    cpu_init_first();
    console_init();
    trap_init();
    memory_init();
    event_init();
    clock_init_cpu();
    events_enable();
    kernel_main();
    test_finish();
}

static bool is_separator(char c) {
    return c == ' ' || c == '\t' || c == 0;
}

/* The text behind `word` where it starts a word of the command line, or NULL. */
static const char *cmdline_find(const char *word) {
    const char *at = (const char *)start_info->cmd_line;
    size_t n = strlen(word);

    for (bool start = true; *at; at++) {
        if (start && !strncmp(at, word, n))
            return at + n;
        start = is_separator(*at);
    }
    return NULL;
}

bool cmdline_has(const char *word) {
    const char *after = cmdline_find(word);

    return after && is_separator(*after);
}

const char *cmdline_value(const char *key, char *value, size_t size) {
    const char *at = cmdline_find(key);
    size_t n = 0;

    if (!at || *at++ != '=')
        return NULL;
    while (!is_separator(at[n]) && n + 1 < size) {
        value[n] = at[n];
        n++;
    }
    value[n] = 0;
    return value;
}

unsigned long cmdline_number(const char *key, unsigned long otherwise) {
    char text[24];

    return cmdline_value(key, text, sizeof(text)) ? parse_number(text) : otherwise;
}

void shutdown(unsigned reason) {
    struct sched_shutdown op = {.reason = reason};

    console_flush();
    for (;;)
        hv_sched_op(SCHEDOP_shutdown, &op);
}

void panic(const char *format, ...) {
    char line[256];
    va_list args;

    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    printf("PANIC %s: %s\n", kernel_name, line);
    shutdown(SHUTDOWN_crash);
}
