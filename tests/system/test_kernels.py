# SPDX-License-Identifier: MIT
"""The guest SDK's test kernels, alone (privileged) and as guests of a launch file: none of their checks fails."""
import re

import pytest

import qemu


def endings(kernel):
    text = (qemu.ROOT / "guest/kernels" / kernel / "endings.c").read_text()
    return sorted(set(re.findall(r'^    \{"(\w+)", \w+\},$', text, re.M)))


# With and without the gate's fast path, all must be the same.
BOTH_PATHS = ["", "fastpath=off"]


def results(text, kernel):
    """(passed, failed, skipped) of a kernel's RESULT line, with all FAIL lines for the message."""
    found = re.search(rf"RESULT {kernel}: (\d+) passed, (\d+) failed, (\d+) skipped", text)
    assert found, f"no RESULT line of {kernel}; the end:\n" + "\n".join(text.splitlines()[-25:])
    failures = "\n".join(line for line in text.splitlines() if "FAIL " in line)
    assert found[2] == "0", f"{found[0]}\n{failures}"
    return tuple(int(n) for n in found.groups())


@pytest.mark.parametrize("kernel", ["basics", "usermode", "hostile", "gatecrash"])
@pytest.mark.parametrize("cpu", ["max", "qemu64"])
@pytest.mark.parametrize("option", BOTH_PATHS)
def test_privileged(boot, kernel, cpu, option):
    text = boot(f"{kernel}.elf", cpu=cpu, append=option).wait_end(120)
    assert results(text, kernel)[0] > 10


@pytest.mark.parametrize("machine,option", [("q35", ""), ("q35", "fastpath=off"), ("pc", "")])
def test_devices(boot, machine, option):
    """The control domain has the machine's devices: their ports, and their interrupts, by lines and by messages."""
    text = boot("devices.elf", machine=machine, append=option, extra=qemu.DEVICES).wait_end(120)
    assert results(text, "devices")[0] > 300 and "SKIP line" not in text and "SKIP table" not in text


@pytest.mark.parametrize("option", BOTH_PATHS)
def test_on_an_intel_cpu(boot, launch, option):
    """SYSENTER exists in 64-bit mode, and is what 32-bit code has."""
    file = launch("".join(f"[{k}]\nkernel = {k}.elf\nmemory = 32M\n\n" for k in ("usermode", "gatecrash")))
    text = boot(file, "usermode.elf", "gatecrash.elf", cpu="max,vendor=GenuineIntel", append=option).wait_end(120)
    for kernel in ("usermode", "gatecrash"):
        assert results(text, kernel)[0] > 10
    assert "PASS paths.sysenter\n" in text and "PASS steps.sysenter\n" in text


@pytest.mark.parametrize("cpus,option", [(1, ""), (2, ""), (4, ""), (2, "fastpath=off")])
def test_smp(boot, launch, cpus, option):
    file = launch("[smp]\nkernel = smp.elf\nmemory = 32M\nvcpus = 4\n")
    assert results(boot(file, "smp.elf", smp=cpus, append=option).wait_end(120), "smp")[0] > 5


def test_all_as_ordinary_guests(boot, launch):
    kernels = ["basics", "usermode", "hostile"]
    shapes = ["linux", "plain", "plain-bits", "string", "string-required"]
    guests = [(k, f"{k}.elf", "") for k in kernels] + [(f"shape-{s}", f"shape-{s}.elf", "") for s in shapes] + [
        (f"basics-linear-{on}", "basics.elf", f"cmdline = only=linear linear={on}\nlinear_page_tables = {yes}\n")
        for on, yes in [("on", "yes"), ("off", "no")]]
    file = launch("".join(f"[{name}]\nkernel = {elf}\nmemory = 32M\nready = RESULT\n{more}" for name, elf, more in guests))
    text = boot(file, *sorted({elf for _, elf, _ in guests}), append="batch").wait_end(180)
    for name, _, _ in guests:
        lines = "\n".join(line for line in text.splitlines() if line.startswith(f"[{name}]"))
        assert results(lines, {"shape": "shapes"}.get(name.split("-")[0], name.split("-")[0]))[0] > 0
    assert "paravane: all guests ready" in text


@pytest.mark.parametrize("option", BOTH_PATHS)
def test_endings(boot, launch, option):
    """Every attack that must end its domain, all at once, beside a guest that must not notice."""
    attacks = [(kernel, name) for kernel in ("hostile", "gatecrash") for name in endings(kernel)]
    file = launch("".join(f"[{name}]\nkernel = {kernel}.elf\ncmdline = attack={name}\nmemory = 16M\n\n" for kernel, name in attacks)
                  + "[witness]\nkernel = hello.elf\ncmdline = stay tick=1\nmemory = 16M\n")
    machine = boot(file, "hostile.elf", "gatecrash.elf", "hello.elf", smp=2, memory=2048, append=option)
    for _ in attacks:
        machine.expect(r"guest \w+ crashed\r", 30)
    machine.expect(r"\[witness\] tick \d+", 30)
    machine.expect(r"\[witness\] tick \d+", 30)
    text = machine.text
    survivors = re.findall(r"SURVIVED (\w+)", text)
    assert not survivors
    assert sorted(set(re.findall(r"guest (\w+) crashed\n", text))) == sorted(name for _, name in attacks)


def test_crash_by_fault(boot, launch):
    """A crash's sentence names the guest, a watchdog's says where it stood, and the others go on."""
    file = launch("[a]\nkernel = crash.elf\nmemory = 16M\n\n[b]\nkernel = crash.elf\ncmdline = how=nohandler\nmemory = 16M\n\n"
                  "[c]\nkernel = hello.elf\nmemory = 16M\n\n[d]\nkernel = crash.elf\ncmdline = how=silence\nmemory = 16M\n")
    text = boot(file, "crash.elf", "hello.elf").wait_end(60)
    assert re.search(r"guest d: its watchdog was not fed\n.*  vCPU 0 of guest d, kernel mode: rip ffffffff80\w+ rsp [^\0]*"
                     r"guest d watchdog", text)
    assert re.search(r"guest b crashed: vCPU 0: no handler for exception 14 \(rip \w+", text)
    assert "[c] RESULT hello: 1 passed" in text


def test_witnesses_beside_hello(boot, launch):
    """The witness kernel, on which tests of misbehaving guests rely: nothing happens to it beside harmless ones."""
    file = launch("[two]\nkernel = witness.elf\ncmdline = seconds=3\nvcpus = 2\nmemory = 16M\n\n"
                  "[one]\nkernel = witness.elf\ncmdline = seconds=3 pages=8 idle=5\nmemory = 16M\n\n"
                  "[hello]\nkernel = hello.elf\nmemory = 16M\n")
    text = boot(file, "witness.elf", "hello.elf").wait_end(60)
    assert "[hello] RESULT hello: 1 passed" in text
    for name, checks in (("two", 7), ("one", 5)):
        lines = "\n".join(line for line in text.splitlines() if line.startswith(f"[{name}]"))
        assert results(lines, "witness") == (checks, 0, 0)
        assert re.search(r"work=[1-9]", lines)
