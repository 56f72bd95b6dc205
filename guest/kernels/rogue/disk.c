// SPDX-License-Identifier: MIT
// What a disk's frontend can do to its backend: requests that make no sense, grants that are not there or go away under
// it, a ring full of nonsense, an index out of all bounds.
#include "rogue.h"

#define SLOTS 32u
#define BURST 24u
#define SCRIBBLES 400u

struct disk {
    struct device dev;
    blkif_sring_t *ring;
    uint8_t *page;
    grant_ref_t good, read_only;
    uint32_t prod;
};

static bool open_disk(struct disk *d, const char *path) {
    if (!device_find(&d->dev, path))
        return false;
    d->ring = device_share_ring(&d->dev, "ring-ref");
    d->page = page_alloc();
    d->ring->req_event = d->ring->rsp_event = 1;
    d->good = device_grant(&d->dev, d->page, false);
    d->read_only = device_grant(&d->dev, page_alloc(), true);
    return device_connect(&d->dev, XenbusStateInitialised);
}

static void submit(struct disk *d, const blkif_request_t *r) {
    d->ring->ring[d->prod % SLOTS].req = *r;
    __atomic_store_n(&d->ring->req_prod, ++d->prod, __ATOMIC_RELEASE);
    event_send(d->dev.port);
}

static blkif_request_t request(uint8_t operation, grant_ref_t ref) {
    blkif_request_t r = {.operation = operation, .nr_segments = 1, .id = 7};

    r.seg[0].gref = ref;
    r.seg[0].last_sect = 7;
    return r;
}

/* One request; what the backend says of it, or a number no backend says. */
static int ask(struct disk *d, blkif_request_t r) {
    submit(d, &r);
    if (!device_wait(&d->ring->rsp_prod, d->prod))
        return 1000;
    return d->ring->ring[(d->prod - 1) % SLOTS].rsp.status;
}

static void wrong_requests(struct disk *d) {
    blkif_request_t many = request(BLKIF_OP_READ, d->good), far = many, backwards = many, wide = many;

    test_equal("disk.read", ask(d, request(BLKIF_OP_READ, d->good)), BLKIF_RSP_OKAY);
    test_check("disk.no_grant", ask(d, request(BLKIF_OP_READ, 0x7fffffff)) < 0, "done without a grant");
    test_check("disk.unused_grant", ask(d, request(BLKIF_OP_READ, 1900)) < 0, "done with an unused grant");
    test_check("disk.read_only", ask(d, request(BLKIF_OP_READ, d->read_only)) < 0, "wrote to read-only memory");
    many.nr_segments = 255;
    far.sector_number = 1ul << 50;
    backwards.seg[0].first_sect = 6, backwards.seg[0].last_sect = 2;
    wide.seg[0].last_sect = 200;
    test_check("disk.many_segments", ask(d, many) < 0, "done");
    test_check("disk.far_sector", ask(d, far) < 0, "done");
    test_check("disk.backwards", ask(d, backwards) < 0, "done");
    test_check("disk.wide_segment", ask(d, wide) < 0, "done");
    test_check("disk.no_operation", ask(d, request(200, d->good)) < 0, "done");
    test_equal("disk.read_again", ask(d, request(BLKIF_OP_READ, d->good)), BLKIF_RSP_OKAY);
}

/* Grants end, and frames are written, while the backend works with them. */
static void grants_go(struct disk *d) {
    for (unsigned round = 0; round < 20; round++) {
        grant_ref_t refs[BURST];

        for (unsigned i = 0; i < BURST; i++) {
            refs[i] = device_grant(&d->dev, page_alloc(), false);
            blkif_request_t r = request(BLKIF_OP_READ, refs[i]);

            r.sector_number = i * 8;
            submit(d, &r);
        }
        for (unsigned i = 0; i < BURST; i++)
            device_revoke(refs[i]);
        if (!test_check("disk.grants_go", device_wait(&d->ring->rsp_prod, d->prod), "%u of %u answers in round %u",
                        d->ring->rsp_prod, d->prod, round))
            return;
    }
}

static uint32_t noise(void) {
    static uint32_t x = 12345;

    x ^= x << 13, x ^= x >> 17, x ^= x << 5;
    return x;
}

/* The backend reads while this is written; then the index jumps. Nothing need be answered. */
static void scribble(struct disk *d) {
    for (unsigned n = 0; n < SCRIBBLES; n++) {
        uint32_t *words = (uint32_t *)d->ring->ring;

        for (unsigned i = 0; i < (PAGE_SIZE - 64) / 4; i++)
            words[i] = noise();
        d->ring->req_prod += noise() % SLOTS;
        event_send(d->dev.port);
    }
    d->ring->req_prod += 0x40000000;
    event_send(d->dev.port);
    clock_sleep(SECOND);
    test_pass("disk.scribble");
}

/* Much under way; the domain ends while the backend works on it. */
static void leave_at_once(struct disk *d) {
    for (unsigned i = 0; i < BURST; i++) {
        blkif_request_t r = request(BLKIF_OP_READ, device_grant(&d->dev, page_alloc(), false));

        r.sector_number = i * 8;
        submit(d, &r);
    }
    panic("ends with requests under way");
}

void attack_disk(const char *path, unsigned attack) {
    static void (*const attacks[])(struct disk * d) = {wrong_requests, grants_go, scribble, leave_at_once};
    struct disk d = {0};

    if (test_check("disk.connected", open_disk(&d, path), "%s did not connect", path))
        attacks[attack](&d);
}
