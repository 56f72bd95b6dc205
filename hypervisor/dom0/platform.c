// SPDX-License-Identifier: MIT
// platform_op: what the control domain asks of the machine as a whole: its CPUs, firmware, time of day, and sleep.
// Decode what it asks for, then do it; the structure goes back as a whole.
#include <pv/dom0.h>

#include <pv/boot.h>
#include <pv/console.h>
#include <pv/domain.h>
#include <pv/mm.h>
#include <pv/platform.h>

#include <xen/platform.h>

#define SLEEP_OFF 5 /* S5 */

static void tell_wallclock(struct domain *d, void *arg) {
    (void)arg;
    if (d->shared_info)
        time_update_wallclock(d);
}

/* At `system_time` (nanoseconds since boot) it was so many seconds since 1970. */
static long set_time(u64 secs, u32 nsecs, u64 system_time) {
    u64 ns = secs * TIME_SEC(1) + nsecs - system_time;

    if (nsecs >= TIME_SEC(1) || secs > UINT64_MAX / TIME_SEC(1) - 1)
        return -EINVAL;
    time_set_wallclock(ns / TIME_SEC(1), (u32)(ns % TIME_SEC(1)));
    domain_for_each(tell_wallclock, NULL);
    return 0;
}

static long set_time64(struct xen_platform_op *op) {
    const struct xenpf_settime64 *t = &op->u.settime64;

    return t->mbz ? -EINVAL : set_time(t->secs, t->nsecs, t->system_time);
}

static long set_time32(struct xen_platform_op *op) {
    const struct xenpf_settime32 *t = &op->u.settime32;

    return set_time(t->secs, t->nsecs, t->system_time);
}

static long get_cpu(struct xen_platform_op *op) {
    struct xenpf_pcpuinfo *info = &op->u.pcpu_info;

    if (info->xen_cpuid >= nr_cpus)
        return -EINVAL;
    info->max_present = nr_cpus - 1;
    info->flags = XEN_PCPU_FLAGS_ONLINE;
    info->apic_id = cpus[info->xen_cpuid]->apic_id;
    info->acpi_id = cpus[info->xen_cpuid]->acpi_id;
    return 0;
}

static long get_efi_info(struct xenpf_firmware_info *f) {
    union xenpf_efi_info *info = &f->u.efi_info;

    if (!boot_info.efi.nr_tables)
        return -ENOSYS;
    switch (f->index) {
    case XEN_FW_EFI_VERSION:
    case XEN_FW_EFI_RT_VERSION:
        info->version = boot_info.efi.version;
        return 0;
    case XEN_FW_EFI_CONFIG_TABLE:
        info->cfg.addr = boot_info.efi.tables;
        info->cfg.nent = boot_info.efi.nr_tables;
        return 0;
    default:
        return -EINVAL;
    }
}

/* What a BIOS would have told, nobody asked it: the loader's world is gone. */
static long get_firmware_info(struct xen_platform_op *op) {
    switch (op->u.firmware_info.type) {
    case XEN_FW_DISK_INFO:
    case XEN_FW_DISK_MBR_SIGNATURE:
    case XEN_FW_VBEDDC_INFO:
        return -ESRCH;
    case XEN_FW_KBD_SHIFT_FLAGS:
        op->u.firmware_info.u.kbd_shift_flags = 0;
        return 0;
    case XEN_FW_EFI_INFO:
        return get_efi_info(&op->u.firmware_info);
    default:
        return -EINVAL;
    }
}

static long enter_sleep(struct xen_platform_op *op) {
    if (op->u.enter_acpi_sleep.sleep_state != SLEEP_OFF)
        return -EOPNOTSUPP;
    printk("the control domain switches the machine off\n");
    console_drain();
    platform_power_off();
}

static long (*const handlers[])(struct xen_platform_op *op) = {
    [XENPF_settime32] = set_time32,         [XENPF_settime64] = set_time64,
    [XENPF_get_cpuinfo] = get_cpu,          [XENPF_firmware_info] = get_firmware_info,
    [XENPF_enter_acpi_sleep] = enter_sleep,
};

long dom0_platform_op(struct vcpu *v, gva_t at) {
    struct xen_platform_op op;
    long rc;

    (void)v;
    if (copy_from_guest(&op, at, sizeof(op)))
        return -EFAULT;
    if (op.interface_version != XENPF_INTERFACE_VERSION)
        return -EACCES;
    if (op.cmd >= ARRAY_SIZE(handlers) || !handlers[op.cmd])
        return -ENOSYS;
    rc = handlers[op.cmd](&op);
    return !rc && copy_to_guest(at, &op, sizeof(op)) ? -EFAULT : rc;
}
