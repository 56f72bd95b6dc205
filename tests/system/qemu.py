# SPDX-License-Identifier: MIT
"""A machine in QEMU with the hypervisor, its serial line in our hands. Always emulated (TCG), always with a time limit."""
import os
import re
import termios
import time
from pathlib import Path

import pexpect

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("BUILD") or ROOT / "build").resolve()
CACHE = Path(os.environ.get("PARAVANE_CACHE") or BUILD / "cache").resolve()
DEBUG_KERNEL = BUILD / "debug" / "paravane"
GUESTS, IMAGES = BUILD / "guest", BUILD / "images"
QEMU = os.environ.get("QEMU", "qemu-system-x86_64")
ESCAPES = re.compile(r"\x1b\[[0-9;]*m|\r")
# What the kernel `devices` drives.
DEVICES = ("-device", "edu", "-device", "e1000e")
# What must never be on the serial line, whatever a guest does.
HOST_FAILURES = re.compile(r"^paravane: (PANIC.*|.* in the hypervisor.*)$", re.M)


def plain_terminal():
    """In QEMU's process: its standard output's terminal adds no carriage returns."""
    attributes = termios.tcgetattr(1)
    attributes[1] &= ~termios.ONLCR
    termios.tcsetattr(1, termios.TCSANOW, attributes)


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


class Machine:
    """One run of QEMU. `modules` are names of guests' files, or paths, with their arguments behind a blank."""

    def __init__(self, log, modules=(), append="", machine="q35", cpu="max", smp=2, memory=1024, kernel=None, extra=(),
                 panics=False, accel="tcg,thread=multi"):
        self.panics = panics  # meant to: else a panic fails the test
        self.log_path = Path(log)
        command = ["-accel", accel, "-machine", machine, "-cpu", cpu, "-smp", str(smp), "-m", str(memory),
                   "-display", "none", "-monitor", "none", "-net", "none", "-no-reboot",
                   "-chardev", "stdio,id=com1,signal=off", "-serial", "chardev:com1"]
        if kernel is not False:
            command += ["-kernel", str(kernel or BUILD / "paravane"), "-append", f"console=com1 color=off {append}".strip()]
        if modules:
            command += ["-initrd", ",".join(module(m) for m in modules)]
        self.log_file = open(self.log_path, "w", encoding="utf-8", errors="replace", newline="")
        self.log_file.write(f"$ {QEMU} {' '.join(repr(c) if ' ' in c else c for c in command + list(extra))}\n")
        self.started = time.monotonic()
        self.qemu = pexpect.spawn(QEMU, command + list(extra), timeout=60, encoding="utf-8", codec_errors="replace",
                                  echo=False, maxread=65536, preexec_fn=plain_terminal)
        self.qemu.logfile_read = self.log_file
        self.qemu.delaybeforesend = None

    @property
    def text(self):
        """All output so far, without escape sequences."""
        if not self.log_file.closed:
            self.log_file.flush()
        with open(self.log_path, encoding="utf-8", errors="replace", newline="") as log:
            return ESCAPES.sub("", log.read().partition("\n")[2])

    def expect(self, pattern, timeout=60):
        """Waits for a pattern on the serial line; returns the match. QEMU's end or the time limit fails the test."""
        try:
            self.qemu.expect(pattern, timeout=timeout)
        except (pexpect.EOF, pexpect.TIMEOUT) as problem:
            what = "QEMU ended" if isinstance(problem, pexpect.EOF) else f"{timeout} seconds went by"
            raise AssertionError(f"{what} before {pattern!r}; the end of the output:\n{self.tail()}") from None
        return self.qemu.match

    def wait_end(self, timeout=60):
        """Waits until QEMU ends by itself; returns all output."""
        try:
            self.qemu.expect(pexpect.EOF, timeout=timeout)
        except pexpect.TIMEOUT:
            raise AssertionError(f"the machine was not off after {timeout} s; the end:\n{self.tail()}") from None
        self.qemu.close()
        assert self.qemu.exitstatus == 0, f"QEMU ended with {self.qemu.exitstatus}, signal {self.qemu.signalstatus}"
        return self.text

    def tail(self, lines=30):
        return "\n".join(self.text.splitlines()[-lines:])

    def send(self, text):
        self.qemu.send(text)

    def key(self, char):
        """A key of the host's menu."""
        self.qemu.send("\x1d" + char)

    def kill(self):
        """Ends this QEMU, by its process, and waits for it."""
        if self.qemu.isalive():
            self.qemu.terminate(force=True)
        self.qemu.close(force=True)
        self.log_file.close()
