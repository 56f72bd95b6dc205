// SPDX-License-Identifier: MIT
/*
 * One domain from nothing, in the order in which tools do it: created, its memory filled, its tables pinned, its
 * vCPU's context set. It is left paused. Its console's frame stays mapped, where space_at() says.
 */
#include "builder.h"

#define SHARED_INFO_VA (SCRATCH_VA + (8UL << 30))

static struct vcpu_guest_context ctxt;

static unsigned long virt(const struct guest *guest, unsigned long pfn) {
    return guest->virt_base + (pfn << PAGE_SHIFT);
}

static bool write_shared_info(const struct guest *guest) {
    struct shared_info *info;
    unsigned long mfn;

    if (control_shared_info(guest, &mfn))
        return false;
    info = space_map_frame(guest, SHARED_INFO_VA, mfn);
    if (!info)
        return false;
    for (unsigned i = 0; i < XEN_LEGACY_MAX_VCPUS; i++)
        info->vcpu_info[i].evtchn_upcall_mask = 1;
    pt_unmap(SHARED_INFO_VA);
    return true;
}

static bool write_start_info(struct guest *guest, const char *cmdline) {
    struct start_info *si = space_at(guest, guest->start_info);
    unsigned long shared_mfn;
    long port = event_alloc_unbound(guest->id, DOMID_SELF);

    if (port < 0 || control_shared_info(guest, &shared_mfn))
        return false;
    string_copy(si->magic, "xen-3.0-x86_64", sizeof(si->magic));
    string_copy((char *)si->cmd_line, cmdline, sizeof(si->cmd_line));
    si->nr_pages = guest->nr_pages;
    si->shared_info = shared_mfn << PAGE_SHIFT;
    si->store_mfn = guest->mfns[guest->store];
    si->store_evtchn = (uint32_t)event_alloc_unbound(guest->id, DOMID_SELF);
    si->console.domU.mfn = guest->mfns[guest->console];
    si->console.domU.evtchn = (uint32_t)port;
    si->pt_base = virt(guest, guest->tables);
    si->nr_pt_frames = guest->nr_tables;
    si->mfn_list = virt(guest, guest->p2m);
    port = event_bind_interdomain(guest->id, (unsigned)port);
    guest->console_port = (unsigned)port;
    return port > 0;
}

static void fill_context(const struct guest *guest) {
    ctxt.flags = VGCF_in_kernel | VGCF_online;
    ctxt.user_regs.rip = guest->entry;
    ctxt.user_regs.rsp = virt(guest, guest->stack) + PAGE_SIZE;
    ctxt.user_regs.rsi = virt(guest, guest->start_info);
    ctxt.user_regs.rflags = RFLAGS_IF;
    ctxt.user_regs.cs = FLAT_KERNEL_CS;
    ctxt.user_regs.ss = FLAT_KERNEL_SS;
    ctxt.kernel_ss = FLAT_KERNEL_SS;
    ctxt.kernel_sp = ctxt.user_regs.rsp;
    ctxt.ctrlreg[3] = xen_pfn_to_cr3(guest->mfns[guest->tables]);
}

bool build_create(struct guest *guest) {
    return test_equal("build.create", control_create(guest, guest->nr_pages + 16), 0) &&
           test_equal("build.memory_map", control_set_memory_map(guest), 0);
}

bool build_fill(struct guest *guest, const char *cmdline) {
    const uint8_t *elf = (const uint8_t *)start_info->mod_start;

    if (!test_equal("build.populate", space_populate(guest), 0) ||
        !test_check("build.image", image_load(guest, elf, start_info->mod_len), "not a kernel this can load"))
        return false;
    space_layout(guest);
    fill_context(guest);
    return test_check("build.shared_info", write_shared_info(guest), "refused") &&
           test_check("build.start_info", write_start_info(guest, cmdline), "refused") &&
           test_equal(
               "build.hypercall_page",
               control_hypercall_page(guest, guest->mfns[(guest->hypercall_page - guest->virt_base) >> PAGE_SHIFT]),
               0) &&
           test_equal("build.pin", space_release(guest), 0) &&
           test_equal("build.context", control_set_context(guest, &ctxt), 0);
}
