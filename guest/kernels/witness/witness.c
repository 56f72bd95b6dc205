// SPDX-License-Identifier: MIT
/*
 * Background: a hypervisor that lets one guest harm another shows it in the other: memory, registers or time that are
 *   not what they were, an event or a wake-up that never came, or work that stands still.
 * Scenario: each vCPU (all, or the first `vcpus=N`) keeps `pages=N` pages (64) under a pattern that changes each round.
 *   Every round verifies all of it, through the direct map and one page also through a mapping of its own, then the
 * SSE, AVX and debug registers, an event to itself (awake, and blocked) and a sleep of `idle=MS` (1). Every `period=N`
 * seconds (1), at the start and at the end, vCPU 0 prints `work=N late=Nms share=N`: the pages verified by all since
 * the last time, by how much the latest wake-up was late, and in how many thousandths of all the time that the vCPUs
 * were ready they ran. With `seconds=N` it ends after that time. Good: `work=` lines, and no FAIL in the results.
 * Bad: FAIL with what was found where; a work line that never comes.
 */
#include <sdk/sdk.h>

const char kernel_name[] = "witness";

#define LATE (30 * SECOND) /* no load makes a wake-up so late */
#define WORDS (PAGE_SIZE / sizeof(uint64_t))

enum check { MEMORY, MAPPING, REGISTERS, EVENTS, TIMER, NR_CHECKS };
static const char *const names[NR_CHECKS] = {"witness.memory", "witness.mapping", "witness.registers", "witness.events",
                                             "witness.timer"};

struct witness {
    uint64_t **pages;
    uint64_t round, last_time;
    volatile uint64_t latest; /* the longest that a sleep was over its time, since the last report */
    unsigned port, seen;
    volatile unsigned long work, rounds;
    volatile unsigned ended;
} __attribute__((aligned(64)));

static struct witness witnesses[MAX_CPUS];
static unsigned failures[NR_CHECKS];
static unsigned long nr_pages, idle;
static volatile bool stop;

static void expect(enum check check, bool ok, const char *what, uint64_t got, uint64_t wanted) {
    if (ok)
        return;
    if (__atomic_fetch_add(&failures[check], 1, __ATOMIC_RELAXED) < 3)
        test_fail(names[check], "vCPU %u, round %lu: %s is 0x%lx, expected 0x%lx", cpu_this()->id,
                  witnesses[cpu_this()->id].round, what, got, wanted);
}

/* No two words of a machine's witnesses are likely to agree: what one reads of another's is noticed. */
static uint64_t pattern(uint64_t round, unsigned long page, unsigned word) {
    uint64_t x = (round << 40 ^ page << 16 ^ word) + start_info->shared_info;

    x = (x ^ x >> 31) * 0x9e3779b97f4a7c15UL;
    return x ^ x >> 29;
}

static void fill(uint64_t *page, uint64_t round, unsigned long n) {
    for (unsigned i = 0; i < WORDS; i++)
        page[i] = pattern(round, n, i);
}

static void verify(enum check check, const uint64_t *page, uint64_t round, unsigned long n) {
    for (unsigned i = 0; i < WORDS; i++)
        if (page[i] != pattern(round, n, i)) {
            expect(check, false, "a word", page[i], pattern(round, n, i));
            return;
        }
}

static void check_memory(struct witness *w) {
    for (unsigned long n = 0; n < nr_pages; n++) {
        verify(MEMORY, w->pages[n], w->round, n);
        fill(w->pages[n], w->round + 1, n);
        w->work++;
    }
    w->round++;
}

/* Another page each round, at an address of this vCPU's own. */
static void check_mapping(struct witness *w) {
    unsigned long n = w->round % nr_pages, va = SCRATCH_VA + ((unsigned long)cpu_this()->id << 21);
    long rc = hv_update_va_mapping(va, virt_to_machine(w->pages[n]) | PTE_KERNEL, UVMF_INVLPG);

    expect(MAPPING, !rc, "update_va_mapping", (uint64_t)rc, 0);
    if (!rc)
        verify(MAPPING, (const uint64_t *)va, w->round, n);
}

static void set_xmm(uint64_t value) {
    __asm__ volatile("movq %0, %%xmm5\n\tmovq %0, %%xmm15" ::"r"(value));
}

static uint64_t get_xmm(void) {
    uint64_t a, b;

    __asm__ volatile("movq %%xmm5, %0\n\tmovq %%xmm15, %1" : "=r"(a), "=r"(b));
    return a == b ? a : ~a;
}

/* Which parts of the state the processor saves for guests: bit 2 upper halves of YMM, 7 ZMM16 to ZMM31. */
static uint64_t wide_parts(void) {
    uint32_t a = 1, b, c = 0, d = 0;

    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    if (!(c >> 27 & 1))
        return 0;
    __asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
    return (uint64_t)d << 32 | a;
}

static void set_wide(uint64_t parts, uint64_t value) {
    if (parts >> 2 & 1)
        __asm__ volatile("vmovq %0, %%xmm14\n\tvinsertf128 $1, %%xmm14, %%ymm14, %%ymm14" ::"r"(value));
    if (parts >> 7 & 1)
        __asm__ volatile("vpbroadcastq %0, %%zmm31" ::"r"(value));
}

static uint64_t get_ymm(void) {
    uint64_t value;

    __asm__ volatile("vextractf128 $1, %%ymm14, %%xmm13\n\tvmovq %%xmm13, %0" : "=r"(value));
    return value;
}

static uint64_t get_zmm(void) {
    uint64_t value;

    __asm__ volatile("valignq $7, %%zmm31, %%zmm31, %%zmm30\n\tvmovq %%xmm30, %0" : "=r"(value));
    return value;
}

static void check_wide(uint64_t parts, uint64_t wanted) {
    if (parts >> 2 & 1)
        expect(REGISTERS, get_ymm() == wanted, "the upper half of ymm14", get_ymm(), wanted);
    if (parts >> 7 & 1)
        expect(REGISTERS, get_zmm() == wanted, "the end of zmm31", get_zmm(), wanted);
}

static unsigned long debug_address(const struct witness *w) {
    return USER_VA + (w->round << 8);
}

static void check_registers(struct witness *w) {
    uint64_t wanted = pattern(w->round, nr_pages, cpu_this()->id), got, parts = wide_parts();

    set_xmm(wanted);
    set_wide(parts, ~wanted);
    hv_set_debugreg(3, debug_address(w));
    clock_sleep(idle * MILLISECOND);
    got = get_xmm();
    expect(REGISTERS, got == wanted, "xmm5, xmm15", got, wanted);
    check_wide(parts, ~wanted);
    got = (uint64_t)hv_get_debugreg(3);
    expect(REGISTERS, got == debug_address(w), "dr3", got, debug_address(w));
}

static void on_event(unsigned port) {
    (void)port;
    witnesses[cpu_this()->id].seen++;
}

/* One event comes on the way back from sending it; one waits for the upcall to be unmasked by blocking. */
static void check_events(struct witness *w) {
    unsigned before = w->seen;

    event_send(w->port);
    expect(EVENTS, READ_ONCE(w->seen) == before + 1, "events seen awake", w->seen, before + 1);
    events_disable();
    before = w->seen;
    event_send(w->port);
    expect(EVENTS, READ_ONCE(w->seen) == before, "events seen masked", w->seen, before);
    hv_sched_op(SCHEDOP_block, NULL);
    events_enable();
    expect(EVENTS, READ_ONCE(w->seen) == before + 1, "events seen blocked", w->seen, before + 1);
}

static void check_time(struct witness *w) {
    uint64_t from = clock_now(), now;

    expect(TIMER, from >= w->last_time, "the clock", from, w->last_time);
    clock_sleep(idle * MILLISECOND);
    now = clock_now();
    expect(TIMER, now >= from + idle * MILLISECOND, "the end of a sleep", now, from + idle * MILLISECOND);
    expect(TIMER, now < from + LATE, "the end of a sleep", now, from + LATE);
    if (now - from - idle * MILLISECOND > w->latest)
        w->latest = now - from - idle * MILLISECOND;
    w->last_time = now;
}

static void init(struct witness *w) {
    w->pages = page_alloc();
    for (unsigned long n = 0; n < nr_pages; n++) {
        w->pages[n] = page_alloc();
        fill(w->pages[n], 0, n);
    }
    pt_make(SCRATCH_VA + ((unsigned long)(w - witnesses) << 21));
    w->port = (unsigned)event_bind_ipi((unsigned)(w - witnesses));
    event_set_handler(w->port, on_event);
    event_unmask(w->port);
}

static void round_of(struct witness *w) {
    check_memory(w);
    check_mapping(w);
    check_registers(w);
    check_events(w);
    check_time(w);
    w->rounds++;
}

static void watch(void *arg) {
    struct witness *w = arg;

    hv_fpu_taskswitch(0);
    while (!stop)
        round_of(w);
    w->ended = 1;
}

static void report(unsigned vcpus) {
    static unsigned long last;
    unsigned long sum = 0, latest = 0, ran = 0, ready = 1;

    for (unsigned id = 0; id < vcpus; id++) {
        struct vcpu_runstate_info runstate = {0};

        hv_vcpu_op(VCPUOP_get_runstate_info, id, &runstate);
        ran += runstate.time[RUNSTATE_running];
        ready += runstate.time[RUNSTATE_running] + runstate.time[RUNSTATE_runnable];
        sum += witnesses[id].work;
        latest = witnesses[id].latest > latest ? witnesses[id].latest : latest;
        witnesses[id].latest = 0;
    }
    printf("work=%lu late=%lums share=%lu\n", sum - last, latest / MILLISECOND, ran * 1000 / ready);
    last = sum;
}

static void finish(unsigned vcpus) {
    stop = true;
    for (unsigned id = 1; id < vcpus; id++)
        test_check("witness.vcpu", clock_wait_for(&witnesses[id].ended, LATE) && witnesses[id].rounds,
                   "vCPU %u stands still after %lu rounds", id, witnesses[id].rounds);
    for (enum check c = 0; c < NR_CHECKS; c++)
        if (!failures[c])
            test_pass(names[c]);
    report(vcpus);
}

void kernel_main(void) {
    unsigned vcpus = (unsigned)cmdline_number("vcpus", cpu_count_possible());
    unsigned long seconds = cmdline_number("seconds", 0), period = cmdline_number("period", 1);
    uint64_t start = clock_now(), next = start + period * SECOND;

    nr_pages = cmdline_number("pages", 64);
    idle = cmdline_number("idle", 1);
    if (!vcpus || vcpus > MAX_CPUS || !nr_pages || nr_pages > PAGE_SIZE / sizeof(uint64_t *))
        panic("vcpus= or pages= is out of range");
    for (unsigned id = 0; id < vcpus; id++)
        init(&witnesses[id]);
    for (unsigned id = 1; id < vcpus; id++)
        test_check("witness.start", !cpu_start(id, watch, &witnesses[id]), "vCPU %u did not start", id);
    hv_fpu_taskswitch(0);
    report(vcpus);
    while (!seconds || clock_now() < start + seconds * SECOND) {
        round_of(&witnesses[0]);
        if (clock_now() < next)
            continue;
        report(vcpus);
        next = clock_now() + period * SECOND;
    }
    finish(vcpus);
}
