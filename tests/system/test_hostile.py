# SPDX-License-Identifier: MIT
"""Hostile guests beside witnesses, which must notice nothing; and all memory is there when they are gone."""
import re
import time

import pytest

import qemu
from test_kernels import BOTH_PATHS, results

STORMS = re.findall(r'\{"(\w+)", \w+\}', (qemu.ROOT / "guest/kernels/hostile/storms.c").read_text())
# What the hypervisor keeps for small objects of its own that it needed once. A guest has 16 MiB.
SLACK_KIB = 512
# Thousandths of the time it is ready in which a vCPU runs if the storms' and witnesses' vCPUs share two CPUs evenly.
FAIR = 2 * 1000 / (2 * len(STORMS) + 3)
WITNESS = "[{name}]\nkernel = witness.elf\ncmdline = seconds={seconds} pages=32\nvcpus = {vcpus}\nmemory = 16M\n\n"


def lines_of(text, guest):
    return "\n".join(line for line in text.splitlines() if line.startswith(f"[{guest}]"))


@pytest.mark.parametrize("option", BOTH_PATHS)
def test_attacks_of_several_vcpus(boot, launch, option):
    """All groups of attacks with three vCPUs on two CPUs, races among them; its tables may map themselves."""
    file = launch("[hostile]\nkernel = hostile.elf\nvcpus = 3\nmemory = 32M\nlinear_page_tables = yes\n\n" +
                  WITNESS.format(name="witness", seconds=6, vcpus=2))
    text = boot(file, "hostile.elf", "witness.elf", smp=2, append=option).wait_end(120)
    assert not re.search(r"SKIP (race|vcpu|linear)", text)
    results(lines_of(text, "hostile"), "hostile")
    results(lines_of(text, "witness"), "witness")


def free_memory(machine):
    machine.key("i")
    return int(machine.expect(r"-- \d+ CPUs, \d+ guests, (\d+) KiB free", 30)[1])


def weather(boot, launch, seconds, option):
    """Every storm at once, until all have ended, beside two witnesses, which begin after them."""
    storms = "".join(f"[{s}]\nkernel = hostile.elf\ncmdline = storm={s} seconds={seconds}\nmemory = 16M\nvcpus = 2\n\n"
                     for s in STORMS)
    file = launch("[last]\nkernel = hello.elf\ncmdline = stay\nmemory = 16M\n\n" + storms +
                  WITNESS.format(name="one", seconds=max(1, seconds - 1), vcpus=1) +
                  WITNESS.format(name="two", seconds=max(1, seconds - 1), vcpus=2))
    machine = boot(file, "hostile.elf", "witness.elf", "hello.elf", smp=2, memory=1024, append=option)
    for _ in range(len(STORMS) + 2):
        machine.expect(r"\] RESULT (hostile|witness): [^\n]* skipped", 120)
    return machine


@pytest.mark.parametrize("option", BOTH_PATHS)
def test_storms(boot, launch, option):
    """Witnesses keep their share of the CPUs and their memory, and what the storms took comes back."""
    calm = weather(boot, launch, 0, option)
    free = 0
    while free_memory(calm) > free:  # as long as guests are being taken apart
        free = free_memory(calm)
        time.sleep(1)
    calm.kill()
    machine = weather(boot, launch, 5, option)
    text = machine.text
    for storm in STORMS:
        results(lines_of(text, storm), "hostile")
    for name in ("one", "two"):
        results(lines_of(text, name), "witness")
        reports = re.findall(r"work=(\d+) late=\d+ms share=(\d+)", lines_of(text, name))
        assert sum(int(work) for work, _ in reports) > 0, f"{name} stood still"
        first, last = int(reports[0][1]), int(reports[-1][1])
        assert first >= FAIR / 8, f"{name} had to wait for its start: {reports}"
        assert last >= FAIR / 4, f"{name} got little: {reports}"
    deadline = time.monotonic() + 60
    while free_memory(machine) < free - SLACK_KIB:
        assert time.monotonic() < deadline, f"{free_memory(machine)} KiB are free, and were {free} without the storms"
        time.sleep(0.5)
