/* SPDX-License-Identifier: MIT */
/*
 * The control kernel's areas, and what they share: the structures of the control operations, one of each, and a domain
 * that is made and ended.
 */
#ifndef CONTROL_H
#define CONTROL_H

/* The headers of control operations want to be included the way tools do. */
#undef __XEN_INTERFACE_VERSION__
#define __XEN_TOOLS__
#include <sdk/sdk.h>

#include <xen/domctl.h>
#include <xen/physdev.h>
#include <xen/sysctl.h>

void check_versions(void);
void check_create(void);
void check_life(void);
void check_host(void);
void check_memory(void);
void check_vcpus(void);
void check_m2p(void);
void check_refused(void);
void check_run(void);
void check_cycles(void);
void check_failures(void);

extern struct xen_domctl op;
extern struct xen_sysctl sop;
/* The structure, all zeros. */
struct xen_domctl *clean(void);
struct xen_sysctl *sclean(void);
/* With what the caller has put into the structure: 0 or a negative errno. */
long domctl(uint32_t cmd, domid_t id);
long sysctl(uint32_t cmd);
/* Fills op for a plain domain with so many vCPUs. */
struct xen_domctl_createdomain *plain_domain(unsigned vcpus);
/* Made, paused, with its vCPUs and room for so many pages; panics if that is refused. */
domid_t make_domain(unsigned vcpus, unsigned long max_pages);
domid_t make_domain_without_maps(unsigned vcpus, unsigned long max_pages);
long destroy_domain(domid_t id);
/* False: there is no such domain any more. */
bool get_info(domid_t id, struct xen_domctl_getdomaininfo *info);
unsigned long free_pages(void);

#endif
