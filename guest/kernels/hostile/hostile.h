/* SPDX-License-Identifier: MIT */
/* The groups of attacks, and how their outcome is reported. */
#ifndef HOSTILE_H
#define HOSTILE_H

#include <sdk/sdk.h>

void attack_maps(void);
void attack_descriptors(void);
void attack_frames(void);
void attack_pointers(void);
void attack_machine(void);
void attack_control_operations(void);
void attack_resources(void);
void attack_vcpus(void);
void attack_freed(void);
void attack_races(void);
void attack_linear(void);
/* One thing without end, for a while; a failure if `name` is unknown. */
void attack_as_storm(const char *name);
/* Attacks that must end this domain; returns if `name` is unknown or the domain survived. */
void attack_to_the_end(const char *name);

/* May this domain's tables map themselves? */
bool linear_allowed(void);
/* Pass if the hypervisor said no. Returns true then. */
bool refused(const char *name, long rc);
/* Pass if the probe ended in any trap. */
bool trapped(const char *name, const struct probe *p);

/* An address in each part of the range the ABI reserves for the hypervisor, but M2P and gate. */
extern const unsigned long reserved_addresses[6];

/* In code.S */
void code_raw_iret(void *frame), code_ud(void *arg), code_flags(void), code_on_stack(void *stack), code_user(void);

#endif
