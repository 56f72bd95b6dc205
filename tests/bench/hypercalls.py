# SPDX-License-Identifier: MIT
"""What hypercalls, traps and events cost by themselves: the guest kernel `bench` on both hypervisors, and two ordinary guests."""
import re
import statistics
import subprocess
import sys
import time

import crowd
import machines
from machines import BUILD, Failure

LIMIT = 60
LINE = re.compile(r"BENCH (\w+) +(\d+) ns +(\d+) cycles")
COUNTED, TIMED = (1, 500, machines.COUNTED), (2, 2000, machines.TIMED)  # CPUs, operations, QEMU's options


def command(machine, setting, kind, modules):
    cpus, rounds, extra = kind
    kernel, empty = modules
    qemu = [str(cpus) if machines.QEMU[i - 1] == "-smp" else word for i, word in enumerate(machines.QEMU)]
    options = f"console=com1 dom0_mem=128M dom0_max_vcpus={cpus}" + (" loglvl=none" if machine == "xen" else "")
    return qemu + extra + ["-kernel", str(setting.hypervisors[machine]), "-append", options,
                           "-initrd", f"{kernel} rounds={rounds},{empty}"]


def run(machine, setting, kind, modules):
    """Name: (ns, cycles) of each operation. A machine that hangs in one has no figures from there on."""
    rows, log = {}, []
    process = subprocess.Popen(command(machine, setting, kind, modules), stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        for line in machines.lines_of(process, time.monotonic() + LIMIT):
            log.append(line)
            if match := LINE.search(line):
                rows[match[1]] = int(match[2]), int(match[3])
            if "bench.events" in line:
                return rows
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()
    if not rows:
        raise Failure(f"{machines.TITLES[machine]}: the bench kernel gave no figures:\n" + "\n".join(log[-25:]))
    print(f"bench: {machines.TITLES[machine]}: the bench kernel stopped after {list(rows)[-1]}", file=sys.stderr)
    return rows


def modules_of(setting):
    """The kernel, and the ramdisk the peer wants but nobody reads."""
    empty = setting.ramdisk.with_name("empty")
    empty.write_bytes(bytes(16384))
    return BUILD / "guest" / "bench.elf", empty


def hypervisors_of(names):
    return [name for name in names if name != "native"]


def counted(names, setting, say):
    """Instructions of each operation, by machine. One reading each: they hold a share of the timer's interrupts."""
    result = {}
    for machine in hypervisors_of(names):
        say(f"counting hypercalls: {machines.TITLES[machine]}")
        rows = run(machine, setting, COUNTED, modules_of(setting))
        result[machine] = {name: cycles for name, (_, cycles) in rows.items()} | pair(crowd.counted, machine, setting)
    return result


def pair(measure, machine, setting):
    return {crowd.TITLES[name]: value for name, value in measure(machine, setting.hypervisors[machine]).items()}


def timed(names, setting, say, repeats):
    """ns of each operation with two CPUs, by machine: the medians of several boots in turn."""
    readings = {machine: {} for machine in hypervisors_of(names)}
    for repeat in range(repeats):
        for machine in readings:
            say(f"hypercalls in time, run {repeat + 1} of {repeats}: {machines.TITLES[machine]}")
            for name, (ns, _) in run(machine, setting, TIMED, modules_of(setting)).items():
                readings[machine].setdefault(name, []).append(ns)
            for name, ns in pair(crowd.timed, machine, setting).items():
                readings[machine].setdefault(name, []).append(ns)
    return {machine: {name: statistics.median(ns) for name, ns in rows.items()} for machine, rows in readings.items()}
