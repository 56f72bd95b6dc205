// SPDX-License-Identifier: MIT
/*
 * A plugin for QEMU's emulator: how often each translated block ran between two places of the program. The profile
 * tool beside it makes sense of that.
 *
 *     -plugin profile.so,begin=<address>,end=<address>,out=<file>
 *
 * Each time `end` runs the file is written anew, lines of "address instructions times"; the last one counts.
 * Debian has no header for the interface (version 1), so what is used of it is declared here.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct qemu_plugin_tb;
typedef uint64_t plugin_id;

extern void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, void (*)(plugin_id, struct qemu_plugin_tb *));
extern void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *, void (*)(unsigned, void *), int, void *);
extern void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *, int, void *, uint64_t);
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
extern uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *);
__attribute__((visibility("default"))) extern int qemu_plugin_version;
__attribute__((visibility("default"))) extern int qemu_plugin_install(plugin_id, const void *, int, char **);

enum { NO_REGISTERS = 0, INLINE_ADD = 0 };

/* One translation of one block; never freed, since translated code points at `times`. */
struct block {
    struct block *next;
    uint64_t address, instructions, times;
};

int qemu_plugin_version = 1;

static struct block *blocks;
static uint64_t begin, end;
static const char *out;

static void on_begin(unsigned cpu, void *unused) {
    (void)cpu, (void)unused;
    for (struct block *b = blocks; b; b = b->next)
        b->times = 0;
}

static void on_end(unsigned cpu, void *unused) {
    FILE *file = fopen(out, "w");

    (void)cpu, (void)unused;
    if (!file)
        return;
    for (const struct block *b = blocks; b; b = b->next)
        if (b->times)
            fprintf(file, "%" PRIx64 " %" PRIu64 " %" PRIu64 "\n", b->address, b->instructions, b->times);
    fclose(file);
}

static void on_translation(plugin_id id, struct qemu_plugin_tb *tb) {
    struct block *b = calloc(1, sizeof(*b));

    (void)id;
    if (!b)
        abort();
    *b = (struct block){blocks, qemu_plugin_tb_vaddr(tb), qemu_plugin_tb_n_insns(tb), 0};
    blocks = b;
    qemu_plugin_register_vcpu_tb_exec_inline(tb, INLINE_ADD, &b->times, 1);
    if (b->address == begin)
        qemu_plugin_register_vcpu_tb_exec_cb(tb, on_begin, NO_REGISTERS, NULL);
    if (b->address == end)
        qemu_plugin_register_vcpu_tb_exec_cb(tb, on_end, NO_REGISTERS, NULL);
}

int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv) {
    (void)info;
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "begin=", 6) == 0)
            begin = strtoull(argv[i] + 6, NULL, 16);
        else if (strncmp(argv[i], "end=", 4) == 0)
            end = strtoull(argv[i] + 4, NULL, 16);
        else if (strncmp(argv[i], "out=", 4) == 0)
            out = strdup(argv[i] + 4);
    }
    if (!begin || !end || !out)
        return -1;
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
    return 0;
}
