# SPDX-License-Identifier: MIT
"""What dom0's boot, and a guest's start by xl, ask of each hypervisor: instructions, traps, hypercalls, by a plugin of the emulator.

One CPU and -icount: time is a nanosecond an instruction, and an idle CPU's time passes at once, so that the pace of the
computer decides nothing but when a disk answers. So durations are measured too, where no disk is waited for.
"""
import os
import re
import signal
from collections import Counter

import dom0_rows
import machines
import missed
from dom0_session import Session
from machines import BUILD, COUNTED, PROGRAMS

KERNEL_START = 0xffffffff81000000
LIMIT = 900
STAGES = ["guests", "network", "ends"]
PHASES = {"boot": "dom0, from power-on to its shell", "guest": "`xl create` of a guest without devices, to its shell"}
# Functions of Linux that are entered for each. (That kernel has no page of hypercalls by which to tell them apart.)
FUNCTIONS = {"one": "__xen_set_pte", "batches": "xen_mc_flush", "iret": "xen_iret", "faults": "exc_page_fault", "repaired": "fixup_exception",
             "events": "xen_pv_evtchn_do_upcall"}
PARTS = ["hypervisor", "gate", "guest kernel", "user"]


def read(path):
    """Blocks, and {(kind, address): times} of marked instructions."""
    blocks, marks = [], Counter()
    for line in path.read_text().splitlines():
        first, second, times = line.split()
        if first.startswith("+"):
            marks[first[1:], int(second, 16)] += int(times)
        else:
            blocks.append((int(first, 16), int(second), int(times)))
    return blocks, marks


def kernels_symbols(tool):
    ramdisk = machines.make_ramdisk(PROGRAMS / "profile.cpio")
    return tool.guest_symbols(machines.Setting(ramdisk))


def profile_of(tool, hypervisor, guest, blocks):
    symbols, image = tool.Symbols(), None
    if hypervisor == "paravane":
        pairs, image = tool.hypervisor_symbols(BUILD / "paravane")
        symbols.add(pairs)
    symbols.add(guest)
    profile = tool.Profile(hypervisor, symbols, image)
    for block in blocks:
        profile.add(*block)
    return profile


def within(profile, marks, kind, parts, names=""):
    """How often such instructions ran in these parts, in functions so named."""
    return sum(times for (k, address), times in marks.items() if k == kind and profile.part(address) in parts and
               re.search(names, (profile.symbols.find(address) or ("-",))[0]))


def summary(profile, marks):
    """{row: count} of one phase."""
    kernel, inside = ("guest kernel",), ("hypervisor", "gate")
    entries = {name: n for (part, name), n in profile.entries.items() if part == "guest kernel"}
    rows = {f"instructions.{part}": profile.by_part.get(part, 0) for part in PARTS}
    rows["instructions"] = sum(profile.by_part.values())
    rows["returns"] = sum(within(profile, marks, kind, inside) for kind in ("iret", "sysret"))
    rows["hypercalls"] = within(profile, marks, "syscall", kernel)
    for row, function in FUNCTIONS.items():
        rows[row] = entries.get(function, 0)
    rows["in"], rows["out"] = within(profile, marks, "in", kernel), within(profile, marks, "out", kernel)
    rows["in.pit"] = within(profile, marks, "in", kernel, r"pit_|calibrate")
    rows["pci"] = sum(n for name, n in entries.items() if re.match(r"pci_conf1_|(read|write)_pci_config", name))
    for kind in ("rdtsc", "cpuid", "rdmsr", "wrmsr"):
        rows[kind] = within(profile, marks, kind, kernel)
    return rows


def end(session):
    """By a signal that QEMU knows, so that it ends in peace."""
    os.kill(session.machine.process.pid, signal.SIGTERM)
    session.machine.wait_end(60)
    session.machine.kill()


def count(hypervisor, files, out, say):
    """{phase: {row: count}}, and as "times" the rows of some stages."""
    tool = missed.profile_tool()
    guest, marks = kernels_symbols(tool), tool.nm(PROGRAMS / "meter")
    blocks_file = (out / f"{hypervisor}.blocks").resolve()
    plugin = (f"{(PROGRAMS / 'profile.so').resolve()},begin={marks['meter_mark_begin']:x},end={marks['meter_mark_end']:x},"
              f"out={blocks_file},kinds=on")
    say(f"counting instructions: {machines.TITLES[hypervisor]}")
    session = Session(files, hypervisor, out / f"{hypervisor}.counts.log", smp=1, accel=COUNTED[1], extra=[*COUNTED[2:], "-plugin", plugin])
    result = {}
    try:
        session.machine.expect("READY dom0", LIMIT)
        session.prepare()
        session.sh("meter end")
        blocks, kinds = read(blocks_file)
        result["boot"] = summary(profile_of(tool, hypervisor, guest, blocks), kinds)
        session.sh("meter begin", LIMIT)
        session.create("bare")
        session.sh("meter end")
        blocks, kinds = read(blocks_file)
        result["guest"] = summary(profile_of(tool, hypervisor, guest, blocks), kinds)
        session.sh("xl destroy bare")
        result["times"] = {}
        for stage in STAGES:
            say(f"durations in instructions: {machines.TITLES[hypervisor]}: {stage}")
            result["times"].update(dom0_rows.STAGES[stage](session))
    finally:
        end(session)
    return result


ROWS = {
    "instructions": "instructions", "instructions.hypervisor": "- the hypervisor's", "instructions.gate": "- its gate's",
    "instructions.guest kernel": "- of the kernels", "instructions.user": "- of programs",
    "returns": "returns from the hypervisor or its gate (IRET, SYSRET)",
    "hypercalls": "hypercalls", "one": "- one page-table entry each (`mmu_update`)", "batches": "- batches of Linux's (`multicall`, or the one call in it)",
    "iret": "- returns to user mode (`iret`)", "events": "upcalls for events",
    "faults": "page faults that the kernel was given", "repaired": "- of these by the kernel itself, and repaired (M2P over holes)",
    "in": "IN", "in.pit": "- of these while the timer chip is looked at (port 0x42)", "out": "OUT", "pci": "PCI configuration, by ports",
    "rdtsc": "RDTSC of the kernel", "cpuid": "CPUID of the kernel", "rdmsr": "RDMSR", "wrmsr": "WRMSR",
}


def lines(counts, phase):
    """Table lines: both counts, and ours as a part of the peer's."""
    out = []
    for row, title in ROWS.items():
        there, here = (counts[h][phase].get(row, 0) for h in ("xen", "paravane"))
        if there or here:
            out.append([title, f"{there:,}", f"{here:,}", f"{here / there:.2f}x" if there else "-"])
    return out
