# SPDX-License-Identifier: MIT
"""Fuzzing guests at full speed beside witnesses: those come to no harm, nobody stands still, and all memory comes back."""
import re

import pytest

from test_kernels import BOTH_PATHS, results
from test_linux import linux

SECONDS = 10


def fuzz(name, seed, vcpus):
    return f"[{name}]\nkernel = fuzz.elf\ncmdline = seed={seed} seconds={SECONDS}\nmemory = 16M\nvcpus = {vcpus}\n\n"


def witness(name, vcpus):
    return (f"[{name}]\nkernel = witness.elf\ncmdline = seconds={SECONDS}\nmemory = 16M\nvcpus = {vcpus}\n\n")


@pytest.mark.parametrize("option", BOTH_PATHS)
def test_fuzz_beside_witnesses(boot, launch, option):
    """Each fuzzing guest has two vCPUs at it and one to try contexts on; a Linux stresses memory in the first of the runs."""
    modules = ["fuzz.elf", "witness.elf"]
    text = fuzz("fuzz1", 1, 3) + fuzz("fuzz2", 2, 3) + witness("witness1", 1) + witness("witness2", 2)
    if not option:
        text += linux("linux", "6.1", "paravane.test=stress paravane.args=fork,cow,signals", 256)
        modules += ["vmlinux-6.1", "linux.cpio.gz"]
    output = boot(launch(text), *modules, append=option).wait_end(240)
    for guest, kernel in (("fuzz1", "fuzz"), ("fuzz2", "fuzz"), ("witness1", "witness"), ("witness2", "witness")):
        results("\n".join(line for line in output.splitlines() if line.startswith(f"[{guest}]")), kernel)
    if not option:
        assert re.search(r"\[linux\] RESULT stress: 6 passed, 0 failed", output), output[-3000:]
    assert not re.search(r"guest \w+ crashed", output)
    before, after = re.search(r"KiB RAM, (\d+) KiB free", output)[1], re.search(r"no guest is left, (\d+) KiB free", output)[1]
    assert before == after, "memory is missing"
