// SPDX-License-Identifier: MIT
/*
 * A plugin for QEMU's emulator: how many pages of code and of data are touched between changes of root, that is, what a
 * TLB without tags would have to fetch anew after each. Pages count for the address they have; the first touch of each
 * after a load of CR3 counts.
 *
 *     -plugin pages.so,begin=<address>,end=<address>,out=<file>
 *
 * Each time `end` runs the file is written anew: a line "changes <number>", then lines of "address c|d times".
 */
#include "plugin.h"

enum { PAGES = 1 << 20 };

/* An open hash table. `key`: 0 is free, else 2 + twice the page's number, + 1 for code. */
struct page {
    uint64_t key, root, times;
};

static struct page pages[PAGES];
static uint64_t root = 1, changes, last[2];

static struct page *find(uint64_t key) {
    uint64_t i = key * 0x9e3779b97f4a7c15 >> 44;

    while (pages[i].key && pages[i].key != key)
        i = (i + 1) % PAGES;
    pages[i].key = key;
    return &pages[i];
}

static void touch(uint64_t address, bool code) {
    uint64_t key = 2 + (address >> 12 << 1) + code;
    struct page *page;

    if (last[code] == key)
        return;
    last[code] = key;
    page = find(key);
    page->times += page->root != root;
    page->root = root;
}

static void on_block(unsigned cpu, void *address) {
    (void)cpu;
    touch((uint64_t)address, true);
}

static void on_memory(unsigned cpu, uint32_t how, uint64_t address, void *unused) {
    (void)cpu, (void)how, (void)unused;
    touch(address, false);
}

static void on_change(unsigned cpu, void *unused) {
    (void)cpu, (void)unused;
    root++, changes++;
    last[0] = last[1] = 0;
}

static void on_begin(unsigned cpu, void *unused) {
    (void)cpu, (void)unused;
    for (unsigned i = 0; i < PAGES; i++)
        pages[i].times = 0;
    changes = 0;
}

static void on_end(unsigned cpu, void *unused) {
    FILE *file = fopen(out, "w");

    (void)cpu, (void)unused;
    if (!file)
        return;
    fprintf(file, "changes %" PRIu64 "\n", changes);
    for (unsigned i = 0; i < PAGES; i++)
        if (pages[i].times)
            fprintf(file, "%" PRIx64 " %c %" PRIu64 "\n", (pages[i].key - 2) >> 1 << 12, pages[i].key & 1 ? 'c' : 'd',
                    pages[i].times);
    fclose(file);
}

/* MOV to CR3, with or without a prefix. */
static bool loads_root(const struct qemu_plugin_insn *insn) {
    const uint8_t *byte = qemu_plugin_insn_data(insn);
    size_t size = qemu_plugin_insn_size(insn);

    if (size == 4)
        byte++;
    return (size == 3 || size == 4) && byte[0] == 0x0f && byte[1] == 0x22 && (byte[2] & 0xf8) == 0xd8;
}

static void on_translation(plugin_id id, struct qemu_plugin_tb *tb) {
    uint64_t address = qemu_plugin_tb_vaddr(tb);

    (void)id;
    qemu_plugin_register_vcpu_tb_exec_cb(tb, on_block, NO_REGISTERS, (void *)address);
    watch_places(tb, on_begin, on_end);
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);

        qemu_plugin_register_vcpu_mem_cb(insn, on_memory, NO_REGISTERS, READS_AND_WRITES, NULL);
        if (loads_root(insn))
            qemu_plugin_register_vcpu_insn_exec_cb(insn, on_change, NO_REGISTERS, NULL);
    }
}

int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv) {
    (void)info;
    for (int i = 0; i < argc; i++)
        take_option(argv[i]);
    if (!begin || !end || !out)
        return -1;
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
    return 0;
}
