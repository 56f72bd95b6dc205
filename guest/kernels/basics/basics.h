/* SPDX-License-Identifier: MIT */
/* The areas of the basics kernel, in the order they run. */
#ifndef BASICS_H
#define BASICS_H

#include <sdk/sdk.h>

void check_version(void);
void check_traps(void);
void check_emulation(void);
void check_time(void);
void check_events(void);
void check_memory(void);
void check_page_tables(void);
void check_descriptors(void);
void check_vcpu(void);
void check_grants(void);
void check_calls(void);
void check_linear(void);

/* Passes if the probe saw this trap. */
bool expect_trap(const char *name, const struct probe *p, unsigned vector, uint64_t error);
bool expect_no_trap(const char *name, const struct probe *p);

#endif
