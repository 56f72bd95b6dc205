/* SPDX-License-Identifier: MIT */
/*
 * evtchn_model: random event channel operations of three domains, one of them the control domain, against books that
 * say what each port is, which bits guests see, and who polls. Every answer is foretold, and after each step all ports,
 * bits and blocked vCPUs are compared.
 */
#ifndef TESTS_UNIT_EVTCHN_MODEL_H
#define TESTS_UNIT_EVTCHN_MODEL_H

#include "host.h"

struct evtchn_model_stats {
    u64 steps, done, refused, raised, deaths;
};

/* Choices come from pick(arg, n), a number below n, until `more` says no. Panics when books and machine differ. */
void evtchn_model_run(u32 (*pick)(void *arg, u32 n), bool (*more)(void *arg), void *arg, struct evtchn_model_stats *s);

#endif
