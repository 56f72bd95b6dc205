# SPDX-License-Identifier: MIT
"""docs/performance-dom0.md: the figures of a Debian dom0 on both hypervisors, side by side."""
import json
import statistics

import dom0_counts
import dom0_rows
import machines
import plot
from dom0_session import CPUS, GUEST_MIB, MEMORY
from machines import TITLES
from page import markdown, version
from report import print_table


def disk_rows(where):
    rows = []
    for block, _, pattern in dom0_rows.DISK:
        size = dom0_rows.NAMES[block]
        for way in ("read", "write"):
            key = f"{where}-disk.{way}.{size.replace(' ', '')}"
            rows += [(f"{key}.rate", f"{way}s of {size}, {'random' if pattern == 'random' else 'in a row'}", "MB/s")]
            rows += [(f"{key}.median", f"one random {way} of {size}, median", "us")] if pattern == "random" else []
    return rows


def ping_rows(name):
    return [(f"{name}.ping.{what}", f"ping of {dom0_rows.PINGS}: {what}", "us") for what in ("min", "median", "mean", "p99", "max")]


def tcp_rows(name):
    return [(f"{name}.tcp.median", "a byte there and back by TCP, median", "us"), (f"{name}.tcp.p99", "the same, p99", "us"),
            (f"{name}.stream", "a TCP stream", "MB/s")]


# (heading, [(row, title, unit)]): s and us are better when less, MB/s when more.
TABLES = [
    ("Start", [("boot.init", "QEMU's start to dom0's first process", "s"), ("boot.own_init", "the hypervisor's first line to dom0's first process", "s"),
               ("boot.tools", "QEMU's start to dom0's tools at work", "s")]),
    ("Guests", [("create.bare.xl", "`xl create`, no devices", "s"), ("create.bare.init", "to the guest's first process", "s"),
                ("create.a.xl", "`xl create`, disk and card", "s"), ("create.a.init", "to the guest's first process", "s"),
                ("create.a.shell", "to its shell, network up", "s"), ("create.tiny", "`xl create`, a kernel of 100 KiB", "s"),
                ("destroy.bare", "`xl destroy`, no devices", "s"), ("destroy.a", "`xl destroy`, disk and card", "s"),
                ("save", "`xl save` to dom0's disk", "s"), ("restore.xl", "`xl restore`", "s"), ("restore.answers", "to its answer to a ping", "s")]),
    ("dom0's disk (virtio)", disk_rows("dom0")),
    ("A guest's disk (blkback on dom0's)", disk_rows("guest")),
    ("dom0 to a guest", [*ping_rows("dom0-guest"), *tcp_rows("dom0-guest")]),
    ("A guest to dom0", tcp_rows("guest-dom0")),
    ("A guest to a guest", [*ping_rows("guest-guest"), *tcp_rows("guest-guest")]),
]
FREE = [("free.0", "free, KiB, no guests"), ("free.1", "one small guest"), ("free.20", "twenty"), ("beside.20", "taken by each of the twenty beside its own memory")]
HEADER = ["wall time", "Xen 4.17, median", "Paravane as fast as it: least median greatest"]


def ratios(runs, key, unit):
    """How many times as fast Paravane is, for each pair of boots next to each other."""
    pairs = [(x[key], p[key]) for x, p in zip(runs["xen"], runs["paravane"]) if x.get(key) and p.get(key)]
    return [p / x if unit == "MB/s" else x / p for x, p in pairs]


def figure(value, unit):
    return f"{value:,.0f} us" if unit == "us" else f"{value:,.2f} {unit}"


def lines(runs, rows):
    out = []
    for key, title, unit in rows:
        of_xen, found = [r[key] for r in runs["xen"] if key in r], ratios(runs, key, unit)
        if of_xen and found:
            out.append([title, figure(statistics.median(of_xen), unit), f"{min(found):.2f} {statistics.median(found):.2f} {max(found):.2f}"])
    return out


def memory_lines(runs):
    """Medians: they repeat but for what dom0 itself gives back."""
    def median(hypervisor, key):
        values = [r[key] for r in runs[hypervisor] if key in r]
        return f"{statistics.median(values):,.0f}" if values else "-"
    return [[title, median("xen", key), median("paravane", key)] for key, title in FREE]


MEMORY_HEADER = ["memory, KiB", TITLES["xen"], TITLES["paravane"]]


def print_tables(runs):
    for heading, rows in TABLES:
        if found := lines(runs, rows):
            print_table([heading, *HEADER[1:]], found)
    print_table(MEMORY_HEADER, memory_lines(runs))


def instruction_times(counts):
    """Table lines of durations by the counted clock, of both, for those rows that were measured so."""
    times = {hypervisor: [counts[hypervisor]["times"]] for hypervisor in counts}
    out = []
    for heading, rows in TABLES:
        for key, title, unit in rows:
            if found := ratios(times, key, unit):
                out.append([f"{heading}: {title}", *(figure(times[h][0][key], unit) for h in ("xen", "paravane")), f"{found[0]:.2f}"])
    return out


INSTRUCTIONS_HEADER = ["a nanosecond an instruction", TITLES["xen"], TITLES["paravane"], "Paravane as fast as it"]


def print_counts(counts):
    print_table(INSTRUCTIONS_HEADER, instruction_times(counts))
    for phase, title in dom0_counts.PHASES.items():
        print_table([title, TITLES["xen"], TITLES["paravane"], "Paravane/Xen"], dom0_counts.lines(counts, phase))


def plot_rows(runs):
    rows = [(f"{heading}: {title}".replace("`", ""), statistics.median(found)) for heading, part in TABLES for key, title, unit in part
            if (found := ratios(runs, key, unit))]
    return [(title, [value]) for title, value in rows]


INTRODUCTION = """\
<!-- SPDX-License-Identifier: MIT -->
# A host on Paravane, and on Xen 4.17

<!-- Written by tests/bench/bench-dom0 --docs: run it again instead of changing it. -->

    make bench-dom0                                        these tables: terminal, build/bench/dom0/results.json, a plot
    make bench-dom0 BENCH_ARGS=--docs=docs/performance-dom0.md

The same Debian dom0 ([dom0-image.md](dom0-image.md)) on both hypervisors: one disk, one kernel (Debian's {kernel}), the same unmodified
tools. One QEMU, `-machine q35 -cpu qemu64` (the peer's dom0 needs that CPU, so both get it), {cpus} CPUs, {memory} MiB, of which dom0 has 640; QEMU
has all of it before the machine starts (`prealloc=on`), so that nobody pays for the first touch. Guests run the same kernel, with one vCPU and {mib} MiB. {qemu}; Paravane at revision {revision}.

`tests/bench/meter` measures disks and networks, in dom0 and in guests: direct I/O, one request at a time, on a disk whose image the computer
has in its memory; TCP without Nagle's delay. Guests' cards are on a bridge of dom0's. Pings come every 50 ms, the first with its ARP.
"""

TIME_TEXT = """\
## Time

{boots} boots of each, in turn, under QEMU's translator (`-accel tcg,thread=multi`); in each boot every row is measured once. A translator makes
other things dear than a CPU does: a change of address space costs most, so that this says little about a real machine. What says more are the
counts further down. Seconds and microseconds are given so that one knows what is spoken of; they hold for one computer. What is compared is how
many times as fast Paravane is, between boots that follow each other: above 1 it is faster.{beside}
"""

MEMORY_TEXT = """\
## Memory

What `XEN_SYSCTL_physinfo` calls free, without guests, and with guests of 16 MiB that sleep (the SDK's kernel `hello`, made by xl).
"""

INSTRUCTIONS_TEXT = """\
## Durations in instructions

The same programs with one CPU and `-icount shift=0,sleep=off`: the clock advances by a nanosecond for each instruction, whosever it is, and jumps to
the next timer when the CPU is idle. So this does not depend on the computer, and has no dear or cheap instructions. One session of each; what waits for a disk is
left out, since the disk takes the computer's time. Pings of that kind show what wakes late: nothing else can delay one.
"""

COUNTS_TEXT = """\
## What is asked of the hypervisor

Counted by a plugin of the emulator, with one CPU and `-icount shift=0,sleep=off`, so that the computer's pace decides nothing; dom0's tools wait by the
clock, which makes counts of two runs differ a little. Kernels and programs are the same files: what differs was
caused by the hypervisor. "The gate" is the code of Paravane that guests' system calls, page faults and some hypercalls do not leave.
"""

COUNTS_END = """\
What the differences come from:

- *M2P over holes.* Linux looks up frames of devices' memory in the machine-to-physical table. Xen leaves the table unmapped there, so that each look-up
  is a page fault that the kernel repairs. Paravane maps it, with entries that say "none".
- *Port 0x42.* A kernel measures the TSC by the timer chip. A guest without that chip reads 0xff from Xen each time, and tries until it has had enough;
  from Paravane it reads 0, and gives up at the first look.
- *RDTSC.* Guests of Xen trap at each one where the CPU does not say that its TSC is invariant, as this one; those of Paravane never do, which is
  in the returns.
- *Single updates.* Most of `mmu_update`'s calls have one entry; that path has no loop and takes one lock.
"""


def text(results, beside):
    runs, counts = results["runs"], results.get("counts")
    qemu = version(["qemu-system-x86_64", "--version"]).splitlines()[0]
    parts = [INTRODUCTION.format(qemu=qemu, revision=results["made_of"]["revision"], cpus=CPUS, memory=MEMORY, mib=GUEST_MIB,
                                 kernel=machines.kernel_name(machines.CACHE / "vmlinux-6.1"))]
    if boots := min(map(len, runs.values())):
        parts.append("\n" + TIME_TEXT.format(boots=boots, beside=beside and f" {beside}"))
        parts += [f"\n### {heading}\n\n" + markdown(HEADER, lines(runs, rows)) for heading, rows in TABLES]
        parts.append("\n![Times as fast as on Xen 4.17](performance-dom0.svg)\n\n" + MEMORY_TEXT + "\n" + markdown(MEMORY_HEADER, memory_lines(runs)))
    else:
        parts.append("\nThis run measured no wall times, so it has nothing of disks, of save and restore, and of memory.\n")
    if counts:
        parts.append("\n" + INSTRUCTIONS_TEXT + "\n" + markdown(INSTRUCTIONS_HEADER, instruction_times(counts)))
        parts.append("\n" + COUNTS_TEXT)
        parts += ["\n" + markdown([title, TITLES["xen"], TITLES["paravane"], "Paravane/Xen"], dom0_counts.lines(counts, phase))
                  for phase, title in dom0_counts.PHASES.items()]
        parts.append("\n" + COUNTS_END)
    return "".join(parts)


def write(results, out, docs, beside=""):
    (out / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    rows = plot_rows(results["runs"])
    drawn = plot.bars("Paravane, times as fast as Xen 4.17 (medians of wall time under emulation)", ["Paravane"], rows, "Xen 4.17") if rows else ""
    (out / "dom0.svg").write_text(drawn)
    if docs and drawn:
        (docs.parent / "performance-dom0.svg").write_text(drawn)
    if docs:
        docs.write_text(text(results, beside))
