# SPDX-License-Identifier: MIT
"""The serial line shared by guests: prefixes, focus, and the host's menu behind Ctrl-]."""
import re

import pytest

TWO = """[first]
kernel = hello.elf
cmdline = stay tick=1
memory = 16M

[second]
kernel = spin.elf
memory = 16M
"""


@pytest.fixture
def two(boot, launch):
    machine = boot(launch(TWO), "hello.elf", "spin.elf")
    machine.expect(r"\[first\] tick 1\r\n")
    machine.expect(r"\[second\] work=\d+\r\n")
    return machine


def test_help_table_and_host(two):
    two.key("h")
    two.expect(r"Ctrl-\], then:")
    two.expect(r"Ctrl-\]  send Ctrl-\] itself")
    two.key("q")
    two.expect(r"\*\s+1\s+first\s+\w+\s+1\s+16 M\s+\d+\.\d+ s")
    two.expect(r"hypercalls [1-9]\d*")
    two.expect(r" \s+2\s+second\s+running\s+1\s+16 M")
    two.key("i")
    two.expect(r"-- 2 CPUs, 2 guests, \d+ KiB free, up \d+\.\d+ s; 32768 KiB in 2 guests that run")
    two.key("x")
    two.expect(r"no such command")


def test_focus(two):
    two.key("2")
    two.expect(r"input goes to second \(2\)")
    two.key("n")
    two.expect(r"input goes to first \(1\)")
    two.key("p")
    two.expect(r"input goes to second \(2\)")
    two.key("9")
    two.expect(r"there is no guest 9")


def test_pause_resume_destroy_restart(two):
    two.key("1")
    two.expect(r"input goes to first")
    two.key("z")
    two.expect(r"-- pause: first")
    two.expect(r"\[second\] work=")  # lines on their way
    before = two.text.count("[first] tick")
    for _ in range(3):
        two.expect(r"\[second\] work=")
    assert two.text.count("[first] tick") == before, "a paused guest went on"
    two.key("r")
    two.expect(r"-- resume: first")
    two.expect(r"\[first\] tick")
    two.key("R")
    two.expect(r"-- restart: first")
    two.expect(r"\[first\] tick 1\r\n")
    two.key("D")
    two.expect(r"-- destroy: first")
    two.expect(r"guest first powered off")
    two.expect(r"\[second\] work=")
    two.key("2")
    two.expect(r"input goes to second")
    two.key("D")
    two.expect(r"guest second powered off")
    assert re.search(r"no guest is left", two.wait_end())


def test_power_off_and_reboot(boot, launch):
    for key in "PB":
        machine = boot(launch(TWO), "hello.elf", "spin.elf")
        machine.expect(r"\[second\] work=\d+\r\n")
        machine.key(key)
        machine.wait_end(30)
