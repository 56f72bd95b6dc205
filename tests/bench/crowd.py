# SPDX-License-Identifier: MIT
"""Ordinary guests on both hypervisors: the test kernel `crowd`, alone as the control domain, builds some of the kernel `member`."""
import re
import subprocess
import time

import machines
from machines import BUILD, Failure

LIMIT = 240
COST = re.compile(r"BENCH (\w+) (\d+) ns (\d+) cycles")
TRIPS = re.compile(r"BENCH trips of \d+: min (\d+) median (\d+) p99 (\d+) max (\d+) ns")
SHARE = re.compile(r"BENCH share weight (\d+): (\d+) ns of (\d+)")
PAIR = ["ping", "pong"]
TITLES = {"null_hypercall": "in an ordinary guest: null_hypercall", "ping_pong_guests": "an event to another guest, and its answer"}


def arguments(words, guests):
    return " ".join([words, *(f"-- {guest}" for guest in guests)])


def run(machine, kind, cpus, words, guests, hypervisor):
    """All that the machine printed until the crowd was over."""
    qemu = [str(cpus) if machines.QEMU[i - 1] == "-smp" else word for i, word in enumerate(machines.QEMU)]
    options = "console=com1 dom0_mem=128M dom0_max_vcpus=1" + (" loglvl=none" if machine == "xen" else "")
    kernels = f"{BUILD / 'guest' / 'crowd.elf'} {arguments(words, guests)},{BUILD / 'guest' / 'member.elf'}"
    process = subprocess.Popen(qemu + kind + ["-kernel", str(hypervisor), "-append", options, "-initrd", kernels], stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    log = []
    try:
        for line in machines.lines_of(process, time.monotonic() + LIMIT):
            log.append(line)
            if "RESULT crowd" in line:
                return "\n".join(log)
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()
    raise Failure(f"{machines.TITLES[machine]}: the crowd did not come to its end:\n" + "\n".join(log[-25:]))


def costs(text):
    """{operation: (ns, cycles)}"""
    found = {name: (int(ns), int(cycles)) for name, ns, cycles in COST.findall(text)}
    if not set(TITLES) <= set(found):
        raise Failure("the pair gave no figures:\n" + text[-1500:])
    return found


def counted(machine, hypervisor):
    """Instructions of each operation, by the clock, whose nanosecond is one then: the peer may emulate the TSC of guests."""
    return {name: ns for name, (ns, _) in costs(run(machine, machines.COUNTED, 1, "pair", PAIR, hypervisor)).items()}


def timed(machine, hypervisor):
    """ns of each operation, with two CPUs."""
    return {name: ns for name, (ns, _) in costs(run(machine, machines.TIMED, 2, "pair", PAIR, hypervisor)).items()}


def wake_up(machine, hypervisor, hogs):
    """{what: ns} of a round trip between two guests, each ms, beside so many that never sleep, on one CPU. Counted: a ns an instruction."""
    text = run(machine, machines.COUNTED, 1, "pair", ["spin"] * hogs + ["ping rounds=500 pause=1000", "pong"], hypervisor)
    if not (match := TRIPS.search(text)):
        raise Failure("no round trips:\n" + text[-1500:])
    return dict(zip(("min", "median", "p99", "max"), map(int, match.groups())))


def shares(machine, hypervisor, weights, seconds):
    """Of each weight, its CPU time over what is due to it, all on one CPU. Counted, as above."""
    text = run(machine, machines.COUNTED, 1, f"seconds={seconds}", [f"spin weight={w}" for w in weights], hypervisor)
    return due(SHARE.findall(text))


def due(found):
    """`found`: (weight, ns, _) of each; {weight: of what is due}."""
    ran = {int(weight): int(ns) for weight, ns, _ in found}
    return {weight: ns / sum(ran.values()) * sum(ran) / weight for weight, ns in ran.items()}

