// SPDX-License-Identifier: MIT
// Names of functions: the table in the image, whose form scripts/gen-symbols describes.
#include "internal.h"

#include <pv/gate.h>

struct table {
    u16 count;
    u8 pair[128][2];
    u8 entries[];
} __packed;

extern const struct table symbol_table;
extern char image_start[], gate_text_start[], gate_text_end[];

struct name {
    char *text;
    u32 length;
};

/* A byte of a name: a letter, or a pair of such bytes. Pairs stand for earlier bytes only, so this comes to an end. */
static void expand(const struct table *t, u8 byte, struct name *name) {
    if (byte >= 128) {
        expand(t, t->pair[byte - 128][0], name);
        expand(t, t->pair[byte - 128][1], name);
    } else if (name->length < SYMBOL_NAME_SIZE - 1) {
        name->text[name->length++] = (char)byte;
    }
}

static void read_name(const struct table *t, const u8 *entry, char *text) {
    struct name name = {text, 0};

    for (u32 i = 0; i < entry[2]; i++)
        expand(t, entry[3 + i], &name);
    text[name.length] = 0;
}

bool symbol_find(const void *table, u64 offset, struct symbol *found) {
    const struct table *t = table;
    const u8 *entry = t->entries, *best = NULL;
    u64 at = 0;

    found->end = 0;
    for (u32 i = 0; i < t->count; i++, entry += 3 + entry[2]) {
        at += (u64)entry[0] | (u64)entry[1] << 8;
        if (at > offset) {
            found->end = at;
            break;
        }
        best = entry;
        found->start = at;
    }
    if (best)
        read_name(t, best, found->name);
    return best;
}

static bool is_in(u64 address, u64 start, u64 size) {
    return address >= start && address - start < size;
}

void debug_format_address(char *buf, size_t size, u64 address) {
    u64 gate_size = (u64)gate_text_end - (u64)gate_text_start;
    struct symbol s;

    if (is_in(address, GATE_TEXT, gate_size))
        address = address - GATE_TEXT + (u64)gate_text_start;
    address -= (u64)image_start;
    if (!is_in(address, 0, (u64)gate_text_end - (u64)image_start) || !symbol_find(&symbol_table, address, &s))
        strlcpy(buf, "?", size);
    else
        snprintf(buf, size, "%s+0x%lx/0x%lx", s.name, address - s.start, s.end ? s.end - s.start : 0);
}
