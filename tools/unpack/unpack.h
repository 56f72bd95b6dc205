/* SPDX-License-Identifier: MIT */
/* What the files of paravane-unpack share: byte buffers, the decompressors, and the bzImage header. */
#ifndef UNPACK_H
#define UNPACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UNPACK_MAX (1ul << 30) /* no kernel is larger; a bomb would be */

/* Bytes that grow; data is malloc'ed and the owner's to free. */
struct buffer {
    uint8_t *data;
    size_t len, size;
};

struct bytes {
    const uint8_t *data;
    size_t len;
};

/* Room for at least `more` bytes behind len; false when there is no memory or it would pass UNPACK_MAX. */
bool buffer_reserve(struct buffer *buf, size_t more);

/* The compressed kernel inside a bzImage. NULL, or what is wrong with the image. */
const char *bzimage_find_payload(struct bytes image, struct bytes *payload);
bool bzimage_is(struct bytes image);

struct codec {
    const char *name;
    const char *magic;
    size_t magic_len;
    /* NULL, or what went wrong. Bytes behind the end of the compressed stream are ignored. */
    const char *(*decode)(struct bytes in, struct buffer *out);
};

/* The codec that made these bytes, or NULL. */
const struct codec *codec_find(struct bytes in);

#endif
