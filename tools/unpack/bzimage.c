// SPDX-License-Identifier: MIT
/* Finds the compressed kernel in a bzImage, by the fields of the x86 boot protocol's setup header. */
#include <string.h>

#include "unpack.h"

#define SETUP_SECTS 0x1f1
#define HEADER_MAGIC 0x202 /* "HdrS" */
#define VERSION 0x206
#define PAYLOAD_OFFSET 0x248
#define PAYLOAD_LENGTH 0x24c
#define HEADER_END 0x250
#define FIRST_VERSION_WITH_PAYLOAD 0x0208

static uint32_t get32(const uint8_t *p) {
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

bool bzimage_is(struct bytes image) {
    return image.len >= HEADER_END && memcmp(image.data + HEADER_MAGIC, "HdrS", 4) == 0;
}

const char *bzimage_find_payload(struct bytes image, struct bytes *payload) {
    const uint8_t *p = image.data;
    uint64_t sectors, start, len;

    if ((p[VERSION] | p[VERSION + 1] << 8) < FIRST_VERSION_WITH_PAYLOAD)
        return "its boot protocol is older than 2.08, which first says where the payload is";
    sectors = p[SETUP_SECTS] ? p[SETUP_SECTS] : 4; /* the protocol: 0 means 4 */
    start = (sectors + 1) * 512 + get32(p + PAYLOAD_OFFSET);
    len = get32(p + PAYLOAD_LENGTH);
    if (len == 0 || start > image.len || len > image.len - start)
        return "its payload lies outside the file (is the file cut short?)";
    payload->data = p + start;
    payload->len = len;
    return NULL;
}
