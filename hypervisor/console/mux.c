// SPDX-License-Identifier: MIT
/*
 * The multiplexer: many writers, one serial line. A guest's bytes gather in its line buffer and go out as a whole line
 * with its name before it. Only the guest in focus has its partial line (a prompt) shown while it grows; when another
 * writer interrupts, that line is broken, and shown again after what interrupted it. Guests out of focus cannot move
 * the cursor: their control characters and escape sequences are dropped.
 */
#include "internal.h"
#include <pv/time.h>

#define ESC 0x1b

struct mux mux = {.line_start = true};

static void put_text(const char *s) {
    tx_put(s, strlen(s));
}

static void new_line(void) {
    tx_put("\r\n", 2);
    mux.line_start = true;
    mux.owner = NULL;
}

/* Whatever partial line is shown stays behind. */
static void break_line(void) {
    if (mux.owner)
        mux.owner->shown = 0;
    if (!mux.line_start)
        new_line();
    mux.owner = NULL;
}

static void put_prefix(const struct guest_console *gc) {
    if (mux.colour) {
        char colour[] = "\033[0;36m[";
        colour[5] = (char)('1' + (gc->number + 4) % 6); /* 31..36: 1 is cyan, then on */
        put_text(colour);
    } else {
        tx_put("[", 1);
    }
    put_text(gc->name);
    put_text(mux.colour ? "]\033[0m " : "] ");
    mux.line_start = false;
}

/* Bytes behind an ESC that belong to it: CSI sequences up to their final letter, of others the next byte. */
static u32 escape_length(const char *p, u32 n) {
    u32 i = 1;
    if (n < 2 || p[1] != '[')
        return MIN(n, 2u);
    for (i = 2; i < n && (p[i] < 0x40 || p[i] > 0x7e);)
        i++;
    return MIN(i + 1, n);
}

static void put_filtered(const char *p, u32 n) {
    for (u32 i = 0; i < n;) {
        u8 c = (u8)p[i];
        if (c == ESC) {
            i += escape_length(p + i, n - i);
            continue;
        }
        if ((c >= 0x20 && c != 0x7f) || c == '\t')
            tx_put(p + i, 1);
        i++;
    }
}

/* Shows what of the line is not shown yet. */
static void show_line(struct guest_console *gc) {
    if (mux.owner != gc) {
        break_line();
        put_prefix(gc);
        mux.owner = gc;
        gc->shown = 0;
    }
    if (gc == mux.focus)
        tx_put(gc->line + gc->shown, gc->len - gc->shown);
    else
        put_filtered(gc->line + gc->shown, gc->len - gc->shown);
    gc->shown = gc->len;
}

static void finish_line(struct guest_console *gc) {
    show_line(gc);
    new_line();
    gc->len = gc->shown = 0;
    gc->carriage = false;
}

/* A \r without \n: the guest writes its line anew. */
static void restart_line(struct guest_console *gc) {
    if (mux.owner == gc) {
        tx_put("\r", 1);
        put_prefix(gc);
        if (mux.colour)
            put_text("\033[K");
    }
    gc->len = gc->shown = 0;
    gc->carriage = false;
}

static void line_byte(struct guest_console *gc, char c) {
    if (c == '\n') {
        finish_line(gc);
    } else if (c == '\r') {
        gc->carriage = true;
    } else {
        if (gc->carriage)
            restart_line(gc);
        gc->line[gc->len++] = c;
        if (gc->len == CONSOLE_LINE_SIZE)
            finish_line(gc);
    }
}

/* The partial line of the guest in focus, unless it is on the screen already. */
static void show_focus(void) {
    struct guest_console *gc = mux.focus;
    if (gc && !mux.raw && gc->len && (mux.owner != gc || gc->shown != gc->len))
        show_line(gc);
}

void mux_set_ready_text(struct guest_console *gc, const char *text) {
    strlcpy(gc->ready_text, text, sizeof(gc->ready_text));
    gc->ready_len = (u32)strlen(gc->ready_text);
}

static bool tail_matches(const struct guest_console *gc) {
    for (u32 i = 1; i <= gc->ready_len; i++)
        if (gc->tail[(gc->tail_pos - i) % CONSOLE_READY_SIZE] != gc->ready_text[gc->ready_len - i])
            return false;
    return true;
}

static void watch_ready(struct guest_console *gc, char c) {
    if (gc->ready || !gc->ready_len)
        return;
    gc->tail[gc->tail_pos++ % CONSOLE_READY_SIZE] = c;
    if (c == gc->ready_text[gc->ready_len - 1] && tail_matches(gc)) {
        gc->ready_time = time_now();
        gc->ready = true;
    }
}

void mux_guest_write(struct guest_console *gc, const char *buf, size_t n) {
    for (size_t i = 0; i < n; i++) {
        watch_ready(gc, buf[i]);
        if (!mux.raw)
            line_byte(gc, buf[i]);
    }
    if (mux.raw && n) {
        tx_put(buf, n);
        mux.line_start = buf[n - 1] == '\n';
    }
    show_focus();
}

void mux_host_write(const char *buf, size_t n) {
    break_line();
    for (size_t i = 0; i < n; i++) {
        if (buf[i] == '\n')
            new_line();
        else
            tx_put(buf + i, 1);
        mux.line_start = buf[i] == '\n';
    }
    show_focus();
}

void mux_flush(struct guest_console *gc) {
    if (gc->len)
        finish_line(gc);
    if (mux.owner == gc)
        break_line();
}

void mux_set_focus(struct guest_console *gc) {
    break_line();
    mux.focus = gc;
}
