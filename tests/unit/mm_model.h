/* SPDX-License-Identifier: MIT */
/*
 * mm_model: random operations of two domains on their memory, against a slow and obvious model. The model knows which
 * frames were given and what was pinned, set as base or held; from these roots it derives by walking the tables, after
 * every step and from scratch, each frame's references, type and uses. It foretells as well which operations succeed.
 */
#ifndef TESTS_UNIT_MM_MODEL_H
#define TESTS_UNIT_MM_MODEL_H

#include "mm_host.h"

/* Where choices come from: a number below n; ~0 in *end ends the run. */
typedef u32 (*mm_choose)(void *arg, u32 n);

struct mm_model_stats {
    u64 steps, done, refused, restarted, abandoned, deaths, most_pages;
};

/* Runs steps until `more` says no; panics when machine and model differ. All memory is free again afterwards. */
void mm_model_run(mm_choose choose, bool (*more)(void *arg), void *arg, struct mm_model_stats *stats);

#endif
