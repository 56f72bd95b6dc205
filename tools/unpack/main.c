// SPDX-License-Identifier: MIT
/*
 * paravane-unpack: takes the ELF kernel out of a compressed Linux image, so that the hypervisor need not know any
 * compression. An ELF file passes through as it is. The output appears whole or not at all.
 */
#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "unpack.h"

static const char help[] =
    "NAME\n"
    "    paravane-unpack - take the ELF kernel out of a Linux image\n"
    "\n"
    "SYNOPSIS\n"
    "    paravane-unpack IMAGE OUTPUT\n"
    "    paravane-unpack --help\n"
    "\n"
    "DESCRIPTION\n"
    "    IMAGE is a bzImage (the usual /boot/vmlinuz-...), compressed with gzip, xz, lzma, zstd, bzip2 or lz4; or one\n"
    "    of these compressed files by itself; or an ELF file, which is copied. What is inside must be an ELF file for\n"
    "    x86-64. It is written to OUTPUT, which is replaced only when all went well.\n"
    "\n"
    "EXIT STATUS\n"
    "    0 done, 1 the image is not as expected or could not be read or written, 2 wrong usage.\n"
    "\n"
    "EXAMPLE\n"
    "    paravane-unpack /boot/vmlinuz-6.1.0-56-amd64 vmlinux-6.1\n";

static void complain(const char *path, const char *what) {
    fprintf(stderr, "paravane-unpack: %s: %s\n", path, what);
}

static bool read_stream(FILE *f, struct buffer *buf) {
    size_t got;

    do {
        if (!buffer_reserve(buf, 1 << 20)) {
            errno = EFBIG;
            return false;
        }
        got = fread(buf->data + buf->len, 1, 1 << 20, f);
        buf->len += got;
    } while (got);
    return !ferror(f);
}

static bool read_file(const char *path, struct buffer *buf) {
    FILE *f = fopen(path, "rb");
    bool ok = f && read_stream(f, buf);

    if (!ok)
        complain(path, strerror(errno));
    if (f)
        fclose(f);
    return ok;
}

static bool write_whole(const char *path, struct bytes data) {
    FILE *f = fopen(path, "wb");
    bool ok = f && fwrite(data.data, 1, data.len, f) == data.len;

    if (f && fclose(f))
        ok = false;
    return ok;
}

static bool write_file(const char *path, struct bytes data) {
    char *temp = malloc(strlen(path) + 32);
    bool ok;

    if (!temp)
        return false;
    sprintf(temp, "%s.%ld.tmp", path, (long)getpid());
    ok = write_whole(temp, data) && rename(temp, path) == 0;
    if (!ok) {
        complain(path, strerror(errno));
        unlink(temp);
    }
    free(temp);
    return ok;
}

static const char *check_elf(struct bytes data) {
    Elf64_Ehdr header;

    if (data.len < sizeof(header) || memcmp(data.data, ELFMAG, SELFMAG) != 0)
        return "what is inside is not an ELF file";
    memcpy(&header, data.data, sizeof(header));
    if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_machine != EM_X86_64)
        return "the ELF file is not for x86-64";
    return NULL;
}

/* The kernel in the image: a part of it, or unpacked into *buf. */
static const char *find_kernel(struct bytes image, struct buffer *buf, struct bytes *kernel) {
    const struct codec *codec;
    struct bytes payload = image;
    const char *error;

    if (image.len >= SELFMAG && memcmp(image.data, ELFMAG, SELFMAG) == 0) {
        *kernel = image;
        return NULL;
    }
    error = bzimage_is(image) ? bzimage_find_payload(image, &payload) : NULL;
    if (error)
        return error;
    codec = codec_find(payload);
    if (!codec)
        return bzimage_is(image) ? "its payload has no compression known here"
                                 : "it is no bzImage, no ELF file and no compressed file";
    error = codec->decode(payload, buf);
    *kernel = (struct bytes){buf->data, buf->len};
    return error;
}

static int unpack(const char *from, const char *to) {
    struct buffer file = {0}, unpacked = {0};
    struct bytes kernel;
    const char *error;
    int status = 1;

    if (read_file(from, &file)) {
        error = find_kernel((struct bytes){file.data, file.len}, &unpacked, &kernel);
        if (!error)
            error = check_elf(kernel);
        if (error)
            complain(from, error);
        else if (write_file(to, kernel))
            status = 0;
    }
    free(file.data);
    free(unpacked.data);
    return status;
}

int main(int argc, char **argv) {
    if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        fputs(help, stdout);
        return 0;
    }
    if (argc != 3) {
        fprintf(stderr, "usage: paravane-unpack IMAGE OUTPUT (or --help)\n");
        return 2;
    }
    return unpack(argv[1], argv[2]);
}
