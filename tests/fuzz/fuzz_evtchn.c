// SPDX-License-Identifier: MIT
// sources: tests/unit/evtchn_model.c tests/unit/host.c evtchn/ports.c evtchn/deliver.c evtchn/op.c
/* Event channel operations as the input's bytes choose them, against the books of the unit test. */
#include "evtchn_model.h"

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
    struct evtchn_model_stats stats;

    evtchn_model_run(pick, more, &in, &stats);
    return 0;
}
