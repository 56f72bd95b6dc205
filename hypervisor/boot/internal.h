/* SPDX-License-Identifier: MIT */
/* What the files of boot share. */
#ifndef BOOT_INTERNAL_H
#define BOOT_INTERNAL_H

#include <pv/types.h>

/* The root's entry for the gate slot of the boot CPU before it has one of its own: the page of constants only. */
u64 boot_gate_slot(void);

#endif
