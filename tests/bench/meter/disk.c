// SPDX-License-Identifier: MIT
/* Direct I/O on a block device, one request at a time: no cache of this kernel's is measured. */
#define _GNU_SOURCE
#include "meter.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct job {
    int fd;
    bool writes, random;
    size_t block, count;
    off_t size;
    char *buffer;
};

static off_t next_offset(const struct job *job, size_t i) {
    static uint64_t seed = 88172645463325252U;
    off_t blocks = job->size / (off_t)job->block;

    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (job->random ? (off_t)(seed % (uint64_t)blocks) : (off_t)i % blocks) * (off_t)job->block;
}

static void request(const struct job *job, off_t at) {
    ssize_t n =
        job->writes ? pwrite(job->fd, job->buffer, job->block, at) : pread(job->fd, job->buffer, job->block, at);

    if (n != (ssize_t)job->block)
        fail("a request");
}

static void prepare(struct job *job, char **argv) {
    job->writes = !strcmp(argv[1], "write");
    job->block = strtoul(argv[2], NULL, 10);
    job->count = strtoul(argv[3], NULL, 10);
    job->random = !strcmp(argv[4], "random");
    job->fd = open(argv[0], O_DIRECT | (job->writes ? O_RDWR : O_RDONLY));
    if (job->fd < 0)
        fail(argv[0]);
    job->size = lseek(job->fd, 0, SEEK_END);
    if (job->size < (off_t)job->block || !job->block || posix_memalign((void **)&job->buffer, 4096, job->block))
        fail("sizes");
    memset(job->buffer, 0x5a, job->block);
}

int disk_main(char **argv) {
    struct job job;
    uint64_t *ns, start, begun;

    prepare(&job, argv);
    ns = calloc(job.count, sizeof(*ns));
    if (!ns)
        fail("memory");
    start = now_ns();
    for (size_t i = 0; i < job.count; i++) {
        begun = now_ns();
        request(&job, next_offset(&job, i));
        ns[i] = now_ns() - begun;
    }
    print_rate("rate", job.block * job.count, now_ns() - start);
    print_durations("request", ns, job.count);
    return 0;
}
