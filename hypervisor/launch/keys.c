// SPDX-License-Identifier: MIT
/* The keys of a launch file: for each its name, what a value must look like, and how it is read. */
#include "internal.h"

bool launch_span_is(struct span s, const char *word) {
    size_t i = 0;

    while (i < s.len && word[i] && s.p[i] == word[i])
        i++;
    return i == s.len && !word[i];
}

struct span launch_span_trim(struct span s) {
    while (s.len && launch_is_blank(s.p[0])) {
        s.p++;
        s.len--;
    }
    while (s.len && launch_is_blank(s.p[s.len - 1]))
        s.len--;
    return s;
}

bool launch_span_number(struct span s, uint64_t max, uint64_t *value) {
    uint64_t n = 0;

    if (s.len == 0)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (!launch_is_digit(s.p[i]) || n > UINT64_MAX / 10 - 1)
            return false;
        n = n * 10 + (uint64_t)(s.p[i] - '0');
    }
    *value = n;
    return n <= max;
}

bool launch_span_copy(struct span s, char *buf, size_t size) {
    if (s.len == 0 || s.len >= size)
        return false;
    for (size_t i = 0; i < s.len; i++)
        buf[i] = s.p[i];
    buf[s.len] = 0;
    return true;
}

bool launch_name_is_good(struct span name) {
    for (size_t i = 0; i < name.len; i++) {
        char c = name.p[i];

        if (!launch_is_digit(c) && !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && c != '-' && c != '_' &&
            c != '.' && c != '+')
            return false;
    }
    return name.len > 0 && name.len < LAUNCH_NAME_SIZE;
}

static bool read_u32(struct span value, uint32_t min, uint32_t max, uint32_t *out) {
    uint64_t n;

    if (!launch_span_number(value, max, &n) || n < min)
        return false;
    *out = (uint32_t)n;
    return true;
}

static bool read_bool(struct span value, bool *out) {
    if (!launch_span_is(value, "yes") && !launch_span_is(value, "no"))
        return false;
    *out = launch_span_is(value, "yes");
    return true;
}

static bool read_action(struct span value, enum launch_action *out) {
    if (!launch_span_is(value, "halt") && !launch_span_is(value, "restart"))
        return false;
    *out = launch_span_is(value, "restart") ? LAUNCH_RESTART : LAUNCH_HALT;
    return true;
}

/* Module names have no path and no blanks: they are compared with one component of one word. */
static bool read_module(struct span value, char *buf) {
    for (size_t i = 0; i < value.len; i++)
        if (value.p[i] == '/' || launch_is_blank(value.p[i]))
            return false;
    return launch_span_copy(value, buf, LAUNCH_MODULE_SIZE);
}

static bool set_kernel(struct launch_guest *guest, struct span value, uint32_t line) {
    guest->kernel_line = line;
    return read_module(value, guest->kernel);
}

static bool set_ramdisk(struct launch_guest *guest, struct span value, uint32_t line) {
    guest->ramdisk_line = line;
    return read_module(value, guest->ramdisk);
}

static bool set_cmdline(struct launch_guest *guest, struct span value, uint32_t line) {
    (void)line;
    return value.len == 0 || launch_span_copy(value, guest->cmdline, sizeof(guest->cmdline));
}

static bool set_ready(struct launch_guest *guest, struct span value, uint32_t line) {
    (void)line;
    return launch_span_copy(value, guest->ready, sizeof(guest->ready));
}

static unsigned int size_shift(char suffix) {
    switch (suffix) {
    case 'K':
        return 10;
    case 'M':
        return 20;
    case 'G':
        return 30;
    default:
        return 0;
    }
}

#define MIN_MEMORY (1ull << 20)
#define MAX_MEMORY (1ull << 44)

static bool set_memory(struct launch_guest *guest, struct span value, uint32_t line) {
    unsigned int shift = value.len ? size_shift(value.p[value.len - 1]) : 0;
    uint64_t n;

    guest->memory_line = line;
    if (!shift)
        return false;
    value.len--;
    if (!launch_span_number(value, MAX_MEMORY >> shift, &n))
        return false;
    n <<= shift;
    if (n < MIN_MEMORY || n % 4096)
        return false;
    guest->memory = n;
    return true;
}

static bool set_vcpus(struct launch_guest *guest, struct span value, uint32_t line) {
    (void)line;
    return read_u32(value, 1, LAUNCH_MAX_VCPUS, &guest->vcpus);
}

/* One item of a CPU list: N or N-M. */
static bool pin_range(struct launch_guest *guest, struct span item) {
    struct span first = item, last = item;
    uint32_t from, to;
    size_t dash = 0;

    while (dash < item.len && item.p[dash] != '-')
        dash++;
    first.len = dash;
    if (dash < item.len)
        last = (struct span){item.p + dash + 1, item.len - dash - 1};
    if (!read_u32(launch_span_trim(first), 0, LAUNCH_MAX_CPUS - 1, &from) ||
        !read_u32(launch_span_trim(last), 0, LAUNCH_MAX_CPUS - 1, &to) || from > to)
        return false;
    for (uint32_t cpu = from; cpu <= to; cpu++)
        guest->pin[cpu / 64] |= 1ull << (cpu % 64);
    return true;
}

static bool set_pin(struct launch_guest *guest, struct span value, uint32_t line) {
    size_t start = 0;

    guest->pin_line = line;
    guest->pinned = true;
    for (size_t i = 0; i <= value.len; i++) {
        if (i < value.len && value.p[i] != ',')
            continue;
        if (!pin_range(guest, (struct span){value.p + start, i - start}))
            return false;
        start = i + 1;
    }
    return true;
}

static bool set_weight(struct launch_guest *guest, struct span value, uint32_t line) {
    (void)line;
    return read_u32(value, 1, 65535, &guest->weight);
}

static bool set_cap(struct launch_guest *guest, struct span value, uint32_t line) {
    (void)line;
    return read_u32(value, 0, LAUNCH_MAX_VCPUS * 100, &guest->cap);
}

static bool set_on_end(struct launch_guest *guest, struct span value, uint32_t line) {
    (void)line;
    return read_action(value, &guest->on_end);
}

static bool set_on_reboot(struct launch_guest *guest, struct span value, uint32_t line) {
    (void)line;
    return read_action(value, &guest->on_reboot);
}

static bool set_on_crash(struct launch_guest *guest, struct span value, uint32_t line) {
    (void)line;
    return read_action(value, &guest->on_crash);
}

static bool set_restart_limit(struct launch_guest *guest, struct span value, uint32_t line) {
    (void)line;
    if (launch_span_is(value, "none")) {
        guest->restart_limit = LAUNCH_NO_LIMIT;
        return true;
    }
    return read_u32(value, 0, 1000000, &guest->restart_limit);
}

static bool set_linear_page_tables(struct launch_guest *guest, struct span value, uint32_t line) {
    (void)line;
    return read_bool(value, &guest->linear_page_tables);
}

static bool set_privileged(struct launch_guest *guest, struct span value, uint32_t line) {
    (void)line;
    return read_bool(value, &guest->privileged);
}

static bool add_channel(struct launch_guest *guest, struct span name) {
    if (guest->nr_channels == LAUNCH_GUEST_CHANNELS || !launch_name_is_good(name))
        return false;
    for (uint32_t i = 0; i < guest->nr_channels; i++)
        if (launch_span_is(name, guest->channel[i]))
            return false;
    return launch_span_copy(name, guest->channel[guest->nr_channels++], LAUNCH_NAME_SIZE);
}

static bool set_channel(struct launch_guest *guest, struct span value, uint32_t line) {
    size_t start = 0;

    guest->channel_line = line;
    for (size_t i = 0; i <= value.len; i++) {
        if (i < value.len && value.p[i] != ',')
            continue;
        if (!add_channel(guest, launch_span_trim((struct span){value.p + start, i - start})))
            return false;
        start = i + 1;
    }
    return true;
}

static bool set_role(struct launch_guest *guest, struct span value, uint32_t line) {
    (void)line;
    guest->control = launch_span_is(value, "control");
    return guest->control || launch_span_is(value, "guest");
}

const struct launch_key launch_keys[] = {
    {"kernel", "the name of a boot module, without path or blanks", set_kernel},
    {"ramdisk", "the name of a boot module, without path or blanks", set_ramdisk},
    {"cmdline", "a text of up to 1023 characters", set_cmdline},
    {"memory", "a size such as 256M or 1G, of at least 1M", set_memory},
    {"vcpus", "a number from 1 to 32", set_vcpus},
    {"pin", "a list of CPUs below 256, such as 0,2-3", set_pin},
    {"weight", "a number from 1 to 65535", set_weight},
    {"cap", "a percentage of one CPU, up to 3200, or 0 for none", set_cap},
    {"on_end", "halt or restart", set_on_end},
    {"on_reboot", "halt or restart", set_on_reboot},
    {"on_crash", "halt or restart", set_on_crash},
    {"restart_limit", "a number up to 1000000, or none", set_restart_limit},
    {"linear_page_tables", "yes or no", set_linear_page_tables},
    {"privileged", "yes or no", set_privileged},
    {"channel", "1 to 4 different names of 1 to 31 letters, digits and - _ . +, such as a,b", set_channel},
    {"ready", "a text of 1 to 63 characters", set_ready},
    {"role", "guest or control", set_role},
};

const size_t launch_nr_keys = sizeof(launch_keys) / sizeof(launch_keys[0]);
_Static_assert(sizeof(launch_keys) / sizeof(launch_keys[0]) <= 32, "the parser keeps the keys it saw in 32 bits");

void launch_guest_init(struct launch_guest *guest, uint32_t line) {
    static const char ready[] = "READY";

    *guest = (struct launch_guest){
        .memory = LAUNCH_DEFAULT_MEMORY,
        .vcpus = 1,
        .weight = LAUNCH_DEFAULT_WEIGHT,
        .restart_limit = LAUNCH_DEFAULT_RESTART_LIMIT,
        .on_end = LAUNCH_HALT,
        .on_reboot = LAUNCH_RESTART,
        .on_crash = LAUNCH_HALT,
        .line = line,
        .kernel_line = line,
        .ramdisk_line = line,
        .memory_line = line,
        .pin_line = line,
        .channel_line = line,
    };
    launch_span_copy((struct span){ready, sizeof(ready) - 1}, guest->ready, sizeof(guest->ready));
}
