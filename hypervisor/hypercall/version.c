// SPDX-License-Identifier: MIT
// xen_version: what this is. Guests see the ABI version 4.17 with our own name in the extra version.
#include "internal.h"

#include <pv/boot.h>
#include <pv/gate.h>

#define ABI_MAJOR 4
#define ABI_MINOR 17
_Static_assert(GATE_VERSION == (ABI_MAJOR << 16 | ABI_MINOR), "gate.h");

static long put(u64 to, const void *from, size_t n) {
    return copy_to_guest(gva(to), from, n) ? -EFAULT : 0;
}

static long put_text(u64 to, const char *text, size_t size) {
    char buf[1024];

    memset(buf, 0, sizeof(buf));
    strlcpy(buf, text, MIN(size, sizeof(buf)));
    return put(to, buf, size);
}

static long compile_info(u64 to) {
    struct xen_compile_info info;

    memset(&info, 0, sizeof(info));
    strlcpy(info.compiler, __VERSION__, sizeof(info.compiler));
    strlcpy(info.compile_by, "paravane", sizeof(info.compile_by));
    return put(to, &info, sizeof(info));
}

static u32 features(void) {
    return 1u << XENFEAT_pae_pgdir_above_4gb | 1u << XENFEAT_mmu_pt_update_preserve_ad |
           1u << XENFEAT_gnttab_map_avail_bits | 1u << XENFEAT_writable_page_tables |
           1u << XENFEAT_memory_op_vnode_supported;
}

static long get_features(u64 at) {
    struct xen_feature_info info;

    if (copy_from_guest(&info, gva(at), sizeof(info)))
        return -EFAULT;
    if (info.submap_idx)
        return -EINVAL;
    info.submap = features();
    return put(at, &info, sizeof(info));
}

/* arg: command, structure */
long hc_xen_version(struct vcpu *v, u64 *arg) {
    xen_platform_parameters_t parameters = {.virt_start = 0xffff800000000000ul};

    switch ((u32)arg[0]) {
    case XENVER_version:
        return ABI_MAJOR << 16 | ABI_MINOR;
    case XENVER_extraversion:
        return put_text(arg[1], ".0-paravane", sizeof(xen_extraversion_t));
    case XENVER_compile_info:
        return compile_info(arg[1]);
    case XENVER_capabilities:
        return put_text(arg[1], "xen-3.0-x86_64 ", sizeof(xen_capabilities_info_t));
    case XENVER_changeset:
        return put_text(arg[1], "paravane " PARAVANE_VERSION, sizeof(xen_changeset_info_t));
    case XENVER_platform_parameters:
        return put(arg[1], &parameters, sizeof(parameters));
    case XENVER_get_features:
        return get_features(arg[1]);
    case XENVER_pagesize:
        return arg[1] ? -EINVAL : (long)PAGE_SIZE;
    case XENVER_guest_handle:
        return put(arg[1], v->domain->handle, sizeof(v->domain->handle));
    case XENVER_commandline:
        return put_text(arg[1], v->domain->privileged ? boot_info.command_line : "<denied>", sizeof(xen_commandline_t));
    case XENVER_build_id:
        return v->domain->privileged ? -ENODATA : -EPERM;
    default:
        return -ENOSYS;
    }
}
