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

bool boot_option_flag(const char *word) {
    size_t len;

    for (const char *p = next_word(boot_info.command_line, &len); len; p = next_word(p + len, &len))
        if (len == strlen(word) && !strncmp(p, word, len))
            return true;
    return false;
}
