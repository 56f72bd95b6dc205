# SPDX-License-Identifier: MIT
"""Shares of CPU time, as the spin kernel's counts show them: ratios within one run, never absolute numbers."""
import re

import pytest

pytestmark = pytest.mark.alone
SECONDS = 6


def spin(name, **keys):
    vcpus = keys.get("vcpus", 1)
    lines = "".join(f"{k} = {v}\n" for k, v in keys.items())
    return f"[{name}]\nkernel = spin.elf\ncmdline = vcpus={vcpus}\nmemory = 16M\n{lines}\n"


def work(boot, file, names, **options):
    """Units of work per guest, the first second left out."""
    machine = boot(file, "spin.elf", **options)
    for _ in range(SECONDS):
        for name in names:
            machine.expect(rf"\[{name}\] work=\d+", 30)
    text = machine.text
    machine.kill()
    return {n: sum(int(w) for w in re.findall(rf"\[{n}\] work=(\d+)", text)[1:SECONDS]) for n in names}


def about(value, expected, tolerance=0.15):
    return abs(value / expected - 1) < tolerance


def test_weights(boot, launch):
    file = launch(spin("light", pin=0, weight=128) + spin("middle", pin=0) + spin("heavy", pin=0, weight=512))
    got = work(boot, file, ["light", "middle", "heavy"], smp=1)
    assert about(got["middle"] / got["light"], 2) and about(got["heavy"] / got["light"], 4), got


def test_equal_shares_of_two_cpus(boot, launch):
    names = ["a", "b", "c"]
    got = work(boot, launch("".join(spin(n) for n in names)), names, smp=2)
    assert all(about(got[n], sum(got.values()) / 3, 0.25) for n in names), got


def test_cap(boot, launch):
    file = launch(spin("capped", pin=0, cap=25) + spin("free", pin=1))
    got = work(boot, file, ["capped", "free"], smp=2)
    # A loose bound: the machine's own CPUs may be emulated on busy ones.
    assert 0.15 < got["capped"] / got["free"] < 0.45, got


def test_pins(boot, launch):
    """Two guests pinned to one CPU get half each of what the one alone on the other gets."""
    file = launch(spin("a", pin=0) + spin("b", pin=0) + spin("alone", pin=1))
    got = work(boot, file, ["a", "b", "alone"], smp=2)
    assert about(got["a"] / got["b"], 1) and about(got["alone"] / (got["a"] + got["b"]), 1, 0.25), got


def test_wake_up_beside_busy_guests(boot, launch):
    """A guest that sleeps for a second at a time keeps its rhythm beside guests that never sleep."""
    file = launch("".join(spin(f"busy{i}") for i in range(4)) +
                  "[sleeper]\nkernel = hello.elf\ncmdline = stay tick=1\nmemory = 16M\n")
    machine = boot(file, "spin.elf", "hello.elf", smp=2)
    machine.expect(r"\[sleeper\] tick 2\r", 30)
    machine.expect(r"\[sleeper\] tick 8\r", 30)
    text = machine.text
    between = text[text.index("[sleeper] tick 2"):text.index("[sleeper] tick 8")]
    for i in range(4):
        assert 4 <= len(re.findall(rf"\[busy{i}\] work=", between)) <= 8
