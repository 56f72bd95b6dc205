/* SPDX-License-Identifier: MIT */
/*
 * The domain builder's parts: control operations, the kernel's image, memory and page tables, and the guest
 * they all work on.
 */
#ifndef BUILDER_H
#define BUILDER_H

#include <sdk/sdk.h>

struct guest {
    domid_t id;
    unsigned vcpus;
    unsigned long nr_pages;
    xen_pfn_t *mfns; /* p2m: pfn to mfn */
    uint8_t *memory; /* all its frames, mapped here while it is built */
    /* From the kernel's notes. */
    unsigned long virt_base, entry, hypercall_page;
    /* Pseudo-physical layout, in frames. */
    unsigned long image_end, p2m, start_info, store, console, tables, nr_tables, stack;
    unsigned console_port;
};

/* Control operations: 0 or a negative errno. */
long control_create(struct guest *guest, unsigned long max_pages);
long control_shared_info(const struct guest *guest, unsigned long *mfn);
long control_hypercall_page(const struct guest *guest, unsigned long mfn);
/* One range of RAM, from 0. */
long control_set_memory_map(const struct guest *guest);
long control_set_context(const struct guest *guest, struct vcpu_guest_context *ctxt);
long control_unpause(const struct guest *guest);
long control_set_weight(const struct guest *guest, unsigned weight);
/* ns that its vCPUs have run. */
uint64_t control_cpu_time(const struct guest *guest);
long control_destroy(const struct guest *guest);
/* True when the guest has ended, with its SHUTDOWN_ reason. */
bool control_has_ended(const struct guest *guest, unsigned *reason);

/* Makes the domain, with guest->vcpus and room for guest->nr_pages; then all that is in it. A check each; it stays
 * paused. */
bool build_create(struct guest *guest);
bool build_fill(struct guest *guest, const char *cmdline);

/* Copies the segments of an ELF image into guest->memory and reads its notes. */
bool image_load(struct guest *guest, const uint8_t *elf, size_t size);

/* Gets memory for the guest and maps it at guest->memory. */
long space_populate(struct guest *guest);
/* Lays out and writes p2m and page tables, once the image is in place. */
void space_layout(struct guest *guest);
/* Gives the guest's frames back from our address space, and pins its root. */
long space_release(struct guest *guest);
void *space_map_frame(const struct guest *guest, unsigned long va, unsigned long mfn);

static inline void *space_at(const struct guest *guest, unsigned long pfn) {
    return guest->memory + (pfn << PAGE_SHIFT);
}

#endif
