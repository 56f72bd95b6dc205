# SPDX-License-Identifier: MIT
"""A machine in Bochs: GRUB on a CD starts the hypervisor with its modules. Time there is counted in instructions, so that a run
is the same each time."""
import re
import shutil
import subprocess
import time

import qemu
from emulator import ESCAPES, Emulator

CONFIGURATION = """
plugin_ctrl: unmapped=1, biosdev=1, speaker=0, extfpuirq=1, parallel=0, serial=1
display_library: term
megs: {memory}
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/vgabios/vgabios-stdvga.bin
cpu: model={model}, count={smp}, ips=50000000, reset_on_triple_fault=0, ignore_bad_msrs=0
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=cdrom, path={top}/cd.iso, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev={serial}
log: {log}
panic: action=fatal
error: action=report
info: action=report
debug: action=ignore
clock: sync=none, time0=1700000000
"""
# Multiboot 2 has GRUB set a graphics mode, which this text screen has not.
GRUB = """
serial --unit=0 --speed=115200
terminal_input serial
terminal_output serial
set timeout=0
multiboot /boot/paravane console=com1 color=off {append}
{modules}
boot
"""
GRUB_FILES = "/usr/lib/grub/i386-pc"
# How a machine that is off ends.
OFF = "ACPI control: soft power off"


def make_cd(top, modules, append, kernel):
    """The CD's tree and image; each module's string begins with its name, as QEMU's does."""
    boot, lines = top / "cd" / "boot", []
    (boot / "grub").mkdir(parents=True)
    shutil.copy(kernel, boot / "paravane")
    for module in modules:
        name, _, arguments = str(module).partition(" ")
        source = qemu.find(name) if "/" not in name else qemu.Path(name)
        target = boot / source.name
        shutil.copy(source, target)
        if target.suffix == ".elf" or source.name.startswith("vmlinux"):
            subprocess.run(["strip", target], check=True)
        lines.append(f"module /boot/{source.name} {source.name} {arguments}")
    (boot / "grub" / "grub.cfg").write_text(GRUB.format(append=append, modules="\n".join(lines)))
    subprocess.run(["grub-mkrescue", "-d", GRUB_FILES, "-o", top / "cd.iso", top / "cd"], check=True, capture_output=True)


class Machine(Emulator):
    """One run of Bochs; `modules` as for qemu.Machine. `top` is a directory for what the machine needs."""

    def __init__(self, log, top, modules=(), append="", model="broadwell_ult", smp=1, memory=256, kernel=None,
                 panics=False):
        top.mkdir()
        make_cd(top, modules, append, kernel or qemu.BUILD / "paravane")
        self.serial, self.own_log = (qemu.Path(log).with_suffix(suffix) for suffix in (".serial", ".bochs"))
        self.serial.unlink(missing_ok=True)
        (top / "bochsrc").write_text(CONFIGURATION.format(model=model, smp=smp, memory=memory, top=top, serial=self.serial, log=self.own_log))
        (top / "debugger").write_text("continue\n")  # Debian's Bochs begins in its debugger
        command = ["bochs", "-q", "-f", str(top / "bochsrc"), "-rc", str(top / "debugger")]
        # Its screen and its debugger are for nobody; the terminal stays open until it ends.
        super().__init__(log, ["sh", "-c", 'TERM=linux exec "$@" 3>&1 </dev/null >/dev/null 2>&1', "sh", *command], panics)
        self.logs += [self.serial, self.own_log]

    @property
    def text(self):
        return ESCAPES.sub("", self.serial.read_text(errors="replace")) if self.serial.exists() else ""

    def expect(self, pattern, timeout=60):
        """Waits for a pattern on the serial line, which may have been there already; returns the match."""
        end = time.monotonic() + timeout
        while not (found := re.search(pattern, self.text)):
            assert self.process.isalive(), f"Bochs ended before {pattern!r}; the end of the output:\n{self.tail()}"
            assert time.monotonic() < end, f"{timeout} seconds went by before {pattern!r}; the end of the output:\n{self.tail()}"
            time.sleep(0.2)
        return found

    def uses_pcids(self):
        """Of a machine that went off: CR4 as Bochs then prints it."""
        return bool(int(re.findall(r"CR4=0x([0-9a-f]+)", self.own_log.read_text(errors="replace"))[-1], 16) >> 17 & 1)

    def check_exit(self):
        """Whatever Bochs calls a panic ends it; one of them is a machine that goes off."""
        panics = re.findall(r">>PANIC<< (.*)", self.own_log.read_text(errors="replace"))
        assert panics == [OFF], f"Bochs ended with {panics}, status {self.process.exitstatus}; the end:\n{self.tail()}"
