// SPDX-License-Identifier: MIT
// SCHEDOP_watchdog: timers that a domain must keep pushing back, or it is shut down.
#include "internal.h"

static void fire(void *arg) {
    struct domain *d = arg;

    printk("guest %s: its watchdog was not fed\n", d->name);
    domain_print_vcpus(d);
    domain_shutdown(d, SHUTDOWN_watchdog);
}

static void start(struct timer *t, u32 seconds) {
    timer_set(t, this_cpu()->id, time_now() + TIME_SEC((u64)seconds));
}

static long create(struct domain *d, u32 seconds) {
    for (u32 i = 0; i < NR_WATCHDOGS; i++) {
        if (d->watchdogs & 1u << i)
            continue;
        d->watchdogs |= 1u << i;
        timer_init(&d->watchdog[i], fire, d);
        start(&d->watchdog[i], seconds);
        return i + 1;
    }
    return -ENOSPC;
}

static long change(struct domain *d, u32 i, u32 seconds) {
    if (!(d->watchdogs & 1u << i))
        return -EINVAL;
    if (seconds) {
        start(&d->watchdog[i], seconds);
        return 0;
    }
    timer_cancel(&d->watchdog[i]);
    d->watchdogs &= ~(1u << i);
    return 0;
}

/* id 0: a new one, whose number is returned. A timeout of 0 ends an old one. */
long hc_watchdog(struct vcpu *v, gva_t at) {
    struct domain *d = v->domain;
    struct sched_watchdog w;
    long rc;

    if (copy_from_guest(&w, at, sizeof(w)))
        return -EFAULT;
    if (w.id > NR_WATCHDOGS)
        return -EINVAL;
    spin_lock(&d->lock);
    rc = w.id ? change(d, w.id - 1, w.timeout) : create(d, w.timeout);
    spin_unlock(&d->lock);
    return rc;
}
