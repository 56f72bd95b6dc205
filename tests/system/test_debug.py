# SPDX-License-Identifier: MIT
"""The debug build, which checks itself, under the guests that ask most of it: a panic of its own fails any test."""
import re

import qemu
from test_kernels import results
from test_linux import linux, ready_line

KERNELS = ["basics", "usermode", "hostile", "smp"]


def test_kernels(boot, launch):
    file = launch("".join(f"[{k}]\nkernel = {k}.elf\nmemory = 32M\nvcpus = {4 if k == 'smp' else 1}\nready = RESULT\n"
                          for k in KERNELS))
    text = boot(file, *[f"{k}.elf" for k in KERNELS], append="batch", kernel=qemu.DEBUG_KERNEL).wait_end(120)
    for kernel in KERNELS:
        results("\n".join(line for line in text.splitlines() if line.startswith(f"[{kernel}]")), kernel)
    assert re.search(r"debug: guest basics vCPU 0: hypercall \d+ \(\w+, \w+, \w+, \w+\): -\d+", text), "no refusal is told of"


def test_restarts(boot, launch):
    file = launch("[again]\nkernel = rebooter.elf\nmemory = 80M\nvcpus = 2\nrestart_limit = 20\n")
    text = boot(file, "rebooter.elf", memory=256, kernel=qemu.DEBUG_KERNEL).wait_end(60)
    assert text.count("[again] rebooter:") == 21


def test_linux(boot, launch):
    file = launch(linux("again", "6.1", "paravane.end=reboot", 256, vcpus=2, restart_limit=1))
    text = boot(file, "vmlinux-6.1", "linux.cpio.gz", kernel=qemu.DEBUG_KERNEL).wait_end(120)
    assert text.count("[again] READY") == 2
    assert ready_line(text, "again")[1] == 2
