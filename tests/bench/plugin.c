// SPDX-License-Identifier: MIT
/*
 * A plugin for QEMU's emulator: how often each translated block ran between two places of the program. The profile
 * tool beside it makes sense of that.
 *
 *     -plugin profile.so,begin=<address>,end=<address>,out=<file>[,kinds=on]
 *
 * Each time `end` runs the file is written anew, lines of "address instructions times"; the last one counts. With
 * kinds=on also lines "+kind address times" for each instruction that asks something of the machine, or that enters or
 * leaves a kernel.
 */
#include "plugin.h"

/* One translation of one block; never freed, since translated code points at `times`. */
struct block {
    struct block *next;
    uint64_t address, instructions, times;
};

struct mark {
    struct mark *next;
    const char *kind;
    uint64_t address, times;
};

/* Opcodes without prefixes; a second byte of -1 fits any. */
static const struct {
    const char *kind;
    int first, second;
} kinds[] = {
    {"rdtsc", 0x0f, 0x31}, {"syscall", 0x0f, 0x05}, {"sysret", 0x0f, 0x07}, {"iret", 0xcf, -1}, {"cpuid", 0x0f, 0xa2},
    {"rdmsr", 0x0f, 0x32}, {"wrmsr", 0x0f, 0x30},   {"in", 0xe4, -1},       {"in", 0xe5, -1},   {"in", 0xec, -1},
    {"in", 0xed, -1},      {"out", 0xe6, -1},       {"out", 0xe7, -1},      {"out", 0xee, -1},  {"out", 0xef, -1},
};

static struct block *blocks;
static struct mark *marks;
static bool wants_kinds;

static void on_begin(unsigned cpu, void *unused) {
    (void)cpu, (void)unused;
    for (struct block *b = blocks; b; b = b->next)
        b->times = 0;
    for (struct mark *m = marks; m; m = m->next)
        m->times = 0;
}

static void on_end(unsigned cpu, void *unused) {
    FILE *file = fopen(out, "w");

    (void)cpu, (void)unused;
    if (!file)
        return;
    for (const struct block *b = blocks; b; b = b->next)
        if (b->times)
            fprintf(file, "%" PRIx64 " %" PRIu64 " %" PRIu64 "\n", b->address, b->instructions, b->times);
    for (const struct mark *m = marks; m; m = m->next)
        if (m->times)
            fprintf(file, "+%s %" PRIx64 " %" PRIu64 "\n", m->kind, m->address, m->times);
    fclose(file);
}

static const char *kind_of(const uint8_t *code, size_t size) {
    size_t at = 0;

    while (at < size && (code[at] == 0x66 || (code[at] & 0xf0) == 0x40))
        at++;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
        if (at < size && code[at] == kinds[i].first &&
            (kinds[i].second < 0 || (at + 1 < size && code[at + 1] == kinds[i].second)))
            return kinds[i].kind;
    return NULL;
}

static void mark_instructions(struct qemu_plugin_tb *tb) {
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        const char *kind = kind_of(qemu_plugin_insn_data(insn), qemu_plugin_insn_size(insn));
        struct mark *m = kind ? calloc(1, sizeof(*m)) : NULL;

        if (!m)
            continue;
        *m = (struct mark){marks, kind, qemu_plugin_insn_vaddr(insn), 0};
        marks = m;
        qemu_plugin_register_vcpu_insn_exec_inline(insn, INLINE_ADD, &m->times, 1);
    }
}

static void on_translation(plugin_id id, struct qemu_plugin_tb *tb) {
    struct block *b = calloc(1, sizeof(*b));

    (void)id;
    if (!b)
        abort();
    *b = (struct block){blocks, qemu_plugin_tb_vaddr(tb), qemu_plugin_tb_n_insns(tb), 0};
    blocks = b;
    qemu_plugin_register_vcpu_tb_exec_inline(tb, INLINE_ADD, &b->times, 1);
    if (wants_kinds)
        mark_instructions(tb);
    watch_places(tb, on_begin, on_end);
}

int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv) {
    (void)info;
    for (int i = 0; i < argc; i++)
        if (!take_option(argv[i]) && strcmp(argv[i], "kinds=on") == 0)
            wants_kinds = true;
    if (!begin || !end || !out)
        return -1;
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
    return 0;
}
