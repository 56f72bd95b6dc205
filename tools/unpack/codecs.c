// SPDX-License-Identifier: MIT
/* The compressions that Linux images come in, each decoded by its own library into a growing buffer. */
#include <stdlib.h>
#include <string.h>

#include <bzlib.h>
#include <lz4.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include "unpack.h"

#define STEP (4ul << 20)

static const char no_room[] = "it unpacks to more than 1 GiB, or there is no memory left";
static const char cut_short[] = "the compressed data ends too early";
static const char corrupt[] = "the compressed data is corrupt";

bool buffer_reserve(struct buffer *buf, size_t more) {
    size_t size = buf->size ? buf->size : STEP;
    uint8_t *data;

    if (more > UNPACK_MAX - buf->len)
        return false;
    while (size < buf->len + more)
        size *= 2;
    if (size == buf->size)
        return true;
    data = realloc(buf->data, size);
    if (!data)
        return false;
    buf->data = data;
    buf->size = size;
    return true;
}

static const char *decode_gzip(struct bytes in, struct buffer *out) {
    z_stream z = {.next_in = (Bytef *)in.data, .avail_in = (uInt)in.len};
    const char *error = NULL;
    int rc = Z_OK;

    if (inflateInit2(&z, 15 + 32) != Z_OK)
        return no_room;
    while (rc == Z_OK && !error) {
        if (!buffer_reserve(out, STEP)) {
            error = no_room;
            break;
        }
        z.next_out = out->data + out->len;
        z.avail_out = STEP;
        rc = inflate(&z, Z_NO_FLUSH);
        out->len += STEP - z.avail_out;
    }
    inflateEnd(&z);
    if (!error && rc != Z_STREAM_END)
        error = rc == Z_BUF_ERROR ? cut_short : corrupt;
    return error;
}

/* xz, and the older "lzma alone" */
static const char *decode_lzma(struct bytes in, struct buffer *out) {
    lzma_stream s = LZMA_STREAM_INIT;
    const char *error = NULL;
    lzma_ret rc = lzma_auto_decoder(&s, UINT64_MAX, 0);

    s.next_in = in.data;
    s.avail_in = in.len;
    while (rc == LZMA_OK && !error) {
        if (!buffer_reserve(out, STEP)) {
            error = no_room;
            break;
        }
        s.next_out = out->data + out->len;
        s.avail_out = STEP;
        rc = lzma_code(&s, LZMA_RUN);
        out->len += STEP - s.avail_out;
    }
    lzma_end(&s);
    if (!error && rc != LZMA_STREAM_END)
        error = rc == LZMA_BUF_ERROR ? cut_short : corrupt;
    return error;
}

static const char *decode_zstd(struct bytes in, struct buffer *out) {
    ZSTD_DStream *s = ZSTD_createDStream();
    ZSTD_inBuffer from = {in.data, in.len, 0};
    const char *error = NULL;
    size_t rc = 1;

    if (!s)
        return no_room;
    ZSTD_DCtx_setParameter(s, ZSTD_d_windowLogMax, 30);
    while (rc && !error) {
        ZSTD_outBuffer to;

        if (!buffer_reserve(out, STEP)) {
            error = no_room;
            break;
        }
        to = (ZSTD_outBuffer){out->data + out->len, STEP, 0};
        rc = ZSTD_decompressStream(s, &to, &from);
        if (ZSTD_isError(rc))
            error = corrupt;
        else if (rc && to.pos < to.size && from.pos == from.size)
            error = cut_short;
        else
            out->len += to.pos;
    }
    ZSTD_freeDStream(s);
    return error;
}

static const char *decode_bzip2(struct bytes in, struct buffer *out) {
    bz_stream s = {.next_in = (char *)in.data, .avail_in = (unsigned int)in.len};
    const char *error = NULL;
    int rc = BZ2_bzDecompressInit(&s, 0, 0);

    while (rc == BZ_OK && !error) {
        if (!buffer_reserve(out, STEP)) {
            error = no_room;
            break;
        }
        s.next_out = (char *)out->data + out->len;
        s.avail_out = STEP;
        rc = BZ2_bzDecompress(&s);
        out->len += STEP - s.avail_out;
        if (rc == BZ_OK && s.avail_in == 0 && s.avail_out)
            error = cut_short;
    }
    BZ2_bzDecompressEnd(&s);
    if (!error && rc != BZ_STREAM_END)
        error = corrupt;
    return error;
}

#define LZ4_BLOCK (8u << 20) /* the legacy format's fixed block size */

/* The legacy format has no end mark: blocks follow until the data ends, or 4 bytes are left that Linux appends. */
static const char *decode_lz4(struct bytes in, struct buffer *out) {
    size_t at = 4;

    while (in.len - at > 4) {
        const uint8_t *p = in.data + at;
        uint32_t len = p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
        int got;

        at += 4;
        if (len > in.len - at)
            return cut_short;
        if (!buffer_reserve(out, LZ4_BLOCK))
            return no_room;
        got = LZ4_decompress_safe((const char *)in.data + at, (char *)out->data + out->len, (int)len, LZ4_BLOCK);
        if (len == 0 || got < 0)
            return corrupt;
        out->len += (size_t)got;
        at += len;
    }
    return out->len ? NULL : cut_short;
}

static const struct codec codecs[] = {
    {"gzip", "\x1f\x8b", 2, decode_gzip},
    {"xz",
     "\xfd"
     "7zXZ\0",
     6, decode_lzma},
    {"lzma", "\x5d\0\0", 3, decode_lzma},
    {"zstd", "\x28\xb5\x2f\xfd", 4, decode_zstd},
    {"bzip2", "BZh", 3, decode_bzip2},
    {"lz4", "\x02\x21\x4c\x18", 4, decode_lz4},
};

const struct codec *codec_find(struct bytes in) {
    for (size_t i = 0; i < sizeof(codecs) / sizeof(codecs[0]); i++)
        if (in.len >= codecs[i].magic_len && memcmp(in.data, codecs[i].magic, codecs[i].magic_len) == 0)
            return &codecs[i];
    return NULL;
}
