/* SPDX-License-Identifier: MIT */
/*
 * launch_host: the part of launch that builds and keeps guests: at boot from the modules, later by their policies.
 */
#ifndef PV_LAUNCH_HOST_H
#define PV_LAUNCH_HOST_H

#include <pv/domain.h>

/* Starts what the modules say: the guests of a launch file, or the first module as the one guest. */
void launch_boot(void);
/* A domain ended (any CPU, any lock): its policy will be carried out by launch_work(). */
void launch_domain_ended(struct domain *d);
/* Takes dead guests apart and restarts those whose policy says so. Called by the run loop for CPU_REQ_WORK, no locks.
 */
void launch_work(void);

#endif
