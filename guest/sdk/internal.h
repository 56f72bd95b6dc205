/* SPDX-License-Identifier: MIT */
/* What the files of the SDK share among themselves. */
#ifndef SDK_INTERNAL_H
#define SDK_INTERNAL_H

#include <sdk/memory.h>

/* Address of a frame now: in the direct map if it is there already. */
void *memory_address(unsigned long pfn);
/* Notes the current root's address; again when the direct map is complete. */
void pt_init(void);
/* As pt_entry_in, but makes the tables that are missing. */
uint64_t *pt_make_entry(uint64_t *root, unsigned long va, unsigned level);

#endif
