# SPDX-License-Identifier: MIT
"""docs/performance.md: the figures of one run and the commands that made them."""
import subprocess

import missed
import report

INTRODUCTION = """\
<!-- SPDX-License-Identifier: MIT -->
# What running on Paravane costs

<!-- Written by tests/bench/bench --docs: run it again instead of changing it. -->

Three machines, one QEMU, one emulated CPU (`-cpu qemu64`, which the peer starts on as well): Linux on QEMU itself,
Linux as the control domain, alone, of Debian's Xen 4.17, and of Paravane. All three run the same kernel file
(Debian's {kernel}) and the same program as init (`tests/bench/program`, no C library), with Debian's default
mitigations. Both hypervisors get `console=com1 dom0_mem=512M`, Xen also `dom0_max_vcpus=1`; the kernels get
`quiet panic=-1`. The program's own addresses are not random, since luck would decide which mappings share page tables;
those of programs it starts are.

    make bench-quick                              the goals, in counted instructions
    make bench                                    all of this page's tables: terminal, {out}/results.json, plots
    make bench BENCH_ARGS=--docs=docs/performance.md              and into this page; with --counted as well, all but times
    make bench-profile ROW=pipe PROFILE_ARGS=--guest    where one row's instructions go, by function

A Debian control domain with its guests, disks and networks: [performance-dom0.md](performance-dom0.md). Many guests: [scale.md](scale.md).

## Instructions

`qemu-system-x86_64 -icount shift=0,sleep=off`: the emulator advances guest time, and with it the TSC, by 1 ns for each
instruction. So the TSC counts instructions: guest's and hypervisor's together. A loop of 2,000,000 instructions checks
that in each full run, on each machine. The figure is the least of {rounds} rounds: of short rows, the one without a timer's
interrupt; long rows have some in all. Instructions are not time: a flush of the TLB or a change of ring costs more
than its one instruction on any real CPU, and more under QEMU's translator too (see the last tables).
"""

GOALS = """\
The goals are those of the design, set on another program (native then: 337, 91 k, 10.6 k, 157 k, 607 k; Xen: 1109,
297 k, 20.8 k, 618 k, 1841 k). This one was sized to come near to native's and Xen's figures of then. The mapping that
has a goal lies far from all others, so that page tables come and go with it; beside others it is much cheaper, on both
hypervisors, and its figure is not the goal's.
"""

HYPERCALLS = """\
## Hypercalls, traps and events

The guest kernel `guest/kernels/bench` on both hypervisors, counted as above; one reading each, of 500 operations, with
whatever interrupts came in it. In the last two rows two ordinary guests, built by the kernel `crowd`, do the work, and
nobody else runs: each sends the other an event and sleeps until one comes, so that the one CPU goes from guest to guest.
"""

MISSED = """\
## Where the instructions go

The rows with goals under a profiler, instructions of one operation by part (`make bench-profile ROW=...` shows all functions). The part
"guest kernel" runs in the guest and is out of reach, but for how often it enters the hypervisor. What is left of the hypervisor's:

- *Page tables* (`validate`, `table_put_entries`): a process that is born or ends has its tables validated or taken
  apart. Each L1 table costs a look at 512 entries, and each present entry a reference, for memory mapped writable also a use, taken
  and given back by compare-and-swap.
- *Single entries* (`mm_update_entry`, `update_other`): a lock, a reference to the table, two frames' counts, one swap.
- *The way in and out* (`trap_from_guest`, `run_loop`): about 110 instructions for each hypercall or trapped write, besides the gate's
  and the two changes of root.
- *Guest memory* (`copy_from_vcpu`, `hold`): an argument costs about 100 instructions, and another 90 (`remember`) where the upper levels of
  its tables were not [remembered](memory.md#remembered-walks).
"""

TIMED_BEGIN = "\n## Time\n"
TIMED = TIMED_BEGIN[1:] + """
Paravane at revision {revision}. Time under QEMU's translator: {repeats} boots of each machine in turn, the median of {rounds_timed} rounds in each boot; a ratio is
taken between boots that follow each other. Read it as provisional: other work ran on the computer, and a translator makes
other things dear than a CPU does (changes of address space, above all). The loop never leaves user mode and costs all three
the same: as far as its row is from 1, so far may any other be off.

The last column is why some rows take longer than on Xen as Debian starts it on this CPU: there Xen's memory stays in the address space of
its guests, and a hypercall changes no root. Paravane's never is, on any CPU. With `xpti=on` Xen separates the two as well, which it does by
itself on CPUs with Meltdown, and also changes the root at each hypercall, and at each system call and page fault. Under QEMU each change empties the
TLB, and `make bench-pages ROW=fault_file` counts what has to be loaded again ([of some rows](memory.md#what-a-change-of-root-costs)). On a CPU with PCIDs most of Paravane's changes keep the guest's
translations ([counted](decisions/0010-kept-translations.md)).
"""

HYPERCALLS_NS = """\
The guest kernel `bench` in ns, with two CPUs and two vCPUs: `ping_pong_blocked` is an event to a vCPU that is blocked
on the other CPU, and its answer. The last two rows are of two ordinary guests, as above.
"""


def markdown(header, lines):
    rows = [header, ["---"] + ["--:"] * (len(header) - 1), *lines]
    return "\n".join("| " + " | ".join(str(c) for c in row) + " |" for row in rows) + "\n"


def version(command):
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()


def timed_part(page):
    """Of the page as it is: all from the tables of time on, which a run without them leaves alone."""
    before, begin, rest = page.partition(TIMED_BEGIN)
    return begin + rest


def text(results, settings, kept=""):
    """`settings`: kernel, rounds (counted), rounds_timed, repeats, revision."""
    qemu = version(["qemu-system-x86_64", "--version"]).splitlines()[0]
    parts = [INTRODUCTION.format(out="build/bench", **settings),
             f"\n{qemu}; Paravane at revision {settings['revision']}.\n",
             "\n" + markdown(report.COUNTED_HEADER, report.counted_lines(results["counted"])), "\n" + GOALS,
             "\n![Instructions, as a multiple of native](performance-counted.svg)\n"]
    if results.get("hypercalls"):
        parts += ["\n" + HYPERCALLS, "\n" + markdown(report.HYPERCALLS_HEADER,
                                                     report.hypercall_lines(results["hypercalls"]))]
    if results.get("missed"):
        parts += ["\n" + MISSED, "\n" + markdown(missed.HEADER, missed.lines(results["missed"], report.ROWS))]
    if results.get("timed"):
        parts += ["\n" + TIMED.format(**settings),
                  "\n" + markdown(report.TIMED_HEADER, report.timed_lines(results["timed"])),
                  "\n![Time, as a multiple of native](performance-timed.svg)\n"]
    else:
        parts.append(kept)
    if results.get("hypercalls_ns"):
        parts += ["\n" + HYPERCALLS_NS, "\n" + markdown(report.HYPERCALLS_HEADER,
                                                        report.hypercall_lines(results["hypercalls_ns"]))]
    return "".join(parts)
