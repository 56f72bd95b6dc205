/* SPDX-License-Identifier: MIT */
/* gate_tables: the tables of the CPU that live in the gate's pages. */
#ifndef PV_GATE_TABLES_H
#define PV_GATE_TABLES_H

#include <pv/types.h>

/* The IDT, one page, the same for all CPUs. */
extern u64 gate_idt[512];
void gate_build_idt(void);
void gate_build_tss(void *page);
/* The reserved page of the GDT. */
void gate_build_gdt(void *page);
/* Puts a descriptor of an LDT with this many entries into the reserved page; 0: none. */
void gate_set_ldt(void *gdt_page, u32 entries);

#endif
