# SPDX-License-Identifier: MIT
"""The simplest form, one guest that is the first module, on many machines: it starts, prints, ends, and the host with it."""
import pytest

MACHINES = [
    # machine, CPU model, CPUs, MiB
    ("q35", "max", 1, 256),
    ("q35", "qemu64", 2, 1024),
    ("q35", "max", 8, 2048),
    ("q35", "max", 4, 16384),
    ("pc", "qemu64", 1, 256),
    ("pc", "max", 4, 1024),
    ("pc", "EPYC", 2, 4096),
    ("microvm", "qemu64", 1, 256),
    ("microvm", "max", 2, 1024),
    ("q35", "max,-x2apic,-tsc-deadline,-xsave,-fsgsbase,-pcid,-invpcid,-umip", 2, 512),
]


@pytest.mark.parametrize("machine,cpu,smp,memory", MACHINES)
def test_one_guest_to_its_end(boot, machine, cpu, smp, memory):
    text = boot("hello.elf one two=3", machine=machine, cpu=cpu, smp=smp, memory=memory).wait_end(60)
    assert f"{smp} vCPUs" in text
    assert 'command line "one two=3"' in text
    assert "RESULT hello: 1 passed, 0 failed" in text


@pytest.mark.parametrize("cpu,what", [("qemu32", "64-bit"), ("qemu64,-nx", "NX")])
def test_machine_that_cannot_run_it(boot, cpu, what):
    machine = boot("hello.elf", cpu=cpu, smp=1, memory=256)
    machine.expect(rf"Paravane can't run on this machine: [^\r\n]*{what}[^\r\n]*\.\r\n", 30)


def test_output_of_a_single_guest_is_raw(boot):
    text = boot("hello.elf", append="").wait_end()
    assert "\nRESULT hello" in text and "] RESULT" not in text


def test_nothing_to_start(boot):
    boot().expect(r"no boot module: expected a kernel, or a launch file", 30)
