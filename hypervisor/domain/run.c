// SPDX-License-Identifier: MIT
// The run loop. One stack for each CPU and no blocking anywhere: whatever the hypervisor does for a guest ends here,
// and everything that has to happen before the guest goes on is done here, in a fixed order.
#include <pv/run.h>

#include <pv/console.h>
#include <pv/control.h>
#include <pv/debug.h>
#include <pv/gate.h>
#include <pv/launch_host.h>
#include <pv/mm.h>
#include <pv/platform.h>
#include <pv/trap.h>

#include "internal.h"

/* All but the one that the way back to a guest answers. */
static u32 take_requests(struct cpu *c) {
    return __atomic_fetch_and(&c->requests, CPU_REQ_RECOMPOSE, __ATOMIC_SEQ_CST);
}

/* Puts the vCPU's state back into its structures; the CPU has none afterwards. */
static void unload(struct cpu *c) {
    struct vcpu *v = c->current;
    u64 now = time_now();

    if (!v)
        return;
    x86_save_vcpu(v);
    __atomic_store_n(&c->current, NULL, __ATOMIC_SEQ_CST);
    runstate_change(v, v->pause ? (v->pause & VCPU_BLOCKED ? RUNSTATE_blocked : RUNSTATE_offline) : RUNSTATE_runnable,
                    now);
    sched_switched_out(&v->sched, now);
}

static void load(struct cpu *c, struct vcpu *v) {
    v->cpu = c;
    __atomic_store_n(&c->current, v, __ATOMIC_SEQ_CST);
    v->count[COUNT_SWITCH]++;
    v->gate_stale = true;
    __atomic_fetch_or(&c->requests, CPU_REQ_RECOMPOSE, __ATOMIC_SEQ_CST);
    gate_map_vcpu(c, v);
    x86_load_vcpu(c, v);
    c->gate_dirty = false;
    runstate_change(v, RUNSTATE_running, time_now());
}

/* Asks the scheduler who runs next, and until when. */
static void reschedule(struct cpu *c) {
    struct sched_entity *next = sched_pick(c->id, time_now(), &c->slice_end);
    struct vcpu *v = next ? container_of(next, struct vcpu, sched) : NULL;

    if (v == c->current)
        return;
    unload(c);
    if (v)
        load(c, v);
}

static void program_timer(struct cpu *c) {
    u64 deadline = MIN(timer_next(c->id), c->slice_end);

    if (deadline != c->deadline)
        apic_timer_program(deadline);
    c->deadline = deadline;
    c->deadline_tsc = time_ns_to_tsc(time_scale(), deadline);
}

/* Nobody looks at the clock otherwise: whatever is due at some time has its interrupt, which comes in the guest if it
 * did not come before. */
static __attribute__((noinline)) void do_requests(struct cpu *c) {
    u32 requests = take_requests(c);
    u64 now = time_now();

    cpu_goes_on();
    if (requests & CPU_REQ_WORK) {
        console_work();
        control_work();
        launch_work();
    }
    if (timer_next(c->id) <= now)
        timer_run_expired(c->id, now);
    if (requests & CPU_REQ_TIMER)
        c->deadline = 0; /* it has fired or must be set anew */
    if (requests & CPU_REQ_RESCHED || c->slice_end <= now)
        reschedule(c);
    program_timer(c);
}

static void refresh_gate(struct cpu *c, struct vcpu *v) {
    gate_map_vcpu(c, v);
    x86_flush_own_tlb();
    x86_reload_ldt();
    c->gate_dirty = false;
}

/* An NMI or an event that the guest kernel can take now. */
static bool nmi_due(const struct vcpu *v) {
    return READ_ONCE(v->nmi_pending) && !v->nmi_masked;
}

static bool event_due(const struct vcpu *v) {
    return READ_ONCE(v->info->evtchn_upcall_pending) && !READ_ONCE(v->info->evtchn_upcall_mask);
}

/* Nothing has to be done before the vCPU's guest goes on. */
static inline bool is_ready(const struct cpu *c, const struct vcpu *v) {
    const struct domain *d = v->domain;

    return !(READ_ONCE(c->requests) | READ_ONCE(v->pause)) && READ_ONCE(d->zombies) == FRAME_NONE &&
           !(READ_ONCE(d->dying) | c->gate_dirty) && !event_due(v) && !nmi_due(v);
}

/* What the vCPU must have before its guest goes on; or it does not go on now. A vCPU that was just loaded comes here
 * first. */
static void prepare(struct cpu *c, struct vcpu *v) {
    if (v->domain->dying || v->pause || !mm_drain(v->domain)) {
        __atomic_fetch_or(&c->requests, CPU_REQ_RESCHED, __ATOMIC_SEQ_CST);
        return;
    }
    if (c->gate_dirty)
        refresh_gate(c, v);
    if (v->selectors_lost)
        trap_inject_failsafe(v);
    if (nmi_due(v))
        trap_inject_nmi(v);
    if (event_due(v))
        trap_inject_event(v);
}

static u64 root_of(struct cpu *c, struct vcpu *v) {
    return virt_to_maddr(v->fused || v->kernel_mode ? c->kernel_root->table : c->user_root.table).a;
}

static void compose(struct cpu *c, struct vcpu *v) {
    __atomic_fetch_and(&c->requests, ~(u32)CPU_REQ_RECOMPOSE, __ATOMIC_SEQ_CST);
    mm_compose(c, v);
}

/* Comes back, with nothing loaded, if something else has to be done first. */
static inline void leave(struct cpu *c, struct vcpu *v) {
    struct regs *r = vcpu_regs(v);

    if (unlikely(READ_ONCE(c->requests) == CPU_REQ_RECOMPOSE && !v->domain->dying))
        compose(c, v);
    /* From here on this CPU counts as one that holds translations; requests and events posted before are seen below,
     * later ones come with an interrupt. */
    c->tlb_clock = tlb_clock_now();
    __atomic_store_n(&c->in_guest, 1, __ATOMIC_SEQ_CST);
    if (unlikely(!is_ready(c, v))) {
        __atomic_store_n(&c->in_guest, 0, __ATOMIC_SEQ_CST);
        return;
    }
    v->gate->kernel_mode = v->kernel_mode;
    if (unlikely(READ_ONCE(v->gate_stale)))
        gate_set_fast_path(c, v);
    if (v->kernel_mode) {
        r->cs = SEL_KERNEL_CS;
        r->ss = SEL_KERNEL_DS;
    } else {
        r->cs |= 3;
        r->ss |= 3;
    }
    r->rflags = trap_clean_rflags(r->rflags);
    x86_arm_breakpoints(v);
    gate_exit(tlb_guest_root(c, root_of(c, v)));
}

static __attribute__((noinline)) void idle(struct cpu *c) {
    cpu_goes_on();
    __atomic_fetch_and(&c->requests, ~(u32)CPU_REQ_RECOMPOSE, __ATOMIC_SEQ_CST); /* whom it was for is gone */
    x86_idle(c);
}

/* One round of all that may have to be done before a guest goes on; or sleep. */
static __attribute__((noinline)) void work(struct cpu *c) {
    if (READ_ONCE(c->requests) & ~(u32)CPU_REQ_RECOMPOSE)
        do_requests(c);
    if (!c->current)
        idle(c);
    else
        prepare(c, c->current);
}

void run_loop(void) {
    struct cpu *c = this_cpu();

    for (;;) {
        if (DEBUG)
            debug_run_loop();
        if (c->current)
            leave(c, c->current);
        work(c);
    }
}

bool preempt_pending(void) {
    struct cpu *c = this_cpu();

    return READ_ONCE(c->requests) & (CPU_REQ_RESCHED | CPU_REQ_TIMER) || time_tsc_now() >= c->deadline_tsc;
}
