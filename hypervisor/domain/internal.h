/* SPDX-License-Identifier: MIT */
/* What the files of domain share. */
#ifndef DOMAIN_INTERNAL_H
#define DOMAIN_INTERNAL_H

#include <pv/domain.h>

/* Accounts the time in the old state (enum RUNSTATE_*) and writes the area the guest registered, if the vCPU is
 * the current one. */
void runstate_change(struct vcpu *v, int state, u64 now);

/* A vCPU that is down, with its pages; NULL: out of memory. shared_info exists. */
struct vcpu *vcpu_create(struct domain *d, u32 id);
void vcpu_free(struct vcpu *v);
/* The vCPU will not run again; false: a CPU still holds its state, call again. */
bool vcpu_stop(struct vcpu *v);
/* Drops what a stopped vCPU holds of its domain's memory. */
void vcpu_drop_memory(struct vcpu *v);

#endif
