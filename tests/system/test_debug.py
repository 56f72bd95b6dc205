# SPDX-License-Identifier: MIT
"""The debug build, which checks itself, under the guests that ask most of it: a panic of its own fails any test."""
import re

import qemu
from test_kernels import results
from test_linux import linux, ready_line

KERNELS = {"basics": 1, "usermode": 1, "hostile": 1, "gatecrash": 2, "smp": 4}


def test_kernels(boot, launch):
    file = launch("".join(f"[{k}]\nkernel = {k}.elf\nmemory = 32M\nvcpus = {n}\nready = RESULT\n"
                          for k, n in KERNELS.items()))
    text = boot(file, *[f"{k}.elf" for k in KERNELS], append="batch", kernel=qemu.DEBUG_KERNEL).wait_end(120)
    for kernel in KERNELS:
        results("\n".join(line for line in text.splitlines() if line.startswith(f"[{kernel}]")), kernel)
    assert re.search(r"debug: guest basics vCPU 0: hypercall \d+ \(\w+, \w+, \w+, \w+\): -\d+", text), "no refusal is told of"


def test_restarts(boot, launch):
    file = launch("[again]\nkernel = rebooter.elf\nmemory = 80M\nvcpus = 2\nrestart_limit = 20\n")
    text = boot(file, "rebooter.elf", memory=256, kernel=qemu.DEBUG_KERNEL).wait_end(60)
    assert text.count("[again] rebooter: rebooting, 2 records moved") == 21


def test_linux(boot, launch):
    file = launch(linux("again", "6.1", "paravane.end=reboot", 256, vcpus=2, restart_limit=1))
    text = boot(file, "vmlinux-6.1", "linux.cpio.gz", kernel=qemu.DEBUG_KERNEL).wait_end(120)
    assert text.count("[again] READY") == 2
    assert ready_line(text, "again")[1] == 2


def test_failing_allocations(boot, launch):
    """Every start of the guest is tried with each of its allocations failing; then one in five that its hypercalls make. After
    each life all memory is back."""
    file = launch("[scarce]\nkernel = scarce.elf\ncmdline = failures=1\nmemory = 16M\nvcpus = 2\non_end = restart\n"
                  "restart_limit = 2\n")
    text = boot(file, "scarce.elf", append="failalloc=5 failstart audit=1", kernel=qemu.DEBUG_KERNEL).wait_end(120)
    for life in re.findall(r"RESULT scarce: .*", text):
        assert re.match(r"RESULT scarce: \d+ passed, 0 failed", life), "\n".join(re.findall(r"FAIL .*", text))
    assert text.count("RESULT scarce") == 3
    tries = re.findall(r"debug: (\d+) failed allocations at the start of a guest, nothing of them is left", text)
    assert len(tries) == 3 and int(tries[0]) > 15 and len(set(tries)) == 1
    left = re.findall(r"debug: (\d+) frames are free after guest scarce", text)
    assert len(left) == 3 and len(set(left)) == 1, f"frames left after each life: {left}"


def test_audit_by_key(boot, launch):
    machine = boot(launch("[a]\nkernel = spin.elf\nmemory = 16M\n"), "spin.elf", kernel=qemu.DEBUG_KERNEL)
    machine.expect(r"\[a\] work=", 30)
    machine.key("A")
    machine.expect(r"all references and uses are accounted for", 30)
    machine.expect(r"\[a\] work=", 30)


def test_cpu_that_does_not_start(boot, launch):
    """The others go on without it, under consecutive numbers, and no guest is given to it."""
    file = launch("".join(f"[g{i}]\nkernel = spin.elf\ncmdline = seconds=2\nmemory = 16M\n" for i in range(4)) +
                  "[pinned]\nkernel = hello.elf\nmemory = 16M\npin = 1\n")
    text = boot(file, "spin.elf", "hello.elf", smp=3, append="failcpu=1 audit=1", kernel=qemu.DEBUG_KERNEL).wait_end(60)
    assert "CPU with APIC id 1 does not start (no answer)" in text and "paravane: 2 CPUs at" in text
    for i in range(4):
        assert f"[g{i}] RESULT spin: 1 passed" in text
    assert "[pinned] RESULT hello: 1 passed" in text


def test_restart_while_others_map_frames(boot, launch):
    """A guest whose frame another one maps starts again all the same; the frame is freed when it is let go."""
    file = launch("[giver]\nkernel = holder.elf\ncmdline = give=1 seconds=1 on_end=reboot\nmemory = 16M\nrestart_limit = 1\n\n"
                  "[holder]\nkernel = holder.elf\ncmdline = seconds=6\nmemory = 16M\n")
    text = boot(file, "holder.elf", append="audit=1", kernel=qemu.DEBUG_KERNEL).wait_end(60)
    events = ["[giver] GIVING", "[holder] HOLDING", "guest giver ended, but other guests still map 1 frames of it",
              "guest giver asked for a restart", "[giver] GIVING", "[holder] LET GO"]
    at = 0
    for event in events:
        at = text.find(event, at)
        assert at >= 0, f"{event} did not come, or not in order"
        at += len(event)
    assert "guest giver: the frames of its former life are free" in text
    results("\n".join(line for line in text.splitlines() if line.startswith("[holder]")), "holder")
