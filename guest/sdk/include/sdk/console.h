/* SPDX-License-Identifier: MIT */
/*
 * The console: formatted output to the hypervisor's console for privileged domains, to the shared ring for
 * all others. One message at a time, whatever number of vCPUs print.
 */
#ifndef SDK_CONSOLE_H
#define SDK_CONSOLE_H

#include <sdk/types.h>

void console_init(void);
void console_write(const char *text, size_t n);
/* Returns the number of bytes read, 0 if nobody typed. */
size_t console_read(char *text, size_t n);
/* Waits until a reader took everything out of the ring: call it before shutting down. */
void console_flush(void);

/* Conversions: c s p d u x, with l, width and zero padding. */
int vsnprintf(char *to, size_t size, const char *format, va_list args);
int snprintf(char *to, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));
int printf(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
