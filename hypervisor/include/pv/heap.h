/* SPDX-License-Identifier: MIT */
/*
 * heap: small objects of the hypervisor's own (mm room). Memory comes zeroed, aligned to 16 bytes.
 */
#ifndef PV_HEAP_H
#define PV_HEAP_H

#include <pv/types.h>

/* NULL when memory is short, or size is 0: always a guest's or the host's request to refuse, never a panic. */
void *heap_alloc(size_t size);
/* NULL is fine. */
void heap_free(void *p);

#endif
