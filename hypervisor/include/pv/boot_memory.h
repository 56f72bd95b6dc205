/* SPDX-License-Identifier: MIT */
/*
 * boot_memory: memory before there is a heap: what the loader's map calls RAM, less the image, the modules and the
 * first MiB. It serves pages until boot_memory_finish() gives the rest to the heap.
 */
#ifndef PV_BOOT_MEMORY_H
#define PV_BOOT_MEMORY_H

#include <pv/boot.h>
#include <pv/mm.h>
#include <pv/types.h>

/* Builds everything that depends on the amount of RAM: direct map, frame table, M2P; loads the hypervisor root. */
void boot_memory_init(void);
/* A cleared page, NULL once the rest went to the heap. */
void *boot_memory_page(void);
void boot_memory_finish(void);
/* A module that is used up: its pages go to the heap, but for those that it shares with something else. */
void boot_memory_free_module(struct boot_module *m);
/* A bit for each page of the frame table that exists; such a page covers this many frames. */
#define FRAMES_PER_TABLE_PAGE (PAGE_SIZE / sizeof(struct page))
extern u64 *frame_table_map;
/* RAM in all, in bytes. */
extern u64 boot_memory_total;

#endif
