// SPDX-License-Identifier: MIT
/*
 * TCP between dom0 and guests. A connection begins with a line: "sink N" takes N bytes and answers with one, "echo"
 * gives back each byte, anything else is a command for the shell. The server trusts whoever asks: it is for measuring
 * only.
 */
#define _GNU_SOURCE
#include "meter.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static char buffer[256 << 10];

static struct sockaddr_in address_of(const char *host) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(PORT)};

    if (!inet_aton(host, &address.sin_addr))
        fail(host);
    return address;
}

static void without_delay(int fd) {
    int one = 1;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

static int connect_to(const char *host, const char *line) {
    struct sockaddr_in address = address_of(host);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)))
        fail(host);
    without_delay(fd);
    if (dprintf(fd, "%s\n", line) < 0)
        fail("the request");
    return fd;
}

/* Byte by byte: what follows the line is not for us. */
static void read_line(int fd, char *line, size_t size) {
    size_t n = 0;

    while (n < size - 1 && read(fd, line + n, 1) == 1 && line[n] != '\n')
        n++;
    line[n] = 0;
}

static void sink(int fd, uint64_t bytes) {
    ssize_t n = 1;

    while (bytes && (n = read(fd, buffer, sizeof(buffer))) > 0)
        bytes -= (uint64_t)n;
    if (!bytes && write(fd, "", 1) != 1)
        fail("the answer");
}

static void echo(int fd) {
    char byte;

    while (read(fd, &byte, 1) == 1)
        if (write(fd, &byte, 1) != 1)
            return;
}

static void answer(int fd) {
    char line[1024];

    without_delay(fd);
    read_line(fd, line, sizeof(line));
    if (!strncmp(line, "sink ", 5))
        return sink(fd, strtoull(line + 5, NULL, 10));
    if (!strcmp(line, "echo"))
        return echo(fd);
    dup2(fd, 1);
    dup2(fd, 2);
    execl("/bin/sh", "sh", "-c", line, (char *)NULL);
}

int serve_main(char **argv) {
    struct sockaddr_in any = address_of("0.0.0.0");
    int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);

    (void)argv;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(fd, (struct sockaddr *)&any, sizeof(any)) || listen(fd, 8))
        fail("listening");
    signal(SIGCHLD, SIG_IGN);
    for (;;) {
        int client = accept(fd, NULL, NULL);

        if (client >= 0 && fork() == 0) {
            signal(SIGCHLD, SIG_DFL);
            answer(client);
            return 0;
        }
        close(client);
    }
}

int run_main(char **argv) {
    int fd = connect_to(argv[0], argv[1]);
    ssize_t n;

    while ((n = read(fd, buffer, sizeof(buffer))) > 0)
        if (write(1, buffer, (size_t)n) != n)
            fail("output");
    return n < 0;
}

int stream_main(char **argv) {
    uint64_t bytes, left, start;
    char line[32], done;
    int fd;

    bytes = left = strtoull(argv[1], NULL, 10) << 20;
    snprintf(line, sizeof(line), "sink %llu", (unsigned long long)bytes);
    start = now_ns();
    fd = connect_to(argv[0], line);
    while (left) {
        ssize_t n = write(fd, buffer, left < sizeof(buffer) ? left : sizeof(buffer));

        if (n <= 0)
            fail("the stream");
        left -= (uint64_t)n;
    }
    if (read(fd, &done, 1) != 1)
        fail("the other's answer");
    print_rate("rate", bytes, now_ns() - start);
    return 0;
}

int rtt_main(char **argv) {
    size_t count = strtoul(argv[1], NULL, 10);
    uint64_t *ns = calloc(count + 1, sizeof(*ns));
    char byte = 'x';
    int fd;

    if (!count || !ns)
        return 2;
    fd = connect_to(argv[0], "echo");
    for (size_t i = 0; i < count; i++) {
        uint64_t start = now_ns();

        if (write(fd, &byte, 1) != 1 || read(fd, &byte, 1) != 1)
            fail("the other's answer");
        ns[i] = now_ns() - start;
    }
    print_durations("rtt", ns, count);
    return 0;
}
