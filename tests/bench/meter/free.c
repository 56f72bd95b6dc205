// SPDX-License-Identifier: MIT
/* Pages that the hypervisor has left, by the hypercall behind `xl info`, which only tells whole MiB. */
#include "meter.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#define __XEN_TOOLS__
#include <xen/sysctl.h>
#include <xen/xen.h>

struct privcmd_hypercall {
    uint64_t op, arg[5];
};
#define IOCTL_PRIVCMD_HYPERCALL _IOC(_IOC_NONE, 'P', 0, sizeof(struct privcmd_hypercall))

int free_main(char **argv) {
    static struct xen_sysctl op __attribute__((aligned(4096)));
    struct privcmd_hypercall call = {.op = __HYPERVISOR_sysctl, .arg = {(uintptr_t)&op}};
    int fd = open("/dev/xen/privcmd", O_RDWR);

    (void)argv;
    op.cmd = XEN_SYSCTL_physinfo;
    op.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    if (fd < 0 || mlock(&op, sizeof(op)) || ioctl(fd, IOCTL_PRIVCMD_HYPERCALL, &call))
        fail("physinfo");
    printf("free %llu pages\n", (unsigned long long)op.u.physinfo.free_pages);
    return 0;
}
