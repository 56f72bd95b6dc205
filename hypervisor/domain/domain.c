// SPDX-License-Identifier: MIT
// Domains: the table of them, birth, shutdown, death. Who restarts a guest that ended is launch's business.
#include "internal.h"

#include <pv/console.h>
#include <pv/control.h>
#include <pv/launch_host.h>
#include <pv/mm.h>

static struct domain *domains[MAX_DOMAINS];
static struct spinlock domains_lock = SPINLOCK_INIT(LOCK_DOMAINS);
static domid_t next_id = 1;

struct domain *domain_by_id(domid_t id) {
    return id < MAX_DOMAINS ? READ_ONCE(domains[id]) : NULL;
}

struct domain *domain_next(struct domain *d) {
    for (u32 id = d ? d->id + 1u : 0; id < MAX_DOMAINS; id++)
        if (domains[id])
            return domains[id];
    return NULL;
}

void domain_for_each(void (*fn)(struct domain *d, void *arg), void *arg) {
    for (struct domain *d = domain_next(NULL); d; d = domain_next(d))
        fn(d, arg);
}

/* Numbers are not used again until all others were: a late reference finds nobody rather than somebody else. */
static domid_t find_id(void) {
    for (u32 tries = 0; tries < MAX_DOMAINS; tries++) {
        domid_t id = next_id;

        next_id = next_id + 1 < MAX_DOMAINS ? next_id + 1 : 1;
        if (!domains[id])
            return id;
    }
    return DOMID_ANY;
}

static bool enter_table(struct domain *d, domid_t id) {
    bool entered;

    spin_lock(&domains_lock);
    if (id == DOMID_ANY)
        id = find_id();
    entered = id < MAX_DOMAINS && !domains[id];
    if (entered) {
        d->id = id;
        WRITE_ONCE(domains[id], d);
    }
    spin_unlock(&domains_lock);
    return entered;
}

struct domain *domain_get(domid_t id) {
    struct domain *d;

    spin_lock(&domains_lock);
    d = domain_by_id(id);
    if (d)
        __atomic_add_fetch(&d->users, 1, __ATOMIC_SEQ_CST);
    spin_unlock(&domains_lock);
    return d;
}

struct domain *domain_get_from(u32 id) {
    struct domain *d = NULL;

    spin_lock(&domains_lock);
    for (; id < MAX_DOMAINS && !d; id++)
        d = domains[id];
    if (d)
        __atomic_add_fetch(&d->users, 1, __ATOMIC_SEQ_CST);
    spin_unlock(&domains_lock);
    return d;
}

void domain_put(struct domain *d) {
    if (__atomic_sub_fetch(&d->users, 1, __ATOMIC_SEQ_CST))
        return;
    for (u32 i = 0; i < d->nr_vcpus; i++)
        vcpu_free(d->vcpu[i]);
    heap_free(d->control);
    heap_free(d);
}

/* Whoever goes through the vCPUs sees those that are whole. */
bool domain_add_vcpu(struct domain *d) {
    struct vcpu *v = vcpu_create(d, d->nr_vcpus);

    if (!v)
        return false;
    if (READ_ONCE(d->pause_count))
        v->pause |= VCPU_PAUSED;
    d->vcpu[d->nr_vcpus] = v;
    __atomic_store_n(&d->nr_vcpus, d->nr_vcpus + 1, __ATOMIC_RELEASE);
    return true;
}

static void leave_table(struct domain *d) {
    spin_lock(&domains_lock);
    WRITE_ONCE(domains[d->id], NULL);
    spin_unlock(&domains_lock);
    /* Whoever found it by number has a reference, or has locked a table of it, or will find it dead. */
    evtchn_quiesce();
    gnttab_quiesce();
    domain_put(d);
}

static bool alloc_shared_info(struct domain *d) {
    struct page *pg = domain_alloc_shared_page(d);

    if (!pg)
        return false;
    d->shared_info = page_to_virt(pg);
    d->shared_info_mfn = page_to_mfn(pg);
    /* Writable for ever: the gate maps it so, for vCPUs whose vcpu_info is in it. */
    return page_get_type(pg, PT_WRITABLE) == 0;
}

struct domain *domain_create(const char *name, domid_t id, u32 nr_vcpus, u64 max_pages) {
    struct domain *d = heap_alloc(sizeof(*d));

    if (!d)
        return NULL;
    strlcpy(d->name, name, sizeof(d->name));
    d->users = 1;
    d->weight = SCHED_WEIGHT_DEFAULT;
    d->tsc_offset_ns = time_now();
    d->max_pages = max_pages;
    d->page_list = d->taken_list = d->zombies = FRAME_NONE;
    mm_new_epoch(d);
    mm_new_high_epoch(d);
    mm_new_walk_epoch(d);
    d->ring_mfn[0] = d->ring_mfn[1] = d->eoi_mfn = MFN_INVALID;
    spin_init(&d->lock, LOCK_DOMAIN);
    spin_init(&d->mm_lock, LOCK_MM);
    spin_init(&d->page_lock, LOCK_PAGES);
    evtchn_init(d);
    d->gnttab.dead = true; /* till gnttab_init() */
    if (!enter_table(d, id)) {
        heap_free(d);
        return NULL;
    }
    d->is_control = d->privileged = d->id == 0;
    if (d->is_control)
        evtchn_handle_global_virqs(d);
    bool made = alloc_shared_info(d);

    while (made && d->nr_vcpus < nr_vcpus)
        made = domain_add_vcpu(d);
    if (!made) {
        d->dying = true;
        while (!domain_destroy(d))
            continue;
        return NULL;
    }
    return d;
}

static void stop_all(struct domain *d) {
    WRITE_ONCE(d->dying, true);
    for (u32 i = 0; i < d->nr_vcpus; i++)
        if (d->vcpu[i])
            vcpu_pause_set(d->vcpu[i], VCPU_DOWN);
}

/* For tools that wait for it; the end itself is told by VIRQ_DOM_EXC. A guest says so by a hypercall: no lock is held.
 */
static void tell_of_suspend(struct domain *d, u8 code) {
    u32 port = READ_ONCE(d->suspend_port);

    if (port && code == SHUTDOWN_suspend && d->shutdown_code == SHUTDOWN_suspend)
        (void)evtchn_send(d, port);
}

void domain_shutdown(struct domain *d, u8 code) {
    spin_lock(&d->lock);
    if (d->shut_down) {
        spin_unlock(&d->lock);
        return;
    }
    d->shut_down = true;
    if (!d->shutdown_code_set)
        d->shutdown_code = code;
    spin_unlock(&d->lock);
    if (d->control) {
        for (u32 i = 0; i < d->nr_vcpus; i++)
            vcpu_pause_set(d->vcpu[i], VCPU_SHUT_DOWN);
        tell_of_suspend(d, code);
        control_domain_ended();
    } else {
        stop_all(d);
        launch_domain_ended(d);
    }
}

void domain_resume(struct domain *d) {
    spin_lock(&d->lock);
    d->shut_down = d->shutdown_code_set = false;
    spin_unlock(&d->lock);
    for (u32 i = 0; i < d->nr_vcpus; i++)
        vcpu_pause_clear(d->vcpu[i], VCPU_SHUT_DOWN);
}

void domain_kill(struct domain *d) {
    stop_all(d);
}

void domain_crash(struct domain *d, const char *fmt, ...) {
    char why[200];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(why, sizeof(why), fmt, ap);
    va_end(ap);
    if (!READ_ONCE(d->shut_down))
        printk("guest %s crashed: %s\n", d->name, why);
    domain_shutdown(d, SHUTDOWN_crash);
}

#define PRINTED_VCPUS 8 /* a guest can have it printed as often as it ends: the log is everybody's */

void domain_print_vcpus(const struct domain *d) {
    u32 n = 0;

    for (u32 i = 0; i < d->nr_vcpus && n < PRINTED_VCPUS; i++)
        if (d->vcpu[i] && d->vcpu[i]->initialised) {
            vcpu_print(d->vcpu[i]);
            n++;
        }
}

void domain_pause(struct domain *d) {
    if (__atomic_fetch_add(&d->pause_count, 1, __ATOMIC_SEQ_CST))
        return;
    for (u32 i = 0; i < d->nr_vcpus; i++)
        vcpu_pause_set(d->vcpu[i], VCPU_PAUSED);
}

void domain_unpause(struct domain *d) {
    if (__atomic_sub_fetch(&d->pause_count, 1, __ATOMIC_SEQ_CST))
        return;
    for (u32 i = 0; i < d->nr_vcpus; i++)
        vcpu_pause_clear(d->vcpu[i], VCPU_PAUSED);
}

static bool stop_vcpus(struct domain *d) {
    bool stopped = true;

    for (u32 i = 0; i < d->nr_vcpus; i++)
        if (d->vcpu[i])
            stopped &= vcpu_stop(d->vcpu[i]);
    return stopped;
}

static void release_shared_info(struct domain *d) {
    struct page *pg = mfn_to_page(d->shared_info_mfn);

    if (!d->shared_info)
        return;
    d->shared_info = NULL;
    page_put_type(pg);
    domain_free_shared_page(d, pg);
}

/* Nobody serves the rings any more. */
static void release_rings(struct domain *d) {
    for (u32 i = 0; i < ARRAY_SIZE(d->ring_mfn); i++) {
        if (!mfn_eq(d->ring_mfn[i], MFN_INVALID))
            page_put_with_type(mfn_to_page(d->ring_mfn[i]));
        d->ring_mfn[i] = MFN_INVALID;
    }
}

/* Each step may be done again, so a call that finds something unfinished simply returns. */
bool domain_destroy(struct domain *d) {
    ASSERT(d->dying);
    if (!stop_vcpus(d))
        return false;
    for (u32 i = 0; i < NR_WATCHDOGS; i++)
        if (d->watchdogs & 1u << i)
            timer_cancel_sync(&d->watchdog[i]);
    if (d->console)
        console_guest_detach(d->console);
    evtchn_destroy(d);
    gnttab_destroy(d);
    for (u32 i = 0; i < d->nr_vcpus && d->shared_info; i++)
        if (d->vcpu[i])
            vcpu_drop_memory(d->vcpu[i]);
    release_rings(d);
    release_shared_info(d);
    if (!mm_destroy(d))
        return false;
    leave_table(d);
    return true;
}

bool domain_is_held(const struct domain *d) {
    return !d->shared_info && READ_ONCE(d->page_list) == FRAME_NONE && READ_ONCE(d->zombies) == FRAME_NONE &&
           __atomic_load_n(&d->owned_pages, __ATOMIC_SEQ_CST);
}
