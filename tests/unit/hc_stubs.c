// SPDX-License-Identifier: MIT
/* What the handlers of hypercalls ask of rooms that the tests of memory, grants and events leave out: nothing happens.
 */
#include "host.h"
#include <pv/boot.h>
#include <pv/console.h>
#include <pv/control.h>
#include <pv/dom0.h>
#include <pv/gate.h>
#include <pv/run.h>
#include <pv/sched.h>
#include <pv/time.h>
#include <pv/trap.h>

#define WEAK __attribute__((weak))

WEAK struct boot_info boot_info;

/* --- the CPU --- */
WEAK void x86_set_ts(bool on) {
    (void)on;
}
WEAK void x86_set_segment_base(struct vcpu *v, unsigned which, u64 base) {
    (void)v, (void)which, (void)base;
}
WEAK void x86_load_user_gs(u16 selector) {
    (void)selector;
}
WEAK void x86_load_debug_registers(struct vcpu *v) {
    (void)v;
}
WEAK bool x86_segment_rights(u16 selector, u32 *rights) {
    (void)selector, (void)rights;
    return false;
}

WEAK void gate_put_kernel_sp(struct vcpu *v, u64 sp) {
    (void)v, (void)sp;
}

/* --- the machine, for the control domain --- */
WEAK long dom0_physdev_op(struct vcpu *v, u64 cmd, gva_t at) {
    (void)v, (void)cmd, (void)at;
    return -ENOSYS;
}
WEAK long dom0_platform_op(struct vcpu *v, gva_t at) {
    (void)v, (void)at;
    return -ENOSYS;
}
WEAK long dom0_machine_memory_map(struct vcpu *v, gva_t at) {
    (void)v, (void)at;
    return -ENOSYS;
}

/* --- traps --- */
WEAK void trap_inject(struct vcpu *v, u8 vector, u32 error_code) {
    (void)v, (void)vector, (void)error_code;
}
WEAK void trap_set_mode(struct vcpu *v, bool kernel) {
    v->kernel_mode = kernel;
}

/* --- console, scheduler --- */
WEAK void console_guest_write(struct domain *d, const char *buf, size_t n) {
    (void)d, (void)buf, (void)n;
}
WEAK size_t console_guest_read(struct domain *d, char *buf, size_t n) {
    (void)d, (void)buf, (void)n;
    return 0;
}
WEAK void sched_yield_entity(struct sched_entity *e, u64 now) {
    (void)e, (void)now;
}
WEAK void domain_shutdown(struct domain *d, u8 code) {
    d->shutdown_code = code;
    d->dying = true;
}

/* --- the control domain --- */
WEAK long control_domctl(struct vcpu *v, gva_t at) {
    (void)v, (void)at;
    return -ENOSYS;
}
WEAK long control_sysctl(struct vcpu *v, gva_t at) {
    (void)v, (void)at;
    return -ENOSYS;
}

/* --- time --- */
WEAK void timer_init(struct timer *t, void (*fn)(void *arg), void *arg) {
    *t = (struct timer){.fn = fn, .arg = arg};
}
WEAK void timer_set(struct timer *t, u32 cpu, u64 expires_ns) {
    (void)t, (void)cpu, (void)expires_ns;
}
WEAK void timer_cancel(struct timer *t) {
    (void)t;
}
WEAK void time_update_vcpu(struct vcpu *v) {
    (void)v;
}
WEAK int time_vcpu_set_singleshot(struct vcpu *v, u64 abs_ns, u32 flags) {
    (void)v, (void)abs_ns, (void)flags;
    return 0;
}
WEAK void time_vcpu_stop_singleshot(struct vcpu *v) {
    (void)v;
}
WEAK int time_vcpu_set_periodic(struct vcpu *v, u64 period_ns) {
    (void)v, (void)period_ns;
    return 0;
}
WEAK void time_vcpu_stop_periodic(struct vcpu *v) {
    (void)v;
}
WEAK int time_vcpu_set_timer_op(struct vcpu *v, u64 abs_ns) {
    (void)v, (void)abs_ns;
    return 0;
}
WEAK void time_vcpu_set_poll(struct vcpu *v, u64 abs_ns) {
    (void)v, (void)abs_ns;
}
WEAK void time_vcpu_stop_poll(struct vcpu *v) {
    (void)v;
}
WEAK void cpu_write_back(const void *p, size_t n) {
    (void)p, (void)n;
}
WEAK void x86_vcpu_set_fpu(struct vcpu *v, const void *fxsave) {
    (void)v, (void)fxsave;
}
