# SPDX-License-Identifier: MIT
"""The machine's devices under a Debian dom0: disks of four kinds, two network cards, USB, keyboard, clock, serial line, screen; by messages (MSI, MSI-X),
and by lines that devices share."""
import hashlib
import random
import re
from collections import Counter

import pytest
import qmp

MIB = 1024 * 1024
MODULES = "virtio_net virtio-rng nvme ahci sd_mod e1000e xhci-pci usb-storage usbhid hid-generic psmouse evdev"
DISKS = {"nvme": "/dev/nvme0n1", "sata": "/dev/sda", "usb": "/dev/sdb"}
CARDS = {"e1000e": 3, "virtio_net": 4}
# (machine, kernel, more of its command line); the first is part of make check.
RUNS = [("q35", "6.1", ""), ("q35", "6.12", "pci=nomsi"), ("pc", "6.12", ""), ("pc", "6.1", "pci=nomsi")]


def make_disks(directory):
    """{kind: (image, digest of its content)}"""
    disks = {}
    for kind in DISKS:
        content = random.Random(kind).randbytes(4 * MIB)
        (directory / kind).write_bytes(content)
        disks[kind] = (directory / kind, hashlib.md5(content).hexdigest())
    return disks


def devices(disks, serial):
    words = [f"-serial file:{serial}", "-device virtio-rng-pci", "-device ahci,id=ahci", "-device qemu-xhci", "-device usb-kbd"]
    words += [f"-drive file={image},if=none,id={kind},format=raw" for kind, (image, _) in disks.items()]
    words += ["-device nvme,drive=nvme,serial=1", "-device ide-hd,drive=sata,bus=ahci.0", "-device usb-storage,drive=usb"]
    for driver, net in CARDS.items():
        words += [f"-netdev user,id=net{net},net=10.0.{net}.0/24",
                  f"-device {'e1000e' if driver == 'e1000e' else 'virtio-net-pci'},netdev=net{net}"]
    return [part for word in words for part in word.split()]


def check_disks(host, disks):
    host.sh(f"for d in {' '.join(DISKS.values())}; do while [ ! -b $d ]; do sleep 0.2; done; done")
    for kind, (_, digest) in disks.items():
        assert host.sh(f"dd if={DISKS[kind]} bs=64k count=64 iflag=direct 2>/dev/null | md5sum").split()[0] == digest, kind
        host.sh(f"dd if=/dev/zero of={DISKS[kind]} bs=64k seek=32 count=1 oflag=direct 2>/dev/null")
        host.sh(f"dd if={DISKS[kind]} bs=64k skip=32 count=1 iflag=direct 2>/dev/null | cmp -n 65536 - /dev/zero")


def check_cards(host):
    for driver, net in CARDS.items():
        name = host.sh("basename $(dirname $(dirname $(grep -lx DRIVER=" + driver + " /sys/class/net/*/device/uevent)))").strip()
        host.sh(f"ip link set {name} up; ip address add 10.0.{net}.15/24 dev {name}; "
                f"(for i in $(seq 30); do ping -c 3 -i 0.1 -W 2 -q 10.0.{net}.2 && exit; sleep 0.5; done; false)")


def check_screen(host, monitor):
    """What programs and the kernel write is on the machine's screen."""
    host.sh("echo '<0>the kernel writes here' > /dev/kmsg; echo a program writes here > /dev/tty1; sleep 1")
    shown = monitor.text_screen()
    assert "the kernel writes here" in shown and "a program writes here" in shown, re.sub(r"\s+", " ", shown)


def counts(host):
    """{what is said of an interrupt in /proc/interrupts: how often it came}"""
    total = Counter()
    for numbers, what in re.findall(r"^ *\d+: +((?:\d+ +)+)xen-pirq +(.*)$", host.sh("cat /proc/interrupts"), re.M):
        total[what] += sum(map(int, numbers.split()))
    return total


@pytest.mark.parametrize("machine, kernel, words", [pytest.param(*run, marks=() if run is RUNS[0] else pytest.mark.long) for run in RUNS])
def test_devices(dom0, tmp_path, machine, kernel, words):
    disks = make_disks(tmp_path)
    host = dom0("paravane", kernel=kernel, machine=machine, words=f"{words} console=tty0 console=hvc0",
                extra=[*devices(disks, tmp_path / "serial"), *qmp.options(tmp_path / "qmp")])
    host.sh(f"modprobe -a {MODULES}")
    check_disks(host, disks)
    check_cards(host)
    check_screen(host, qmp.Monitor(tmp_path / "qmp"))
    assert len(host.sh("head -c 64 /dev/hwrng | od -An -tx1").split()) == 64
    assert re.search(r"^20\d\d-", host.sh("hwclock -r"))
    host.sh("echo through the serial line > /dev/ttyS1")
    host.sh("while ! grep -q 'USB Keyboard' /sys/class/input/*/name; do sleep 0.2; done")
    found = counts(host)
    text = "\n".join(f"{n} {what}" for what, n in found.items())
    for what in ("i8042", "rtc0", "nvme0q", "ahci", "xhci", "virtio"):
        assert sum(n for name, n in found.items() if what in name), f"no interrupt of {what}:\n{text}"
    assert any("-msi" in name for name in found) != bool(words), text
    log = host.sh("dmesg")
    assert not re.search(r"nobody cared|timed out|I/O error|BUG:|Oops", log), log
    host.power_off()
    assert "through the serial line" in (tmp_path / "serial").read_text()
