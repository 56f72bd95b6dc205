# SPDX-License-Identifier: MIT
"""What hypercalls, traps and events cost by themselves: the guest kernel `bench` on both hypervisors."""
import re
import subprocess
import time

import machines
from machines import BUILD, Failure

LIMIT = 300
LINE = re.compile(r"BENCH (\w+) +(\d+) ns +(\d+) cycles")


def command(machine, setting, kernel, empty):
    options = "console=com1 dom0_mem=128M" + (" dom0_max_vcpus=1 loglvl=none" if machine == "xen" else "")
    return machines.QEMU + machines.COUNTED + ["-kernel", str(setting.hypervisors[machine]), "-append", options,
                                               "-initrd", f"{kernel} rounds=500,{empty}"]


def run(machine, setting, kernel, empty):
    rows = {}
    process = subprocess.Popen(command(machine, setting, kernel, empty), stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        for line in machines.lines_of(process, time.monotonic() + LIMIT):
            if match := LINE.search(line):
                rows[match[1]] = int(match[3])
            if "bench.events" in line:
                return rows
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()
    raise Failure(f"{machines.TITLES[machine]}: the bench kernel did not come to its end; it gave {', '.join(rows)}")


def counted(names, setting, say):
    """Instructions of each operation, by machine. One reading each: they hold a share of the timer's interrupts."""
    kernel, empty, result = BUILD / "guest" / "bench.elf", setting.ramdisk.with_name("empty"), {}
    empty.write_bytes(bytes(16384))
    for machine in names:
        if machine != "native":
            say(f"counting hypercalls: {machines.TITLES[machine]}")
            result[machine] = run(machine, setting, kernel, empty)
    return result
