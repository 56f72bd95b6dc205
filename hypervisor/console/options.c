// SPDX-License-Identifier: MIT
/* The console's words of the hypervisor's command line. What cannot be read leaves the default. */
#include "internal.h"

struct port {
    u16 base;
    u8 irq;
    u32 baud;
    u8 line_control;
};

/* The value if the word at p is "key=value", else NULL. */
static const char *value_of(const char *p, const char *key) {
    size_t n = strlen(key);
    return strncmp(p, key, n) == 0 && p[n] == '=' ? p + n + 1 : NULL;
}

/* 8n1 and its like: data bits 5-8, parity n o e m s, stop bits 1 2. */
static u8 parse_frame(const char *p, u8 fallback) {
    static const char parities[] = "noems";
    static const u8 parity_bits[] = {0x00, 0x08, 0x18, 0x28, 0x38};
    const char *parity;

    if (p[0] < '5' || p[0] > '8' || !p[1] || !(parity = strchr(parities, p[1])) || (p[2] != '1' && p[2] != '2'))
        return fallback;
    return (u8)((p[0] - '5') | (p[2] == '2' ? 4 : 0) | parity_bits[parity - parities]);
}

/* The part behind the next comma of this word, NULL: none. */
static const char *next_part(const char *p) {
    while (*p && *p != ',' && *p != ' ')
        p++;
    return *p == ',' ? p + 1 : NULL;
}

/* BAUD[,FRAME[,BASE[,IRQ]]]; each part may be empty. */
static void parse_port(const char *p, struct port *port) {
    u64 baud = strtoull(p, NULL, 10);
    if (baud >= 50 && baud <= 115200)
        port->baud = (u32)baud;
    if ((p = next_part(p)))
        port->line_control = parse_frame(p, port->line_control);
    if (p && (p = next_part(p))) {
        u64 base = strtoull(p, NULL, 0);
        if (base && base <= 0xfff8)
            port->base = (u16)base;
    }
    if (p && (p = next_part(p))) {
        u64 irq = strtoull(p, NULL, 10);
        if (irq && irq < 16)
            port->irq = (u8)irq;
    }
}

/* One word; *which: the port in use, -1: none. */
static void parse_word(const char *p, size_t len, struct port ports[2], int *which, struct console_options *o) {
    const char *v;

    if ((v = value_of(p, "com1")))
        parse_port(v, &ports[0]);
    else if ((v = value_of(p, "com2")))
        parse_port(v, &ports[1]);
    else if ((v = value_of(p, "console")))
        *which = strncmp(v, "none", 4) == 0 ? -1 : strncmp(v, "com2", 4) == 0 ? 1 : 0;
    else if ((v = value_of(p, "color")) || (v = value_of(p, "colour")))
        o->colour = strncmp(v, "off", 3) != 0;
    else if ((v = value_of(p, "loglvl")))
        o->quiet = strncmp(v, "none", 4) == 0 || strncmp(v, "error", 5) == 0 || strncmp(v, "warning", 7) == 0;
    else if (len == 5 && strncmp(p, "batch", 5) == 0)
        o->batch = true;
}

void options_parse(const char *cmdline, struct console_options *o) {
    struct port ports[2] = {{0x3f8, 4, 115200, 0x03}, {0x2f8, 3, 115200, 0x03}};
    int which = 0;

    *o = (struct console_options){.colour = true};
    for (const char *p = cmdline ? cmdline : ""; *p;) {
        size_t len = 0;
        while (p[len] && p[len] != ' ')
            len++;
        if (len)
            parse_word(p, len, ports, &which, o);
        p += len + (p[len] == ' ');
    }
    if (o->batch)
        o->colour = false;
    if (which >= 0) {
        o->port = ports[which].base;
        o->irq = ports[which].irq;
        o->baud = ports[which].baud;
        o->line_control = ports[which].line_control;
    }
}
