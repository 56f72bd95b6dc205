// SPDX-License-Identifier: MIT
/*
 * Background: the ABI's other half belongs to the control domain. A kernel that does its work shows both
 *   halves together, and gives every other test kernel an unprivileged domain to run in.
 * Scenario: build a domain from the kernel in the ramdisk, with `memory=<MiB>` and `vcpus=<n>`; all that
 *   follows `--` is its command line. Print what comes through its console, each line behind "| ", until it
 *   ends. `expect=poweroff|reboot|crash` says how it should.
 * Good: the guest's own RESULT line, and it ends as expected. Bad: any refusal while building, or silence.
 */
#include "builder.h"

#include <xen/io/console.h>

const char kernel_name[] = "builder";

#define SHARED_INFO_VA (SCRATCH_VA + (8UL << 30))

static struct guest guest;
static struct vcpu_guest_context ctxt;

static const char *guest_cmdline(void) {
    for (const char *at = (const char *)start_info->cmd_line; *at; at++)
        if (!strncmp(at, "-- ", 3))
            return at + 3;
    return "";
}

static unsigned long virt(unsigned long pfn) {
    return guest.virt_base + (pfn << PAGE_SHIFT);
}

static bool write_shared_info(void) {
    struct shared_info *info;
    unsigned long mfn;

    if (control_shared_info(&guest, &mfn))
        return false;
    info = space_map_frame(&guest, SHARED_INFO_VA, mfn);
    if (!info)
        return false;
    for (unsigned i = 0; i < XEN_LEGACY_MAX_VCPUS; i++)
        info->vcpu_info[i].evtchn_upcall_mask = 1;
    pt_unmap(SHARED_INFO_VA);
    return true;
}

static bool write_start_info(void) {
    struct start_info *si = space_at(&guest, guest.start_info);
    unsigned long shared_mfn;
    long port = event_alloc_unbound(guest.id, DOMID_SELF);

    if (port < 0 || control_shared_info(&guest, &shared_mfn))
        return false;
    string_copy(si->magic, "xen-3.0-x86_64", sizeof(si->magic));
    string_copy((char *)si->cmd_line, guest_cmdline(), sizeof(si->cmd_line));
    si->nr_pages = guest.nr_pages;
    si->shared_info = shared_mfn << PAGE_SHIFT;
    si->store_mfn = guest.mfns[guest.store];
    si->store_evtchn = (uint32_t)event_alloc_unbound(guest.id, DOMID_SELF);
    si->console.domU.mfn = guest.mfns[guest.console];
    si->console.domU.evtchn = (uint32_t)port;
    si->pt_base = virt(guest.tables);
    si->nr_pt_frames = guest.nr_tables;
    si->mfn_list = virt(guest.p2m);
    port = event_bind_interdomain(guest.id, (unsigned)port);
    guest.console_port = (unsigned)port;
    return port > 0;
}

static void fill_context(void) {
    ctxt.flags = VGCF_in_kernel | VGCF_online;
    ctxt.user_regs.rip = guest.entry;
    ctxt.user_regs.rsp = virt(guest.stack) + PAGE_SIZE;
    ctxt.user_regs.rsi = virt(guest.start_info);
    ctxt.user_regs.rflags = RFLAGS_IF;
    ctxt.user_regs.cs = FLAT_KERNEL_CS;
    ctxt.user_regs.ss = FLAT_KERNEL_SS;
    ctxt.kernel_ss = FLAT_KERNEL_SS;
    ctxt.kernel_sp = ctxt.user_regs.rsp;
    ctxt.ctrlreg[3] = xen_pfn_to_cr3(guest.mfns[guest.tables]);
}

static bool build(void) {
    const uint8_t *elf = (const uint8_t *)start_info->mod_start;

    if (!test_equal("build.create", control_create(&guest, guest.nr_pages + 16), 0) ||
        !test_equal("build.memory_map", control_set_memory_map(&guest), 0) ||
        !test_equal("build.populate", space_populate(&guest), 0) ||
        !test_check("build.image", image_load(&guest, elf, start_info->mod_len), "not a kernel this can load"))
        return false;
    space_layout(&guest);
    fill_context();
    return test_check("build.shared_info", write_shared_info(), "refused") &&
           test_check("build.start_info", write_start_info(), "refused") &&
           test_equal(
               "build.hypercall_page",
               control_hypercall_page(&guest, guest.mfns[(guest.hypercall_page - guest.virt_base) >> PAGE_SHIFT]), 0) &&
           test_equal("build.pin", space_release(&guest), 0) &&
           test_equal("build.context", control_set_context(&guest, &ctxt), 0) &&
           test_equal("build.unpause", control_unpause(&guest), 0);
}

static void put_char(char c) {
    static char line[256];
    static size_t n;

    if (c != '\n')
        line[n++] = c;
    if (c == '\n' || n == sizeof(line) - 1) {
        line[n] = 0;
        printf("| %s\n", line);
        n = 0;
    }
}

static void drain_console(void) {
    volatile struct xencons_interface *ring = space_at(&guest, guest.console);
    uint32_t cons = ring->out_cons, prod = __atomic_load_n(&ring->out_prod, __ATOMIC_ACQUIRE);

    if (cons == prod || prod - cons > sizeof(ring->out))
        return;
    while (cons != prod)
        put_char(ring->out[MASK_XENCONS_IDX(cons++, ring->out)]);
    __atomic_store_n(&ring->out_cons, cons, __ATOMIC_RELEASE);
    event_send(guest.console_port);
}

static const char *reason_name(unsigned reason) {
    static const char *const names[] = {"poweroff", "reboot", "suspend", "crash", "watchdog"};

    return reason < ARRAY_SIZE(names) ? names[reason] : "unknown";
}

void kernel_main(void) {
    char expected[16] = "poweroff";
    unsigned reason = 0;

    if (!is_control_domain() || !start_info->mod_len) {
        test_skip("builder", "this needs a privileged domain, and a kernel as its ramdisk");
        return;
    }
    cmdline_value("expect", expected, sizeof(expected));
    guest.vcpus = (unsigned)cmdline_number("vcpus", 1);
    guest.nr_pages = cmdline_number("memory", 32) << (20 - PAGE_SHIFT);
    if (!build())
        return;
    do {
        drain_console();
        clock_sleep(MILLISECOND);
    } while (!control_has_ended(&guest, &reason));
    drain_console();
    test_check("guest.ended", !strcmp(reason_name(reason), expected), "ended by %s", reason_name(reason));
    pt_unmap(ARG(space_at(&guest, guest.console)));
    test_equal("guest.destroy", control_destroy(&guest), 0);
}
