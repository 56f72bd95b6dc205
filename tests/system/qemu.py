# SPDX-License-Identifier: MIT
"""A machine in QEMU with the hypervisor, its serial line in our hands. Always emulated (TCG), always with a time limit."""
import os
import re
from pathlib import Path

from emulator import Emulator

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("BUILD") or ROOT / "build").resolve()
CACHE = Path(os.environ.get("PARAVANE_CACHE") or BUILD / "cache").resolve()
DEBUG_KERNEL = BUILD / "debug" / "paravane"
GUESTS, IMAGES = BUILD / "guest", BUILD / "images"
QEMU = os.environ.get("QEMU", "qemu-system-x86_64")
# What the kernel `devices` drives.
DEVICES = ("-device", "edu", "-device", "e1000e")
# What must never be on the serial line, whatever a guest does.
HOST_FAILURES = re.compile(r"^paravane: (PANIC.*|.* in the hypervisor.*)$", re.M)


def find(name):
    """A guest's file by its name, as scripts/run looks for it."""
    for place in (GUESTS, CACHE, IMAGES):
        if (place / name).is_file():
            return place / name
    raise FileNotFoundError(f"{name} is in none of {GUESTS}, {CACHE}, {IMAGES}")


def module(text):
    """A module for QEMU: "hello.elf stay" -> its path and arguments, commas doubled."""
    name, _, arguments = str(text).partition(" ")
    path = name if "/" in name else str(find(name))
    return f"{path} {arguments}".strip().replace(",", ",,")


class Machine(Emulator):
    """One run of QEMU. `modules` are names of guests' files, or paths, with their arguments behind a blank."""

    def __init__(self, log, modules=(), append="", machine="q35", cpu="max", smp=2, memory=1024, kernel=None, extra=(),
                 panics=False, accel="tcg,thread=multi"):
        command = [QEMU, "-accel", accel, "-machine", machine, "-cpu", cpu, "-smp", str(smp), "-m", str(memory),
                   "-display", "none", "-monitor", "none", "-net", "none", "-no-reboot",
                   "-chardev", "stdio,id=com1,signal=off", "-serial", "chardev:com1"]
        if kernel is not False:
            command += ["-kernel", str(kernel or BUILD / "paravane"), "-append", f"console=com1 color=off {append}".strip()]
        if modules:
            command += ["-initrd", ",".join(module(m) for m in modules)]
        super().__init__(log, command + list(extra), panics)
