# SPDX-License-Identifier: MIT
"""Two guests with one channel: both directions, restarts of a side, a side that leaves, one that never lets go, one
that writes nonsense; and the host's memory after it all."""
import re


def talk(name, channel, arguments="", **keys):
    lines = "".join(f"{k} = {v}\n" for k, v in keys.items())
    return f"[{name}]\nkernel = talk.elf\ncmdline = rounds=50 {arguments}\nmemory = 8M\nchannel = {channel}\n{lines}\n"


HELD_LIVES = 1  # so many earlier lives of a guest may be held by others
DESTROYED = (3, 5, 6)  # left, hoarder, liar
WITNESS = "[witness]\nkernel = hello.elf\ncmdline = stay\nmemory = 8M\n"


def lines_of(text, name):
    return [line.removeprefix(f"[{name}] ") for line in text.splitlines() if line.startswith(f"[{name}] ")]


def test_both_directions_and_a_restart(boot, launch):
    file = launch(talk("front", "one", "sessions=2") + talk("back", "one", "sessions=2")
                  + talk("mortal", "two", on_end="restart", restart_limit=2) + talk("stayer", "two", "sessions=3")
                  + "[alone]\nkernel = talk.elf\nmemory = 8M\n")
    text = boot(file, "talk.elf").wait_end(240)
    assert not re.findall(r"^.*FAIL .*$", text, re.M)
    for name in ("front", "back"):
        assert "RESULT talk: 12 passed, 0 failed, 0 skipped" in lines_of(text, name)
    assert lines_of(text, "mortal").count("RESULT talk: 6 passed, 0 failed, 0 skipped") == 3
    assert lines_of(text, "stayer")[-1] == "RESULT talk: 18 passed, 0 failed, 0 skipped"
    sessions = re.findall(r"\[stayer\] talk: session \d, backend, with domain (\d+)", text)
    assert len(set(sessions)) == 3, "each life has an id of its own"
    assert "[alone] SKIP talk: this guest has no channel" in text


def until(machine, pattern):
    """Waits for a pattern that may have been there already."""
    if not re.search(pattern, machine.text):
        machine.expect(pattern, 60)


def free_memory(machine):
    machine.key("i")
    return int(machine.expect(r"(\d+) KiB free")[1])


def memory_after(boot, launch, lives):
    """What is free after guests have left a channel, been held and been lied to, so often; then only a witness lives."""
    file = launch(WITNESS
                  + talk("leaver", "one", "leave", on_end="restart", restart_limit=lives)
                  + talk("left", "one", "sessions=0")
                  + talk("held", "two", "leave patience=10", on_end="restart", restart_limit=min(lives, HELD_LIVES + 1))
                  + talk("hoarder", "two", "hoard")
                  + talk("liar", "three", "wild") + talk("lied", "three"))
    machine = boot(file, "talk.elf", "hello.elf")
    until(machine, rf"\[hoarder\] talk: page {min(lives, HELD_LIVES) + 1}, ")
    until(machine, "guest leaver: its restart limit of")
    for number in DESTROYED:
        machine.key(str(number))
        machine.expect(rf"input goes to \w+ \({number}\)")
        machine.key("D")
    until(machine, "guest lied powered off")
    until(machine, "guest held: its restart limit of")
    return machine


def test_nothing_is_lost(boot, launch):
    """A guest starts again though others hold pages of its earlier lives, but not without end; and all comes back."""
    few, many = memory_after(boot, launch, 1), memory_after(boot, launch, 9)
    assert len(re.findall(r"\[hoarder\] talk: page", many.text)) == HELD_LIVES + 1
    assert len(re.findall(r"\[held\] (PASS|FAIL) talk.connected", many.text)) == HELD_LIVES + 2
    assert free_memory(few) == free_memory(many)
