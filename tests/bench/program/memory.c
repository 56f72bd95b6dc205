// SPDX-License-Identifier: MIT
/*
 * Rows of memory: mapping, the three common page faults, and copying, which costs no hypervisor anything and says so.
 */
#include "bench.h"

#define FAULTS 128u
#define AROUND 16u /* pages the kernel maps at one fault on a file */
#define COPY_SIZE 0x100000ul

static char *area;
static uint64_t *from, *to;
static int file, gate[2];
static long child;

/* `where` may be 0: beside what there is, with page tables that are there. */
static void map_at(unsigned count, unsigned long where) {
    while (count--) {
        char *p = sys_map_near(where, 16 * PAGE, 0x02 | MAP_ANONYMOUS, -1);

        for (unsigned i = 0; i < 16; i++)
            *(volatile char *)(p + i * PAGE) = 1;
        sys_unmap(p, 16 * PAGE);
    }
}

/* Far from all else: three page tables come and go with each mapping. The goal was set on such a one. */
static void map_far_run(unsigned count) {
    map_at(count, 0x100000000000);
}

static void map_near_run(unsigned count) {
    map_at(count, 0);
}

static void touch(unsigned count, unsigned long step) {
    for (unsigned i = 0; i < count; i++)
        *(volatile char *)(area + i * step) = 1;
}

static void anonymous_setup(void) {
    area = sys_map_memory(FAULTS * PAGE);
}

static void anonymous_run(unsigned count) {
    touch(count, PAGE);
}

static void anonymous_finish(void) {
    sys_unmap(area, FAULTS * PAGE);
}

static void file_setup(void) {
    file = sys_open("/tmp/pages", O_RDWR | O_CREAT);
    must("ftruncate", sys3(__NR_ftruncate, file, FAULTS * AROUND * PAGE, 0));
    area = sys_map(FAULTS * AROUND * PAGE, 0x01 /* MAP_SHARED */, file);
    touch(FAULTS * AROUND, PAGE);
    sys_unmap(area, FAULTS * AROUND * PAGE);
    area = sys_map(FAULTS * AROUND * PAGE, 0x01, file);
}

static void file_run(unsigned count) {
    for (unsigned i = 0; i < count; i++)
        (void)*(volatile char *)(area + i * AROUND * PAGE);
}

static void file_finish(void) {
    sys_unmap(area, FAULTS * AROUND * PAGE);
    sys_close(file);
    sys3(__NR_unlink, (long)"/tmp/pages", 0, 0);
}

/* A child holds all the pages until the pipe closes. */
static void copy_on_write_setup(void) {
    anonymous_setup();
    touch(FAULTS, PAGE);
    sys_pipe(gate);
    child = sys_fork();
    if (child == 0) {
        sys_close(gate[1]);
        token_take(gate[0]);
        sys_exit(0);
    }
}

static void copy_on_write_finish(void) {
    sys_close(gate[1]);
    sys_close(gate[0]);
    sys_wait(child);
    anonymous_finish();
}

static void copy_setup(void) {
    from = sys_map_memory(COPY_SIZE);
    to = sys_map_memory(COPY_SIZE);
    for (size_t i = 0; i < COPY_SIZE / sizeof(*from); i++) {
        from[i] = i;
        to[i] = 0;
    }
}

static void copy_run(unsigned count) {
    while (count--)
        for (size_t i = 0; i < COPY_SIZE / sizeof(*from); i++)
            ((volatile uint64_t *)to)[i] = from[i];
}

static void copy_finish(void) {
    sys_unmap(from, COPY_SIZE);
    sys_unmap(to, COPY_SIZE);
}

static const struct row rows[] = {
    {"mmap_16", 50, map_far_run, NULL, NULL, false},
    {"mmap_16_near", 50, map_near_run, NULL, NULL, false},
    {"fault_anonymous", FAULTS, anonymous_run, anonymous_setup, anonymous_finish, true},
    {"fault_file", FAULTS, file_run, file_setup, file_finish, true},
    {"fault_copy", FAULTS, anonymous_run, copy_on_write_setup, copy_on_write_finish, true},
    {"copy_1mib", 2, copy_run, copy_setup, copy_finish, false},
};

ROW_TABLE(memory_table, rows);
