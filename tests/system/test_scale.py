# SPDX-License-Identifier: MIT
"""A hundred guests at once: all start, each costs little beyond its own memory, and while they sleep nothing happens."""
import re
import time

GUESTS, MEMORY, OVERHEAD = 100, 8 << 10, 64  # KiB: what each is given, and the most it may cost besides
IDLE_SECONDS = 3


def guest_table(machine):
    """{guest: (state, its counters)} by the host's menu."""
    before = len(machine.text)
    machine.key("q")
    machine.expect(rf"\b{GUESTS}\s+g{GUESTS - 1}\s")
    machine.expect(r"hypercalls .*\r\n")
    rows = re.findall(r"^[* ] *\d+ +(g\d+) +(\w+) .*\n +(hypercalls .*)$", machine.text[before:], re.M)
    return {name: (state, counters) for name, state, counters in rows}


def test_a_hundred_guests(boot, launch):
    file = launch("".join(f"[g{i}]\nkernel = hello.elf\ncmdline = on_end=idle\nmemory = {MEMORY}K\nready = RESULT\n\n"
                          for i in range(GUESTS)))
    machine = boot(file, "hello.elf", smp=2, memory=4096)
    free = int(machine.expect(r"KiB RAM, (\d+) KiB free")[1])
    machine.expect("all guests ready", 120)
    machine.key("i")
    each = (free - int(machine.expect(r"(\d+) KiB free, up")[1])) / GUESTS
    assert MEMORY <= each <= MEMORY + OVERHEAD, f"{each} KiB for each guest"
    first = guest_table(machine)
    assert len(first) == GUESTS and {state for state, _ in first.values()} == {"idle"}
    time.sleep(IDLE_SECONDS)
    # No tick and no interrupt for who sleeps: not one of its counters has moved.
    assert guest_table(machine) == first
