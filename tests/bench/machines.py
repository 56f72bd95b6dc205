# SPDX-License-Identifier: MIT
"""The machines compared, and how one of them is run: which files it boots, and what its program printed."""
import hashlib
import importlib.machinery
import importlib.util
import os
import re
import select
import subprocess
import time
from pathlib import Path

BUILD = Path(os.environ.get("BUILD", "build"))
CACHE = Path(os.environ.get("PARAVANE_CACHE") or BUILD / "cache")
PROGRAMS = BUILD / "bench"
TOP = Path(__file__).resolve().parents[2]
MACHINES = ["native", "xen", "paravane"]
# Xen with its memory out of reach of guests, as Paravane's always is: only its time is of interest.
SEPARATED = "xen_xpti"
TITLES = {"native": "native", "xen": "Xen 4.17", "paravane": "Paravane", SEPARATED: "Xen 4.17 with xpti=on"}
# One CPU, of a kind that the peer starts on as well.
QEMU = ["qemu-system-x86_64", "-machine", "q35", "-cpu", "qemu64", "-m", "1024", "-smp", "1", "-no-reboot",
        "-display", "none", "-monitor", "none", "-serial", "stdio", "-nic", "none"]
COUNTED = ["-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off"]
TIMED = ["-accel", "tcg,thread=multi"]
S_FILE = 0o100000


class Failure(Exception):
    """Something the user must know; its text is the whole message."""


def ramdisk_tool():
    path = str(TOP / "guest-images" / "linux" / "make-ramdisk")
    loader = importlib.machinery.SourceFileLoader("make_ramdisk", path)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("make_ramdisk", loader))
    loader.exec_module(module)
    return module


def make_ramdisk(path):
    """Nothing but the program as init, busybox for the loads, and the device nodes the rows open."""
    tool = ramdisk_tool()
    cpio = tool.Cpio()
    for name in ["bin", "dev", "tmp"]:
        cpio.add(name, tool.S_DIR | 0o755)
    for name, minor in [("null", 3), ("zero", 5)]:
        cpio.add(f"dev/{name}", tool.S_CHAR | 0o666, device=(1, minor))
    cpio.add("dev/console", tool.S_CHAR | 0o600, device=(5, 1))
    for name, source in [("init", PROGRAMS / "program"), ("bin/nothing", PROGRAMS / "nothing"),
                         ("bin/busybox", CACHE / "busybox")]:
        cpio.add(name, S_FILE | 0o755, source.read_bytes())
    cpio.add("bin/sh", tool.S_LINK | 0o777, b"busybox")
    path.write_bytes(cpio.finish())
    return path


class Setting:
    """What does not change between the machines of one comparison."""

    def __init__(self, ramdisk, kernel=None, hypervisors=None, options=""):
        self.ramdisk = ramdisk
        self.kernel = kernel or CACHE / "vmlinux-6.1"
        self.hypervisors = {"xen": CACHE / "xen-4.17", "paravane": BUILD / "paravane", **(hypervisors or {})}
        self.hypervisors[SEPARATED] = self.hypervisors["xen"]
        self.options = options  # added to the hypervisor's own


def digest(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def revision():
    """Of the hypervisor's source as measured, so taken at the start; "+" when it has changes not committed."""
    def git(*words):
        return subprocess.run(["git", *words], capture_output=True, text=True).stdout.strip()
    return git("rev-parse", "--short", "HEAD") + ("+" if git("status", "--porcelain", "--", "hypervisor") else "")


def kernel_name(path):
    """As the kernel names itself: "Linux version 6.1..."."""
    match = re.search(rb"Linux version (\S+) ", path.read_bytes())
    return f"Linux {match[1].decode()}" if match else path.name


def linux_options(console, arguments):
    return f"console={console} quiet panic=-1 -- {arguments}"


def command(machine, setting, arguments, extra, options=None):
    """The whole QEMU command. `arguments` go to the program, which runs as init. `options`: native Linux's instead."""
    base = QEMU + extra
    if machine == "native":
        return base + ["-kernel", str(setting.kernel), "-initrd", str(setting.ramdisk), "-append",
                       options or linux_options("ttyS0", arguments)]
    options = f"console=com1 dom0_mem=512M {setting.options}".strip()
    if machine in ("xen", SEPARATED):
        options = "console=com1 dom0_mem=512M dom0_max_vcpus=1" + (" xpti=on" if machine == SEPARATED else "")
    modules = f"{setting.kernel} {linux_options('hvc0', arguments)},{setting.ramdisk}"
    return base + ["-kernel", str(setting.hypervisors[machine]), "-append", options, "-initrd", modules]


def lines_of(process, deadline):
    """Lines the machine prints until it ends or its time is over."""
    pending, fd = b"", process.stdout.fileno()
    while time.monotonic() < deadline:
        if not select.select([fd], [], [], 0.5)[0]:
            continue
        data = os.read(fd, 65536)
        if not data:
            return
        *lines, pending = (pending + data).split(b"\n")
        for line in lines:
            yield line.decode(errors="replace").rstrip("\r")


def boot(machine, setting, arguments, extra, limit, options=None):
    """Run one machine until its program has ended; its output."""
    log, ended = [], False
    process = subprocess.Popen(command(machine, setting, arguments, extra, options), stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        for line in lines_of(process, time.monotonic() + limit):
            log.append(line)
            if "BENCH-END" in line or "BENCH-FAILED" in line:
                ended = "BENCH-END" in line
                break
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()
    if not ended:
        tail = "\n".join(log[-25:])
        raise Failure(f"{TITLES[machine]}: the program did not come to its end in {limit} s:\n{tail}")
    return log


def parse(log):
    """Ticks of each operation by row and round, and ticks in a nanosecond."""
    rows, clock = {}, 1.0
    for line in log:
        if match := re.search(r"BENCH-CLOCK (\d+) (\d+)", line):
            clock = int(match[1]) / max(int(match[2]), 1)
        elif match := re.search(r"BENCH (\w+) (\d+) ([\d ]+)$", line):
            rows[match[1]] = [int(n) / int(match[2]) for n in match[3].split()]
    return rows, clock


def measure(machine, setting, rows, counted, rounds, scale=1, limit=600):
    arguments = f"rounds={rounds} scale={scale}" + (f" rows={':'.join(rows)}" if rows else "")
    log = boot(machine, setting, arguments, COUNTED if counted else TIMED, limit)
    return parse(log)
