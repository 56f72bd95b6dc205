// SPDX-License-Identifier: MIT
// sources: tests/unit/mm_model.c tests/unit/mm_host.c tests/unit/host.c mm/types.c mm/validate.c mm/update.c
// sources: mm/domain_pages.c mm/heap.c mm/tlb.c mm/descriptors.c mm/walk.c
/* Operations on page tables as the input's bytes choose them, against the model of the unit test. */
#include "mm_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    const uint8_t *at, *end;
};

static u32 pick(void *arg, u32 n) {
    struct input *in = arg;

    return in->at < in->end ? *in->at++ % n : 0;
}

static bool more(void *arg) {
    return ((struct input *)arg)->at < ((struct input *)arg)->end;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct input in = {data, data + size};
    struct mm_model_stats stats;

    mm_model_run(pick, more, &in, &stats);
    return 0;
}
