// SPDX-License-Identifier: MIT
/*
 * What plugins for QEMU's emulator share: the interface (version 1), of which Debian has no header, as far as it is used;
 * and the two places of a program between which they count, with the file they write.
 */
#ifndef BENCH_PLUGIN_H
#define BENCH_PLUGIN_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef uint64_t plugin_id;
typedef void on_execution(unsigned, void *);
typedef void on_access(unsigned, uint32_t, uint64_t, void *);

extern void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, void (*)(plugin_id, struct qemu_plugin_tb *));
extern void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *, on_execution *, int, void *);
extern void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *, int, void *, uint64_t);
extern void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *, on_execution *, int, void *);
extern void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *, int, void *, uint64_t);
extern void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *, on_access *, int, int, void *);
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
extern uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *);
extern struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
extern const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *);
extern size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *);
extern uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *);
__attribute__((visibility("default"))) extern int qemu_plugin_version;
__attribute__((visibility("default"))) extern int qemu_plugin_install(plugin_id, const void *, int, char **);

enum { NO_REGISTERS = 0, INLINE_ADD = 0, READS_AND_WRITES = 3 };

int qemu_plugin_version = 1;

static uint64_t begin, end;
static const char *out;

/* begin=<address>, end=<address> or out=<file>; false: something else. */
static bool take_option(const char *word) {
    if (strncmp(word, "begin=", 6) == 0)
        begin = strtoull(word + 6, NULL, 16);
    else if (strncmp(word, "end=", 4) == 0)
        end = strtoull(word + 4, NULL, 16);
    else if (strncmp(word, "out=", 4) == 0)
        out = strdup(word + 4);
    else
        return false;
    return true;
}

/* Has `at_begin` and `at_end` called when a block that starts at one of these places runs. */
static void watch_places(struct qemu_plugin_tb *tb, on_execution *at_begin, on_execution *at_end) {
    uint64_t address = qemu_plugin_tb_vaddr(tb);

    if (address == begin)
        qemu_plugin_register_vcpu_tb_exec_cb(tb, at_begin, NO_REGISTERS, NULL);
    if (address == end)
        qemu_plugin_register_vcpu_tb_exec_cb(tb, at_end, NO_REGISTERS, NULL);
}

#endif
