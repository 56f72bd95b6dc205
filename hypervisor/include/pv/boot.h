/* SPDX-License-Identifier: MIT */
/*
 * boot: from the loader to the first guest, in four acts: entry.S (32-bit, boot tables), boot_main (what the loader
 * gave, memory, this CPU), the platform (ACPI, time, the other CPUs), the guests.
 */
#ifndef PV_BOOT_H
#define PV_BOOT_H

#define BOOT_MULTIBOOT1 1
#define BOOT_MULTIBOOT2 2
#define BOOT_PVH 3

#ifndef __ASSEMBLER__
#include <pv/types.h>

#define BOOT_MAX_RANGES 128
#define BOOT_MAX_MODULES 256

/* A range of physical memory; RAM that is free to use, or something else. */
struct boot_range {
    u64 start, end;
    bool ram;
    u32 type; /* E820 type, as the firmware said */
};

struct boot_module {
    u64 start, size;    /* physical, bytes */
    const char *string; /* name and arguments, as the loader gave them */
};

/* What EFI firmware says of itself; no tables: it is a BIOS, or the loader did not tell. */
struct boot_efi {
    u64 tables; /* physical address of the configuration tables */
    u32 nr_tables;
    u32 version;
};

/* Pixels in memory, as the loader set them up. No width: it did not, or did not tell. */
struct boot_screen {
    u64 base;
    u32 width, height, bytes_per_line;
    u8 bits;         /* of a pixel */
    u8 colour[3][2]; /* red, green, blue: position and size in a pixel */
};

/* What any of the loaders gave, in one form. Strings are copies. */
struct boot_info {
    const char *loader;
    const char *command_line;
    u64 rsdp; /* physical; 0: look for it */
    struct boot_efi efi;
    struct boot_screen screen;
    u32 nr_ranges, nr_modules;
    struct boot_range range[BOOT_MAX_RANGES];
    struct boot_module module[BOOT_MAX_MODULES];
};
extern struct boot_info boot_info;

/* Reads the loader's block at physical address `info` (below 4 GiB, boot tables loaded). */
void boot_read_multiboot1(const void *info);
void boot_read_multiboot2(const void *info);
void boot_read_pvh(const void *info);

/* A copy of at most `max` bytes of s that lives for ever; truncated when the pool is full. */
const char *boot_copy_string(const char *s, size_t max);
void boot_add_range(u64 start, u64 size, u32 e820_type);
/* The string has at most max bytes, if no NUL ends it earlier. */
void boot_add_module(u64 start, u64 end, const char *string, size_t max);

/* The value of `key=` among the words of the command line: its length, or -1; *value points into the line. */
int boot_option(const char *key, const char **value);
/* True if the word is there, alone or with a value that does not say no. */
bool boot_option_flag(const char *word);
/* Is `key=off` there, or another way to say no? */
bool boot_option_off(const char *key);

/* Says in the log which words of the command line nobody reads. */
void boot_report_unknown_options(void);

void boot_main(u32 kind, u64 info) __attribute__((noreturn));
#endif
#endif
