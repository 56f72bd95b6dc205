// SPDX-License-Identifier: MIT
/*
 * Background: a hypercall that runs out of memory half way must undo what it did.
 * Scenario: every hypercall for which the hypervisor allocates, each done again until it succeeds. Started on a debug
 *   build with failalloc=N, where one allocation in N fails; `failures=1` says so.
 * Good: a failure is told of by the errno for it, changes nothing that can be asked for, and the next try may succeed.
 * Bad: another errno, a partial result, a hypervisor that loses memory, or one that panics.
 */
#include <sdk/sdk.h>

const char kernel_name[] = "scarce";

#define TRIES 50
#define PORTS 300 /* more than two of the hypervisor's pieces of the table */
#define MAPS 300
#define REF 20
#define MAP_VA (SCRATCH_VA + 0x400000)

static unsigned long refused;

static long current(void) {
    domid_t self = DOMID_SELF;

    return hv_memory_op(XENMEM_current_reservation, &self);
}

static struct xen_memory_reservation reservation(xen_pfn_t *frames, unsigned n, unsigned order) {
    struct xen_memory_reservation r = {.nr_extents = n, .extent_order = order, .domid = DOMID_SELF};

    set_xen_guest_handle(r.extent_start, frames);
    return r;
}

/* n pages of ours without a mapping, by pfn and mfn. */
static void take_pages(unsigned n, xen_pfn_t *pfn, xen_pfn_t *mfn) {
    for (unsigned i = 0; i < n; i++) {
        void *page = page_alloc();

        pfn[i] = virt_to_pfn(page);
        mfn[i] = pfn_to_mfn(pfn[i]);
        hv_update_va_mapping(ARG(page), 0, UVMF_INVLPG | UVMF_ALL);
    }
}

/* Each extent is a step of its own: what was done stays done, and the count says how many. */
static void check_populate(unsigned cmd, const char *name) {
    xen_pfn_t pfn[16], frame[16];
    struct xen_memory_reservation r;
    long before = current(), done = 0, bad = 0;

    take_pages(16, pfn, frame);
    r = reservation(frame, 16, 0);
    test_equal("scarce.decrease", hv_memory_op(XENMEM_decrease_reservation, &r), 16);
    for (unsigned tries = 0; done < 16 && tries < TRIES; tries++) {
        long n;

        memcpy(frame, pfn, sizeof(frame));
        r = reservation(frame + done, 16 - (unsigned)done, 0);
        n = hv_memory_op(cmd, &r);
        refused += n < 16 - done;
        bad += n < 0 || n > 16 - done || current() != before - 16 + done + n;
        done += n;
    }
    test_check(name, done == 16 && !bad && current() == before, "%ld of 16, %ld bad, %ld frames of %ld", done, bad,
               current(), before);
}

/* All of a chunk or nothing. */
static void check_exchange(void) {
    xen_pfn_t pfn[4], in[4], out;
    long before = current(), rc = -1, bad = 0;

    take_pages(4, pfn, in);
    for (unsigned tries = 0; rc && tries < TRIES; tries++) {
        struct xen_memory_exchange x = {.in = reservation(in, 4, 0), .out = reservation(&out, 1, 2)};

        out = pfn[0];
        rc = hv_memory_op(XENMEM_exchange, &x);
        refused += rc != 0;
        bad += rc && (rc != -XEN_ENOMEM || x.nr_exchanged);
        for (unsigned i = 0; rc && i < 4; i++)
            bad += mfn_to_pfn(in[i]) != pfn[i];
        bad += current() != before;
    }
    test_check("scarce.exchange", !rc && !bad, "rc %ld, %ld bad", rc, bad);
}

static void check_ports(void) {
    static unsigned ports[PORTS];
    long port, bad = 0;

    for (unsigned i = 0, tries = 0; i < PORTS && tries < PORTS + TRIES; tries++) {
        port = event_alloc_unbound(DOMID_SELF, 1);
        refused += port < 0;
        bad += port < 0 && port != -XEN_ENOMEM;
        if (port > 0)
            ports[i++] = (unsigned)port;
    }
    for (unsigned i = 0; i < PORTS; i++)
        bad += !ports[i] || event_close(ports[i]);
    test_check("scarce.ports", !bad, "%ld bad", bad);
}

static unsigned grant_frames(void) {
    struct gnttab_query_size size = {.dom = DOMID_SELF};

    hv_grant_table_op(GNTTABOP_query_size, &size, 1);
    return size.nr_frames;
}

/* All new frames or none. */
static void check_grant_frames(void) {
    xen_pfn_t list[8];
    long bad = 0;

    for (unsigned n = 2, tries = 0; n <= 8 && tries < TRIES; tries++) {
        struct gnttab_setup_table setup = {.dom = DOMID_SELF, .nr_frames = n};
        unsigned before = grant_frames();

        set_xen_guest_handle(setup.frame_list, list);
        bad += hv_grant_table_op(GNTTABOP_setup_table, &setup, 1) != 0;
        refused += setup.status != GNTST_okay;
        bad += grant_frames() != (setup.status == GNTST_okay ? (n > before ? n : before) : before);
        n += setup.status == GNTST_okay ? 3 : 0;
    }
    test_check("scarce.grant_frames", !bad && grant_frames() >= 8, "%ld bad, %u frames", bad, grant_frames());
}

static int16_t map(domid_t self, unsigned long va, uint32_t *handle) {
    struct gnttab_map_grant_ref op = {.host_addr = va, .flags = GNTMAP_host_map, .ref = REF, .dom = self};

    hv_grant_table_op(GNTTABOP_map_grant_ref, &op, 1);
    *handle = op.handle;
    return op.status;
}

static int16_t unmap(unsigned long va, uint32_t handle) {
    struct gnttab_unmap_grant_ref op = {.host_addr = va, .handle = handle};

    hv_grant_table_op(GNTTABOP_unmap_grant_ref, &op, 1);
    return op.status;
}

/* A domain is not told its number: the grant is offered to one after the other. */
static domid_t find_self(unsigned long mfn) {
    uint32_t handle;

    for (domid_t id = 0; id < 256; id++)
        for (unsigned tries = 0; tries < 4; tries++) {
            grant_access(REF, id, mfn, false);
            if (map(id, MAP_VA, &handle) == GNTST_okay) {
                unmap(MAP_VA, handle);
                return id;
            }
        }
    return DOMID_INVALID;
}

static void check_maps(void) {
    static uint32_t handles[MAPS];
    void *page = page_alloc();
    int16_t status;
    domid_t self;
    long bad = 0;

    for (unsigned tries = 0; !grant_init(1, &status) && tries < TRIES; tries++)
        refused++;
    pt_make(MAP_VA);
    self = find_self(virt_to_mfn(page));
    for (unsigned i = 0, tries = 0; i < MAPS && tries < MAPS + TRIES; tries++) {
        status = map(self, MAP_VA + i * PAGE_SIZE, &handles[i]);
        refused += status != GNTST_okay;
        bad += status != GNTST_okay && status != GNTST_no_space;
        bad += (*pt_entry(MAP_VA + i * PAGE_SIZE, 1) & PTE_P) != (status == GNTST_okay ? PTE_P : 0);
        i += status == GNTST_okay;
    }
    for (unsigned i = 0; i < MAPS; i++)
        bad += unmap(MAP_VA + i * PAGE_SIZE, handles[i]) != GNTST_okay;
    test_check("scarce.maps", !bad && grant_end(REF), "%ld bad", bad);
}

static volatile unsigned came_up;

static void second(void *arg) {
    (void)arg;
    came_up = 1;
}

static void check_vcpu(void) {
    long rc = -1, bad = 0;

    if (cpu_count_possible() < 2) {
        test_skip("scarce.vcpu", "one vCPU only");
        return;
    }
    for (unsigned tries = 0; rc && tries < TRIES; tries++) {
        rc = cpu_start(1, second, NULL);
        refused += rc != 0;
        bad += rc && rc != -XEN_ENOMEM;
        bad += rc && hv_vcpu_op(VCPUOP_is_up, 1, NULL) != 0;
    }
    for (unsigned tries = 0; !came_up && tries < 1000; tries++)
        clock_sleep(10 * MILLISECOND);
    test_check("scarce.vcpu", !rc && came_up && !bad, "rc %ld, %ld bad", rc, bad);
}

void kernel_main(void) {
    check_populate(XENMEM_populate_physmap, "scarce.populate");
    check_populate(XENMEM_increase_reservation, "scarce.increase");
    for (unsigned i = 0; i < 4; i++)
        check_exchange();
    check_ports();
    check_grant_frames();
    check_maps();
    check_vcpu();
    printf("INFO refused=%lu\n", refused);
    if (cmdline_number("failures", 0))
        test_check("scarce.failures", refused >= 5, "%lu", refused);
    else
        test_equal("scarce.no_failures", (long)refused, 0);
}
