/* SPDX-License-Identifier: MIT */
/* What the files that build and keep guests share. */
#ifndef LAUNCH_INTERNAL_HOST_H
#define LAUNCH_INTERNAL_HOST_H

#include <pv/domain.h>
#include <pv/launch.h>
#include <pv/launch_store.h>

/* --- image.c: what a kernel file says about itself --- */
#define UNSET (~0ul)

struct kernel_image {
    const u8 *data;
    u64 size;
    u64 virt_base;
    u64 virt_offset; /* virtual address = ELF physical address + this */
    u64 entry;
    u64 hypercall_page; /* UNSET: none */
    u64 init_p2m;       /* where the kernel wants its p2m list, UNSET: after its image */
    bool mod_start_pfn; /* takes its ramdisk unmapped, by frame number */
    u64 virt_start, virt_end;
};

/* A module's bytes. */
struct blob {
    const u8 *data;
    u64 size;
};

/* Reads headers and notes. NULL, or a sentence on what is wrong with the file. Nothing in it is trusted. */
const char *image_read(struct blob file, struct kernel_image *k);
/* Copies its segments: put(arg, virtual address, bytes, n). Addresses lie in [virt_start, virt_end). */
typedef void (*image_put_fn)(void *arg, u64 va, const void *bytes, u64 n);
void image_load(const struct kernel_image *k, image_put_fn put, void *arg);

/* --- service.c: the store of each guest, named by its index in the plan --- */
struct store_service {
    struct spinlock lock; /* outside the channels' and event channels' locks */
    struct domain *d;     /* NULL: nobody is served; lock: lock */
    u32 port;
    bool wrote; /* in the requests just served; lock: lock */
    struct launch_store store;
};

/* Once, with no guest started. */
void store_plan(const struct launch_plan *plan);
/* Serves a guest that is about to start, by this port of its own, till it is detached; the other ends of its channels
 * are told. */
int store_attach(u32 guest, struct domain *d, u32 *port);
/* From now on the domain is not touched. May be called again. */
void store_detach(u32 guest);

/* --- control.c: the control domain, by the options of the command line --- */
u64 control_memory(void); /* bytes */
u64 control_max_pages(u64 size);
u32 control_vcpus(void);
bool control_is_pinned(void); /* each vCPU to the CPU of its number */
/* It has the serial line and the screen, and no rings. */
void control_fill_start_info(struct start_info *si);

/* It ended, `how`: the host ends with it, as it did; after a report, if it did not end by itself. */
void control_ended(struct domain *d, const char *how) __noreturn;

/* --- build.c --- */
struct build_request {
    struct blob kernel, ramdisk;
    const char *command_line;
    u64 nr_pages;
    u32 flags;                     /* SIF_* */
    struct start_info *start_info; /* out: through the direct map; the event channels are still to be filled in */
};
/* Gives the new domain its memory and makes vCPU 0 ready to start. NULL, or a sentence. The console and store pages'
 * frames are in d->ring_mfn, held. */
const char *build_domain(struct domain *d, struct build_request *req);

#endif
