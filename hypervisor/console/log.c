// SPDX-License-Identifier: MIT
/* The host's log: the last 128 KiB of what printk() said, for `xl dmesg`. Positions count all bytes ever written. */
#include "internal.h"

#define LOG_SIZE 131072u /* a power of two */

static char ring[LOG_SIZE];
static u64 written, cleared;

void log_put(const char *buf, size_t n) {
    for (size_t i = 0; i < n; i++)
        ring[written++ % LOG_SIZE] = buf[i];
}

size_t console_ring_read(u64 *index, char *buf, size_t n) {
    console_lock();
    u64 oldest = written > LOG_SIZE ? written - LOG_SIZE : 0;
    u64 at = MAX(*index ? *index : cleared, oldest);
    size_t copied = 0;

    while (copied < n && at < written)
        buf[copied++] = ring[at++ % LOG_SIZE];
    *index = at;
    console_unlock();
    return copied;
}

void console_ring_clear(void) {
    console_lock();
    cleared = written;
    console_unlock();
}
