// SPDX-License-Identifier: MIT
/*
 * Hypercall numbers and sub-operations that no other area uses, with arguments that do no harm: the result of each, as
 * a domain without privileges gets it. The list was taken from the ABI headers, the results from Xen 4.17.
 */
#include "basics.h"

#include <xen/nmi.h>
#include <xen/physdev.h>

#define CALL(label, nr, a, b, c, d, want)                                                                              \
    { label, nr, {ARG(a), ARG(b), ARG(c), ARG(d)}, want }
#define BAD 0x6000UL /* not mapped */
#define EXT(cmd) &exts[cmd]
#define EXT_COUNT 22

static uint64_t zeros[128], ones[128];
static struct mmuext_op exts[EXT_COUNT]; /* each command with a frame beyond memory */
static struct vcpu_register_runstate_memory_area reserved;
static struct sched_remote_shutdown dom77 = {.domain_id = 77};
static struct xen_vnuma_topology_info vnuma = {.domid = DOMID_SELF};
static struct sched_poll many = {.nr_ports = 4096};
static struct sched_watchdog watch3 = {.id = 3, .timeout = 9}, watch2 = {.id = 2, .timeout = 9}, watch_new = {0, 900},
                             watch_stop1 = {1, 0}, watch_stop2 = {2, 0};
static struct callback_register cb1 = {.type = 1}, cb6 = {.type = 6}, cb9 = {.type = 9};
static uint32_t compat5[32] = {EVTCHNOP_status, DOMID_SELF}, compat6[32] = {6},
                compat9[32] = {9, 0xffffffff, 0xffffffff}, compat77[32] = {77};
static struct physdev_set_iobitmap bitmap_long = {.nr_ports = 65537};
static struct xennmi_callback noncanon = {.handler_address = 1UL << 63};
static struct trap_info trapnc[2] = {{.vector = 77, .address = 1UL << 63}};

static const struct call {
    const char *name;
    unsigned nr;
    unsigned long arg[4];
    long expected;
} calls[] = {
#include "calls.inc"
};

static void prepare(void) {
    for (unsigned i = 0; i < EXT_COUNT; i++)
        exts[i] = (struct mmuext_op){.cmd = i, .arg1.mfn = 0xfffffffff};
    memset(zeros, 0, sizeof(zeros));
    memset(ones, 0xff, sizeof(ones));
    reserved.addr.v = (void *)(HYPERVISOR_VIRT_START + 0x1000);
}

void check_calls(void) {
    if (is_privileged()) {
        test_skip("calls", "these are the results of a domain without privileges");
        return;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(calls); i++) {
        const struct call *c = &calls[i];

        prepare();
        test_equal(c->name, hypercall4(c->nr, c->arg[0], c->arg[1], c->arg[2], c->arg[3]), c->expected);
    }
}
