# SPDX-License-Identifier: MIT
"""Ways into the hypervisor other than QEMU's Multiboot loader: GRUB on BIOS and UEFI with both protocols, and PVH."""
import shutil
import struct
import subprocess

import pytest

import qemu
import qmp

OVMF = "/usr/share/OVMF/OVMF_CODE.fd"
GRUB_CFG = """
serial --unit=0 --speed=115200
terminal_input serial
terminal_output serial
set timeout=0
{protocol} /boot/paravane {name} console=com1 color=off
{module} /boot/two.launch {launch}
{module} /boot/hello.elf {hello}
{module} /boot/spin.elf {spin}
boot
"""
LAUNCH = """
[greeter]
kernel = hello.elf
cmdline = from the file
memory = 16M

[counter]
kernel = spin.elf
cmdline = seconds=1
memory = 16M
"""


@pytest.fixture(scope="module")
def iso(tmp_path_factory):
    """iso(protocol) -> a CD that GRUB boots; multiboot modules' strings have no path unless it is said again."""
    top = tmp_path_factory.mktemp("iso")

    def make(protocol):
        image, root = top / f"{protocol}.iso", top / protocol
        if image.exists():
            return image
        (root / "boot" / "grub").mkdir(parents=True)
        for path in (qemu.BUILD / "paravane", qemu.GUESTS / "hello.elf", qemu.GUESTS / "spin.elf"):
            shutil.copy(path, root / "boot")
        subprocess.run(["strip", root / "boot" / "hello.elf", root / "boot" / "spin.elf"], check=True)
        (root / "boot" / "two.launch").write_text(LAUNCH)
        words = {"protocol": protocol, "module": protocol.replace("multiboot", "module")}
        names = {"name": "", "launch": "two.launch", "hello": "hello.elf", "spin": "/boot/spin.elf"}
        (root / "boot" / "grub" / "grub.cfg").write_text(GRUB_CFG.format(**words, **names))
        subprocess.run(["grub-mkrescue", "-o", image, root], check=True, capture_output=True)
        return image

    return make


@pytest.mark.parametrize("protocol", ["multiboot2", "multiboot"])
@pytest.mark.parametrize("firmware", ["bios", "uefi"])
def test_grub(boot, iso, firmware, protocol):
    extra = ["-cdrom", str(iso(protocol))] + (["-bios", OVMF] if firmware == "uefi" else [])
    machine = boot(kernel=False, extra=extra, memory=1024)
    text = machine.wait_end(120)
    assert '[greeter] hello: ' in text and 'command line "from the file"' in text
    assert "RESULT hello: 1 passed, 0 failed" in text
    assert "[counter] RESULT spin: 1 passed, 0 failed" in text


CONTROL_CFG = """
insmod all_video
serial --unit=0 --speed=115200
terminal_input serial
terminal_output serial
set timeout=0
multiboot2 /boot/paravane placeholder console=com1 dom0_mem=512M no-real-mode edd=off
module2 /boot/vmlinux placeholder console=hvc0 quiet
module2 --nounzip /boot/linux.cpio.gz
boot
"""


@pytest.mark.parametrize("firmware", ["bios", "uefi"])
def test_grub_starts_the_control_domain(boot, tmp_path, firmware):
    """As Debian's boot menu does it: the kernel has the screen, and finds the firmware's tables there."""
    top = tmp_path / "root"
    (top / "boot" / "grub").mkdir(parents=True)
    (top / "boot" / "grub" / "grub.cfg").write_text(CONTROL_CFG)
    shutil.copy(qemu.BUILD / "paravane", top / "boot")
    shutil.copy(qemu.find("linux.cpio.gz"), top / "boot")
    subprocess.run(["strip", "-o", top / "boot" / "vmlinux", qemu.find("vmlinux-6.1")], check=True)
    subprocess.run(["grub-mkrescue", "-o", tmp_path / "control.iso", top], check=True, capture_output=True)
    machine = boot(kernel=False, memory=1536, extra=["-cdrom", str(tmp_path / "control.iso"), *qmp.options(tmp_path / "qmp"),
                                                     *(["-bios", OVMF] if firmware == "uefi" else [])])
    machine.expect(r"READY linux: linux \S+, 2 CPUs", 120)
    machine.expect(r"/ # ", 30)
    machine.send("dmesg | grep -c 'efi: .*ACPI 2.0=0x'; ls /sys/firmware/acpi/tables | grep -c APIC\n")
    machine.expect(r"\n1\r?\n1\r?\n" if firmware == "uefi" else r"\n0\r?\n1\r?\n", 30)
    assert "is not known" not in machine.text
    check_picture(machine, qmp.Monitor(tmp_path / "qmp"), tmp_path / "picture")


def check_picture(machine, monitor, file):
    """What is written to the kernel's frame buffer is seen: 32 KiB of white, of 4 bytes a pixel."""
    machine.send("tr '\\0' '\\377' < /dev/zero | dd of=/dev/fb0 bs=4096 count=8 iflag=fullblock\n")
    machine.expect(r"8\+0 records out", 30)
    width, height, pixels = monitor.picture(file)
    assert width >= 640 and height >= 400
    white = pixels[:3 * 8192].count(b"\xff")
    assert white == 3 * 8192, f"{white} bytes of white on a screen of {width}x{height}"


@pytest.fixture
def pvh_only(tmp_path):
    """The hypervisor with its Multiboot headers made unrecognizable: QEMU then enters it by its PVH note."""
    image = bytearray((qemu.BUILD / "paravane").read_bytes())
    for magic in (0x1BADB002, 0xE85250D6):
        at = image.index(struct.pack("<I", magic))
        image[at:at + 4] = bytes(4)
    path = tmp_path / "paravane-pvh"
    path.write_bytes(image)
    return path


@pytest.mark.parametrize("machine", ["q35", "microvm"])
def test_pvh(boot, pvh_only, machine):
    text = boot("hello.elf", kernel=pvh_only, machine=machine).wait_end()
    assert "PVH" in text and "RESULT hello: 1 passed, 0 failed" in text
