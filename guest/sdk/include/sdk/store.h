/* SPDX-License-Identifier: MIT */
/*
 * The store: values by path, in the wire protocol of xenstore. For vCPU 0, one request at a time. Functions give a
 * length or 0, or a negative errno: -XEN_ENOENT where nothing is, -XEN_EIO where nobody answers.
 */
#ifndef SDK_STORE_H
#define SDK_STORE_H

#include <sdk/clock.h>

long store_read(const char *path, char *value, size_t size);
/* A value that is a number; `otherwise` if there is none. */
unsigned long store_read_number(const char *path, unsigned long otherwise);
long store_write(const char *path, const char *value);
/* The names under a path, each with its NUL. */
long store_list(const char *path, char *names, size_t size);
long store_watch(const char *path, const char *token);
/* Has any watch fired since this was last asked? */
bool store_has_event(void);

#endif
