// SPDX-License-Identifier: MIT
// Guests as the host keeps them: started at boot from the modules, taken apart when they end, started again if their
// policy says so. One record for each guest, for as long as the host runs.
#include <pv/launch_host.h>

#include "internal_host.h"

#include <pv/boot.h>
#include <pv/boot_memory.h>
#include <pv/console.h>
#include <pv/debug.h>
#include <pv/dom0.h>
#include <pv/mm.h>
#include <pv/platform.h>
#include <pv/trap.h>

#define RETRY_NS TIME_MS(1)
#define READY_NS TIME_MS(200)
#define HELD_NS TIME_SEC(1)     /* so long CPUs may take to let go of an ended domain; then it is other guests */
#define REMAINS_NS TIME_MS(100) /* between looks whether they still do */

enum life { LIFE_NONE, LIFE_RUNNING, LIFE_ENDED, LIFE_OVER };

struct record {
    struct launch_guest *guest;
    const struct boot_module *kernel, *ramdisk;
    struct guest_console *gc;
    struct domain *d;
    enum life life; /* work_lock, but for RUNNING -> ENDED, which any CPU does */
    u32 restarts;
    bool restart_asked, destroy_asked; /* by the host menu */
    u64 reaped_since;                  /* when it was first tried to take the ended domain apart; 0: not yet */
    struct domain *remains;            /* a former life, of which others still map frames; work_lock */
};

static struct launch_plan plan;
static struct record records[LAUNCH_MAX_GUESTS];
static struct spinlock work_lock = SPINLOCK_INIT(LOCK_WORK);
static struct timer retry_timer, ready_timer;
static bool ready_pending; /* all guests are ready, and it has not been said yet */
static bool single;        /* no launch file: the one guest is the control domain */

/* --- modules --- */

static const struct boot_module *find_module(const char *name) {
    for (u32 i = 0; i < boot_info.nr_modules; i++)
        if (launch_module_is(boot_info.module[i].string, name))
            return &boot_info.module[i];
    return NULL;
}

static bool has_module(void *arg, const char *name) {
    (void)arg;
    return find_module(name) != NULL;
}

static struct blob blob_of(const struct boot_module *m) {
    return m ? (struct blob){maddr_to_virt(maddr(m->start)), m->size} : (struct blob){NULL, 0};
}

static void report(void *arg, const struct launch_problem *problem) {
    char text[512];

    (void)arg;
    launch_format_problem(problem, text, sizeof(text));
    printk("%s\n", text);
}

/* A guest may start again, from the same files; the control domain starts once, since the host ends with it. */
static bool may_be_needed(const struct boot_module *m) {
    for (u32 i = 0; i < plan.nr_guests; i++)
        if (!plan.guests[i].control && (records[i].kernel == m || records[i].ramdisk == m))
            return true;
    return false;
}

/* The plan has all that it needs of the launch file. */
static void free_modules(void) {
    for (u32 i = 0; i < boot_info.nr_modules; i++)
        if (!may_be_needed(&boot_info.module[i]))
            boot_memory_free_module(&boot_info.module[i]);
}

/* --- starting one --- */

static u32 index_of(const struct record *r) {
    return (u32)(r - records);
}

static const char *connect(struct record *r, struct domain *d, struct start_info *si) {
    u32 console = 0, store = 0;

    if (d->is_control) {
        control_fill_start_info(si);
        return console_guest_attach(r->gc, d, NULL, &console) ? "its console can't be attached" : NULL;
    }
    if (console_guest_attach(r->gc, d, mfn_to_virt(d->ring_mfn[0]), &console))
        return "its console can't be attached";
    if (store_attach(index_of(r), d, &store))
        return "its store can't be attached";
    si->console.domU.evtchn = console;
    si->store_evtchn = store;
    return NULL;
}

static u64 affinity_of(const struct launch_guest *g, u32 vcpu) {
    if (g->control && control_is_pinned())
        return BIT(vcpu % nr_cpus);
    return g->pinned ? g->pin[0] : SCHED_AFFINITY_ANY;
}

static void set_scheduling(struct domain *d, const struct launch_guest *g) {
    d->weight = (u16)g->weight;
    d->cap = (u16)(g->cap * d->nr_vcpus);
    for (u32 i = 0; i < d->nr_vcpus; i++) {
        sched_set_weight(&d->vcpu[i]->sched, g->weight, time_now());
        sched_set_cap(&d->vcpu[i]->sched, g->cap, time_now());
        sched_set_affinity(&d->vcpu[i]->sched, affinity_of(g, i), time_now());
    }
}

static const char *build(struct record *r, struct domain *d) {
    const struct launch_guest *g = r->guest;
    struct build_request req = {.kernel = blob_of(r->kernel),
                                .ramdisk = blob_of(r->ramdisk),
                                .command_line = g->cmdline,
                                .nr_pages = g->memory >> PAGE_SHIFT,
                                .flags = d->is_control   ? SIF_PRIVILEGED | SIF_INITDOMAIN
                                         : g->privileged ? SIF_PRIVILEGED
                                                         : 0};
    const char *why;

    d->privileged |= g->privileged;
    d->linear_tables = g->linear_page_tables;
    d->launch = r;
    why = gnttab_init(d, GNTTAB_MAX_FRAMES) ? "not enough memory" : build_domain(d, &req);
    return why ? why : connect(r, d, req.start_info);
}

static void discard(const struct record *r, struct domain *d) {
    store_detach(index_of(r));
    WRITE_ONCE(d->dying, true);
    while (!domain_destroy(d))
        continue;
}

/* NULL: r->d is there, and ready to run. Else nothing of it is left. */
static const char *make_domain(void *arg) {
    struct record *r = arg;
    const struct launch_guest *g = r->guest;
    u64 pages = g->memory >> PAGE_SHIFT;
    struct domain *d = g->control ? domain_create(g->name, 0, g->vcpus, single ? control_max_pages(g->memory) : pages)
                                  : domain_create(g->name, DOMID_ANY, g->vcpus, pages);
    const char *why = d                               ? build(r, d)
                      : g->control && domain_by_id(0) ? "there is a control domain already"
                                                      : "not enough memory";

    if (why && d)
        discard(r, d);
    r->d = why ? NULL : d;
    return why;
}

static void unmake_domain(void *arg) {
    struct record *r = arg;

    discard(r, r->d);
    r->d = NULL;
}

static bool start(struct record *r) {
    const struct debug_maker maker = {make_domain, unmake_domain, r};
    const char *why = DEBUG ? debug_make(&maker) : make_domain(r);

    if (why) {
        printk("guest %s can't start: %s\n", r->guest->name, why);
        r->life = LIFE_OVER;
        return false;
    }
    set_scheduling(r->d, r->guest);
    time_update_wallclock(r->d);
    time_update_vcpu(r->d->vcpu[0]);
    __atomic_store_n(&r->life, LIFE_RUNNING, __ATOMIC_SEQ_CST);
    vcpu_pause_clear(r->d->vcpu[0], VCPU_DOWN);
    return true;
}

/* --- endings --- */

void launch_domain_ended(struct domain *d) {
    struct record *r = d->launch;

    if (r)
        __atomic_store_n(&r->life, LIFE_ENDED, __ATOMIC_SEQ_CST);
    cpu_request(this_cpu(), CPU_REQ_WORK);
}

static const char *end_name(u8 code) {
    static const char *const names[] = {"powered off", "asked for a restart", "suspended", "crashed",
                                        "watchdog",    "soft reset"};

    return code < ARRAY_SIZE(names) ? names[code] : "ended";
}

static bool wants_restart(struct record *r, u8 code) {
    const struct launch_guest *g = r->guest;
    enum launch_action action = code == SHUTDOWN_reboot                               ? g->on_reboot
                                : code == SHUTDOWN_crash || code == SHUTDOWN_watchdog ? g->on_crash
                                                                                      : g->on_end;

    if (r->destroy_asked || r->restart_asked)
        return r->restart_asked;
    if (action != LAUNCH_RESTART)
        return false;
    if (g->restart_limit != LAUNCH_NO_LIMIT && r->restarts >= g->restart_limit) {
        printk("guest %s: its restart limit of %u is reached\n", g->name, g->restart_limit);
        return false;
    }
    return true;
}

/* The privileged guest takes the host with it. */
static void end_host(u8 code) {
    console_drain();
    if (code == SHUTDOWN_reboot)
        platform_reboot();
    platform_power_off();
}

/* All that is left of an ended domain are frames that other guests map: it need not be waited for. One former life of a
 * guest may remain so, or a guest that restarts would leave more and more. */
static bool leave_remains(struct record *r) {
    const struct domain *d = r->d;

    if (r->remains || d->page_list != FRAME_NONE || time_now() - r->reaped_since < HELD_NS)
        return false;
    printk("guest %s ended, but other guests still map %lu frames of it; they are freed once those let go\n",
           r->guest->name, d->owned_pages);
    r->remains = r->d;
    return true;
}

static bool remains_are_gone(struct record *r) {
    if (!domain_destroy(r->remains))
        return false;
    printk("guest %s: the frames of its former life are free\n", r->guest->name);
    r->remains = NULL;
    return true;
}

/* False: not yet, some CPU still has to let go of it. */
static bool reap(struct record *r) {
    u8 code = r->d->shutdown_code;
    bool privileged = r->d->privileged;

    if (r->d->is_control)
        control_ended(r->d, end_name(code));
    if (DEBUG && !r->reaped_since)
        debug_audit();
    if (!r->reaped_since)
        r->reaped_since = time_now();
    store_detach(index_of(r));
    if (!domain_destroy(r->d) && !leave_remains(r))
        return false;
    if (DEBUG)
        printk("debug: %lu frames are free after guest %s\n", heap_free_count(), r->guest->name);
    if (DEBUG)
        debug_audit();
    r->reaped_since = 0;
    r->d = NULL;
    r->life = LIFE_OVER;
    printk("guest %s %s\n", r->guest->name, end_name(code));
    if (privileged && code != SHUTDOWN_crash)
        end_host(code);
    if (wants_restart(r, code)) {
        r->restarts += !r->restart_asked;
        r->restart_asked = r->destroy_asked = false;
        start(r);
    }
    return true;
}

static void retry(void *arg) {
    (void)arg;
    cpu_request(this_cpu(), CPU_REQ_WORK);
}

/* A little after the last guest became ready, so that the line it did so with is whole. */
static void say_ready(void *arg) {
    (void)arg;
    if (!__atomic_exchange_n(&ready_pending, false, __ATOMIC_SEQ_CST))
        return;
    console_print_guest_table();
    printk("all guests ready\n");
    if (console_is_batch())
        end_host(SHUTDOWN_poweroff);
}

/* Guests that were started first may end before the last is: then there are more to come. */
static bool all_started;

static bool anything_alive(void) {
    if (!READ_ONCE(all_started))
        return true;
    for (u32 i = 0; i < plan.nr_guests; i++)
        if (records[i].life == LIFE_RUNNING || records[i].life == LIFE_ENDED)
            return true;
    return false;
}

void launch_work(void) {
    bool again = false, remains = false;

    if (!spin_trylock(&work_lock))
        return; /* whoever has it sees what is new, or the timer does */
    for (u32 i = 0; i < plan.nr_guests; i++)
        if (READ_ONCE(records[i].life) == LIFE_ENDED)
            again |= !reap(&records[i]);
    for (u32 i = 0; i < plan.nr_guests; i++)
        remains |= records[i].remains && !remains_are_gone(&records[i]);
    if (plan.nr_guests && !anything_alive()) {
        say_ready(NULL);
        printk("no guest is left, %lu KiB free\n", heap_free_count() << (PAGE_SHIFT - 10));
        end_host(SHUTDOWN_poweroff);
    }
    spin_unlock(&work_lock);
    for (u32 i = 0; i < plan.nr_guests; i++)
        again |= READ_ONCE(records[i].life) == LIFE_ENDED;
    if (again || remains)
        timer_set(&retry_timer, this_cpu()->id, time_now() + (again ? RETRY_NS : REMAINS_NS));
}

/* --- the host menu --- */

static void end_by_menu(struct domain *d, bool restart) {
    struct record *r = d->launch;

    if (restart)
        r->restart_asked = true;
    else
        r->destroy_asked = true;
    domain_shutdown(d, SHUTDOWN_poweroff);
}

static void menu_destroy(struct domain *d) {
    end_by_menu(d, false);
}

static void menu_restart(struct domain *d) {
    end_by_menu(d, true);
}

static void menu_audit(void) {
    if (DEBUG)
        debug_audit();
    printk("all references and uses are accounted for\n");
}

static void all_ready(void) {
    ready_pending = true;
    timer_set(&ready_timer, this_cpu()->id, time_now() + READY_NS);
}

static const struct console_ops menu_ops = {
    .pause = domain_pause,
    .resume = domain_unpause,
    .destroy = menu_destroy,
    .restart = menu_restart,
    .power_off = platform_power_off,
    .reboot = platform_reboot,
    .audit = DEBUG ? menu_audit : NULL,
    .all_ready = all_ready,
};

/* --- boot --- */

/* Without a launch file: the first module is the control domain, the second its ramdisk. */
static void plan_single(void) {
    struct launch_guest *g = &plan.guests[0];
    const char *line = boot_info.module[0].string, *args = strchr(line, ' ');

    single = true;
    plan.nr_guests = 1;
    strlcpy(g->name, "Domain-0", sizeof(g->name));
    strlcpy(g->cmdline, args ? args + 1 : "", sizeof(g->cmdline));
    strlcpy(g->ready, "READY", sizeof(g->ready));
    g->memory = control_memory();
    g->vcpus = control_vcpus();
    g->weight = LAUNCH_DEFAULT_WEIGHT;
    g->control = true;
    records[0].kernel = &boot_info.module[0];
    records[0].ramdisk = boot_info.nr_modules > 1 ? &boot_info.module[1] : NULL;
    console_set_raw(true);
}

static const struct boot_module *find_launch_file(void) {
    for (u32 i = 0; i < boot_info.nr_modules; i++)
        if (launch_module_is_file(boot_info.module[i].string))
            return &boot_info.module[i];
    return NULL;
}

static void plan_from_file(const struct boot_module *file) {
    char name[LAUNCH_MODULE_SIZE];
    size_t len;
    const char *start_of_name = launch_module_name(file->string, &len);

    strlcpy(name, start_of_name, MIN(len + 1, sizeof(name)));
    launch_parse(maddr_to_virt(maddr(file->start)), file->size, name, &plan, report, NULL);
    launch_check_modules(&plan, name, has_module, NULL, report, NULL);
    launch_check_cpus(&plan, name, nr_cpus, report, NULL);
    launch_check_memory(&plan, name, heap_free_count() << PAGE_SHIFT, report, NULL);
    for (u32 i = 0; i < plan.nr_guests; i++) {
        records[i].kernel = find_module(plan.guests[i].kernel);
        records[i].ramdisk = plan.guests[i].ramdisk[0] ? find_module(plan.guests[i].ramdisk) : NULL;
    }
}

void launch_boot(void) {
    const struct boot_module *file = find_launch_file();

    dom0_init();
    timer_init(&retry_timer, retry, NULL);
    timer_init(&ready_timer, say_ready, NULL);
    console_set_ops(&menu_ops);
    if (file)
        plan_from_file(file);
    else if (boot_info.nr_modules)
        plan_single();
    else
        printk("no boot module: expected a kernel, or a launch file (NAME.launch) and the modules it names\n");
    store_plan(&plan);
    for (u32 i = 0; i < plan.nr_guests; i++) {
        records[i].guest = &plan.guests[i];
        records[i].gc = console_guest_create(plan.guests[i].name);
        console_guest_set_ready_text(records[i].gc, plan.guests[i].ready);
    }
    for (u32 i = 0; i < plan.nr_guests; i++)
        start(&records[i]);
    free_modules();
    WRITE_ONCE(all_started, true);
    if (file)
        console_expect_ready();
    cpu_request(this_cpu(), CPU_REQ_WORK);
}
