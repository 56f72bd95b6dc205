// SPDX-License-Identifier: MIT
// sources: tests/unit/hc_model*.c tests/unit/hc_stubs.c tests/unit/mm_host.c tests/unit/host.c hypercall/*.c
// sources: gnttab/*.c evtchn/*.c mm/[!ms]*.c
/* Hypercalls of three domains as the input's bytes choose them, against the model of the unit test. */
#include "hc_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    const uint8_t *at, *end;
};

static u32 pick(void *arg, u32 n) {
    struct input *in = arg;

    return in->at < in->end ? *in->at++ % n : 1 % n;
}

static bool more(void *arg) {
    return ((struct input *)arg)->at < ((struct input *)arg)->end;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct input in = {data, data + size};
    struct model_stats stats;

    hc_model_run(pick, more, &in, &stats);
    return 0;
}
