// SPDX-License-Identifier: MIT
// The hypervisor's command line: words, each `key=value` or a flag.
#include <pv/boot.h>
#include <pv/lib.h>

static const char *next_word(const char *p, size_t *len) {
    while (*p == ' ')
        p++;
    for (*len = 0; p[*len] && p[*len] != ' ';)
        ++*len;
    return p;
}

int boot_option(const char *key, const char **value) {
    size_t len, key_len = strlen(key);

    for (const char *p = next_word(boot_info.command_line, &len); len; p = next_word(p + len, &len))
        if (len > key_len && !strncmp(p, key, key_len) && p[key_len] == '=') {
            *value = p + key_len + 1;
            return (int)(len - key_len - 1);
        }
    return -1;
}

static bool says_no(const char *value, size_t len) {
    static const char *const no[] = {"0", "no", "off", "false", "disable"};

    for (u32 i = 0; i < ARRAY_SIZE(no); i++)
        if (len == strlen(no[i]) && !strncmp(value, no[i], len))
            return true;
    return false;
}

bool boot_option_off(const char *key) {
    const char *value;
    int n = boot_option(key, &value);

    return n >= 0 && says_no(value, (size_t)n);
}

bool boot_option_flag(const char *word) {
    const char *value;
    int n = boot_option(word, &value);
    size_t len;

    if (n >= 0)
        return !says_no(value, (size_t)n);
    for (const char *p = next_word(boot_info.command_line, &len); len; p = next_word(p + len, &len))
        if (len == strlen(word) && !strncmp(p, word, len))
            return true;
    return false;
}

/* Names of the options that some room reads, and of those that loaders' set-up scripts add for the peer and that mean
 * nothing here. */
static const char *const known[] = {
    "audit",     "batch",    "color",     "colour",       "com1",           "com2",
    "console",   "dom0_mem", "failalloc", "failcpu",      "dom0_max_vcpus", "dom0_vcpus_pin",
    "failstart", "fastpath", "fault",     "loglvl",       "guest_loglvl",   "noreboot",
    "panic",     "pcid",     "edd",       "no-real-mode", "placeholder",
};

static bool is_known(const char *word, size_t len) {
    for (u32 i = 0; i < ARRAY_SIZE(known); i++) {
        size_t n = strlen(known[i]);

        if (len >= n && !strncmp(word, known[i], n) && (len == n || word[n] == '='))
            return true;
    }
    return false;
}

void boot_report_unknown_options(void) {
    char copy[64];
    size_t len;

    for (const char *p = next_word(boot_info.command_line, &len); len; p = next_word(p + len, &len)) {
        if (is_known(p, len))
            continue;
        strlcpy(copy, p, MIN(len + 1, sizeof(copy)));
        printk("option %s is not known and has no effect (docs/options.md lists those that are)\n", copy);
    }
}
