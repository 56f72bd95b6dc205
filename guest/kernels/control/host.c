// SPDX-License-Identifier: MIT
/* What the tools are told of the machine. */
#include "control.h"

static void check_pools(void), check_topology(void), check_devices(void), check_log(void), check_other_sysctls(void);

void check_host(void) {
    struct xen_sysctl_physinfo *p = &sop.u.physinfo;

    sclean();
    test_equal("host.physinfo", sysctl(XEN_SYSCTL_physinfo), 0);
    printf("INFO threads %u cores %u cpus %u max %u nodes %u max %u khz %u caps %x arch %x\n", p->threads_per_core,
           p->cores_per_socket, p->nr_cpus, p->max_cpu_id, p->nr_nodes, p->max_node_id, p->cpu_khz, p->capabilities,
           p->arch_capabilities);
    printf("INFO total %lu free %lu scrub %lu outstanding %lu max_mfn %lx\n", p->total_pages, p->free_pages,
           p->scrub_pages, p->outstanding_pages, p->max_mfn);
    printf("INFO caps %x %x %x %x %x %x %x %x\n", p->hw_cap[0], p->hw_cap[1], p->hw_cap[2], p->hw_cap[3], p->hw_cap[4],
           p->hw_cap[5], p->hw_cap[6], p->hw_cap[7]);
    test_equal("host.cpus", p->max_cpu_id, p->nr_cpus - 1);
    test_equal("host.nodes", p->nr_nodes, 1);
    test_check("host.pv", p->capabilities & XEN_SYSCTL_PHYSCAP_pv, "%x", p->capabilities);
    test_check("host.memory", p->free_pages < p->total_pages && p->total_pages <= p->max_mfn + 1, "%lu of %lu",
               p->free_pages, p->total_pages);
    sclean();
    test_equal("host.sched_id", sysctl(XEN_SYSCTL_sched_id), 0);
    test_equal("host.sched_id.credit2", sop.u.sched_id.sched_id, XEN_SCHEDULER_CREDIT2);
    check_pools();
    check_topology();
    check_devices();
    check_log();
    check_other_sysctls();
}

static unsigned bits_of(const uint8_t *map, unsigned bytes) {
    unsigned n = 0;

    for (unsigned i = 0; i < bytes * 8; i++)
        n += map[i / 8] >> i % 8 & 1;
    return n;
}

static struct xen_sysctl_cpupool_op *pool(unsigned cmd, uint8_t *map, unsigned bits) {
    struct xen_sysctl_cpupool_op *p = &sclean()->u.cpupool_op;

    p->op = cmd;
    p->cpumap.nr_bits = bits;
    set_xen_guest_handle(p->cpumap.bitmap, map);
    return p;
}

static long set_ratelimit(uint32_t us) {
    sclean()->u.scheduler_op.sched_id = XEN_SCHEDULER_CREDIT2;
    sop.u.scheduler_op.cmd = XEN_SYSCTL_SCHEDOP_putinfo;
    sop.u.scheduler_op.u.sched_credit2.ratelimit_us = us;
    return sysctl(XEN_SYSCTL_scheduler_op);
}

static void check_ratelimit(uint32_t before) {
    test_equal("host.ratelimit_short", set_ratelimit(XEN_SYSCTL_SCHED_RATELIMIT_MIN - 1), -XEN_EINVAL);
    test_equal("host.ratelimit_long", set_ratelimit(XEN_SYSCTL_SCHED_RATELIMIT_MAX + 1), -XEN_EINVAL);
    test_equal("host.ratelimit", set_ratelimit(700), 0);
    test_equal("host.ratelimit.now", sop.u.scheduler_op.u.sched_credit2.ratelimit_us, 700);
    test_equal("host.ratelimit_back", set_ratelimit(before), 0);
    sop.u.scheduler_op.cmd = 2;
    test_equal("host.ratelimit_other", sysctl(XEN_SYSCTL_scheduler_op), -XEN_EINVAL);
}

static void check_pools(void) {
    struct xen_sysctl_cpupool_op *p;
    uint8_t map[8];

    memset(map, 0xff, sizeof(map));
    p = pool(XEN_SYSCTL_CPUPOOL_OP_INFO, map, 64);
    p->cpupool_id = XEN_SYSCTL_CPUPOOL_PAR_ANY;
    test_equal("host.pool", sysctl(XEN_SYSCTL_cpupool_op), -XEN_ENOENT);
    p = pool(XEN_SYSCTL_CPUPOOL_OP_INFO, map, 64);
    test_equal("host.pool_0", sysctl(XEN_SYSCTL_cpupool_op), 0);
    test_equal("host.pool_0.id", p->cpupool_id, 0);
    test_equal("host.pool_0.sched", p->sched_id, XEN_SCHEDULER_CREDIT2);
    test_check("host.pool_0.domains", p->n_dom >= 1, "%u", p->n_dom);
    test_equal("host.pool_0.cpus", bits_of(map, 8), 2);
    p = pool(XEN_SYSCTL_CPUPOOL_OP_INFO, map, 64);
    p->cpupool_id = 1;
    test_equal("host.pool_1", sysctl(XEN_SYSCTL_cpupool_op), -XEN_ENOENT);
    pool(XEN_SYSCTL_CPUPOOL_OP_FREEINFO, map, 64);
    test_equal("host.pool_free", sysctl(XEN_SYSCTL_cpupool_op), 0);
    test_equal("host.pool_free.cpus", bits_of(map, 8), 0);
    sclean()->u.scheduler_op.sched_id = XEN_SCHEDULER_CREDIT2;
    sop.u.scheduler_op.cmd = XEN_SYSCTL_SCHEDOP_getinfo;
    test_equal("host.scheduler", sysctl(XEN_SYSCTL_scheduler_op), 0);
    check_ratelimit(sop.u.scheduler_op.u.sched_credit2.ratelimit_us);
}

#define NR_DEVICES 300

/* It is told of two; then it is asked about all of two buses, in as many calls as it takes. */
static void check_devices(void) {
    static physdev_pci_device_t dev[NR_DEVICES];
    static uint32_t node[NR_DEVICES];
    struct physdev_pci_device_add add = {.devfn = 0}, other = {.bus = 1, .devfn = 43};
    unsigned done = 0, calls = 0;
    long rc = hypercall2(__HYPERVISOR_physdev_op, PHYSDEVOP_pci_device_add, &add);

    test_equal("host.device_told", rc, 0);
    test_equal("host.device_told_of_other", hypercall2(__HYPERVISOR_physdev_op, PHYSDEVOP_pci_device_add, &other), 0);
    for (unsigned i = 0; i < NR_DEVICES; i++)
        dev[i] = (physdev_pci_device_t){.bus = i >> 8, .devfn = i & 0xff};
    while (!rc && done < NR_DEVICES && calls++ < NR_DEVICES) {
        sclean()->u.pcitopoinfo.num_devs = NR_DEVICES - done;
        set_xen_guest_handle(sop.u.pcitopoinfo.devs, dev + done);
        set_xen_guest_handle(sop.u.pcitopoinfo.nodes, node + done);
        rc = sysctl(XEN_SYSCTL_pcitopoinfo);
        done += sop.u.pcitopoinfo.num_devs;
    }
    test_check("host.devices", !rc && done == NR_DEVICES, "%ld after %u", rc, done);
    test_equal("host.devices.bridge", node[0], XEN_INVALID_NODE_ID);
    test_equal("host.devices.unknown", node[1], XEN_INVALID_DEV);
    test_equal("host.devices.last", node[299], XEN_INVALID_NODE_ID);
}

static void check_topology(void) {
    static struct xen_sysctl_cputopo topo[8];
    static struct xen_sysctl_meminfo memory[2];
    static uint32_t distance[4];

    sclean();
    test_equal("host.topology_size", sysctl(XEN_SYSCTL_cputopoinfo), 0);
    printf("INFO cputopo %u\n", sop.u.cputopoinfo.num_cpus);
    sclean()->u.cputopoinfo.num_cpus = 8;
    set_xen_guest_handle(sop.u.cputopoinfo.cputopo, topo);
    test_equal("host.topology", sysctl(XEN_SYSCTL_cputopoinfo), 0);
    test_equal("host.topology.cpus", sop.u.cputopoinfo.num_cpus, 2);
    printf("INFO topo %u %u %u, %u %u %u\n", topo[0].core, topo[0].socket, topo[0].node, topo[1].core, topo[1].socket,
           topo[1].node);
    sclean();
    test_equal("host.numa_size", sysctl(XEN_SYSCTL_numainfo), 0);
    printf("INFO numa %u\n", sop.u.numainfo.num_nodes);
    sclean()->u.numainfo.num_nodes = 2;
    set_xen_guest_handle(sop.u.numainfo.meminfo, memory);
    set_xen_guest_handle(sop.u.numainfo.distance, distance);
    test_equal("host.numa", sysctl(XEN_SYSCTL_numainfo), 0);
    test_equal("host.numa.nodes", sop.u.numainfo.num_nodes, 1);
    test_equal("host.numa.distance", distance[0], 10);
    test_check("host.numa.memory", memory[0].memsize >= memory[0].memfree && memory[0].memfree, "%lu %lu",
               memory[0].memsize, memory[0].memfree);
}

static void check_log(void) {
    static char text[512], key = 'h';
    struct xen_sysctl_readconsole *r = &sop.u.readconsole;

    sclean();
    r->count = 64;
    set_xen_guest_handle(r->buffer, text);
    test_equal("host.log", sysctl(XEN_SYSCTL_readconsole), 0);
    test_equal("host.log.count", r->count, 64);
    printf("INFO log index %u\n", r->index);
    r->incremental = 1;
    r->count = 64;
    test_equal("host.log_next", sysctl(XEN_SYSCTL_readconsole), 0);
    test_equal("host.log_next.count", r->count, 64);
    printf("INFO log index %u\n", r->index);
    sclean()->u.debug_keys.nr_keys = 1;
    set_xen_guest_handle(sop.u.debug_keys.keys, &key);
    test_equal("host.debug_key", sysctl(XEN_SYSCTL_debug_keys), 0);
}

static void refused(const char *name, uint32_t cmd, long expected) {
    sclean();
    test_equal(name, sysctl(cmd), expected);
}

static void check_other_sysctls(void) {
    static struct xen_sysctl_cpuinfo info[4];
    uint64_t before;

    sclean()->u.getcpuinfo.max_cpus = 4;
    set_xen_guest_handle(sop.u.getcpuinfo.info, info);
    test_equal("host.cpuinfo", sysctl(XEN_SYSCTL_getcpuinfo), 0);
    test_equal("host.cpuinfo.count", sop.u.getcpuinfo.nr_cpus, 2);
    before = info[0].idletime + info[1].idletime;
    clock_sleep(20 * MILLISECOND);
    test_equal("host.cpuinfo_later", sysctl(XEN_SYSCTL_getcpuinfo), 0);
    test_check("host.cpuinfo_later.idle", info[0].idletime + info[1].idletime > before, "%lu", before);
    sclean()->u.availheap.node = -1;
    test_equal("host.available", sysctl(XEN_SYSCTL_availheap), 0);
    test_check("host.available.bytes", sop.u.availheap.avail_bytes > 0, "none");
    sclean();
    test_equal("host.levelling", sysctl(XEN_SYSCTL_get_cpu_levelling_caps), 0);
    printf("INFO levelling %x\n", sop.u.cpu_levelling_caps.caps);
    refused("host.perfc", XEN_SYSCTL_perfc_op, -XEN_ENOSYS);
    sclean();
    printf("INFO trace buffers %ld\n", sysctl(XEN_SYSCTL_tbuf_op));
    refused("host.lockprof", XEN_SYSCTL_lockprof_op, -XEN_ENOSYS);
    refused("host.coverage", XEN_SYSCTL_coverage_op, -XEN_EOPNOTSUPP);
    refused("host.pmstat", XEN_SYSCTL_get_pmstat, -XEN_ENODEV);
    refused("host.pm", XEN_SYSCTL_pm_op, -XEN_ENOSYS);
    refused("host.psr", XEN_SYSCTL_psr_cmt_op, -XEN_ENODEV);
    refused("host.psr_alloc", XEN_SYSCTL_psr_alloc, -XEN_ENODEV);
}
