# SPDX-License-Identifier: MIT
"""The control domain: a stock kernel that is the first module, without a launch file. What the host makes of its
options, its endings, and what the kernel finds of the machine."""
import re

import pytest

LINUX = "vmlinux-6.1 console=hvc0 panic=1"


def test_linux_is_the_control_domain(boot):
    machine = boot(f"{LINUX} quiet", "linux.cpio.gz", append="console=com1 dom0_mem=512M,max:768M frob=1", memory=2048)
    machine.expect(r"option frob=1 is not known[^\r\n]*", 30)
    before = int(machine.expect(r"KiB RAM, (\d+) KiB free", 30)[1])
    after = int(machine.expect(r"from entry to guests, (\d+) KiB free", 30)[1])
    assert after > before - (512 - 32) * 1024, "its kernel and ramdisk as the loader brought them are not free again"
    machine.expect(r"READY linux: linux \S+, 2 CPUs, (\d+) kB", 90)
    machine.expect(r"/ # ", 30)
    machine.send("mount -t sysfs s /sys; cat /sys/hypervisor/uuid /sys/hypervisor/properties/capabilities\n")
    machine.expect(r"00000000-0000-0000-0000-000000000000", 30)
    machine.send("dmesg | grep -c 'Xen: .mem 0x00000000b0000000-0x00000000bfffffff. reserved'; ls /sys/firmware/acpi/tables | grep -c APIC\n")
    machine.expect(r"\n1\r?\n1\r?\n", 30)
    machine.send("poweroff -f\n")
    text = machine.wait_end(60)
    assert "option console" not in text
    assert "the control domain switches the machine off" in text or "powered off" in text


@pytest.mark.parametrize("option,end", [("", "the machine restarts in 5 seconds"), ("noreboot", "noreboot: the machine stays as it is")])
def test_a_crash_is_reported(boot, option, end):
    machine = boot("crash.elf", append=f"console=com1 {option}")
    machine.expect(r"guest Domain-0 crashed\r?\n", 30)
    machine.expect(r"vCPU 0 of guest \S+, kernel mode: rip [0-9a-f]{16} rsp [0-9a-f]{16} cr3 [0-9a-f]{16}", 10)
    machine.expect(re.escape(end), 10)
    if not option:
        machine.wait_end(30)


def test_loglvl_keeps_the_line_clear(boot):
    text = boot("hello.elf", append="console=com1 loglvl=none").wait_end()
    assert "RESULT hello" in text and "paravane:" not in text
