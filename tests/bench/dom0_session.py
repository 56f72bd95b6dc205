# SPDX-License-Identifier: MIT
"""A machine with a Debian dom0 to be measured: the files that it gets, and the commands it runs."""
import gzip
import io
import sys
import tarfile
from pathlib import Path

import machines
from machines import BUILD, PROGRAMS

sys.path[1:1] = [str(Path(__file__).resolve().parents[1] / part) for part in ("dom0", "system")]

from host import DOM0, Host, drive  # noqa: E402

# With so much memory, q35 has a hole of two GiB below 4 GiB, in which PCI's configuration window lies.
CPUS, MEMORY, SCRATCH_MIB = 2, 3072, 64
# QEMU has the machine's memory from the start, as a real machine does: else the hypervisor that first touches a page would pay for it.
PRESENT = ["-object", f"memory-backend-ram,id=ram,size={MEMORY}M,prealloc=on"]
BRIDGE = "192.168.77.1"
# Runs before the ramdisk's own init, in dom0 and in guests: says that the kernel has got there.
BEGIN = "#!/bin/sh\necho BENCH-INIT\n/bin/meter serve &\nexec /init\n"
GUEST_MIB = 128
GUESTS = {"a": "192.168.77.31", "b": "192.168.77.32", "bare": None}


def guest_config(name, address):
    """With a disk and a card when it has an address. The disk is the machine's third, by itself."""
    card = f"vif = ['bridge=xenbr0,mac=00:16:3e:00:00:{address.split('.')[-1]}']\n" if address else ""
    disk = "disk = ['phy:/dev/vdc,xvda,w']\n" if name == "a" else ""
    own = f" paravane.ip={address}/24" if address else ""
    return (f"name = '{name}'\nkernel = '/boot/vmlinux-6.1'\nramdisk = '/srv/bench/ramdisk'\nmemory = {GUEST_MIB}\nvcpus = 1\n"
            f"extra = 'console=hvc0 quiet rdinit=/begin paravane.name={name}{own}'\n{card}{disk}")


def tiny_config(n):
    return f"name = 'tiny{n}'\nkernel = '/srv/bench/hello.elf'\nmemory = 16\nextra = 'stay'\n"


def add_to_tar(tar, name, data):
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(data), 0o755
    tar.addfile(info, io.BytesIO(data))


def make_ramdisk(kernel="6.1"):
    """The image's own, and behind it one more archive with what is added; the kernel unpacks both. xl knows gzip only in one piece."""
    tool = machines.ramdisk_tool()
    cpio = tool.Cpio()
    cpio.add("begin", tool.S_FILE | 0o755, BEGIN.encode())
    cpio.add("bin/meter", tool.S_FILE | 0o755, (PROGRAMS / "meter").read_bytes())
    own = gzip.decompress((DOM0 / f"initrd-{kernel}").read_bytes())
    return gzip.compress(own + bytes(-len(own) % 4) + cpio.finish(), mtime=0)


class Files:
    """Made once: dom0's ramdisk, the archive that it reads from its second disk, and the disk that is measured."""

    def __init__(self, directory):
        directory.mkdir(parents=True, exist_ok=True)
        self.ramdisk, self.archive, self.scratch = (directory / n for n in ("ramdisk", "files.tar", "scratch"))
        self.ramdisk.write_bytes(make_ramdisk())
        with tarfile.open(self.archive, "w") as tar:
            add_to_tar(tar, "meter", (PROGRAMS / "meter").read_bytes())
            add_to_tar(tar, "ramdisk", self.ramdisk.read_bytes())
            add_to_tar(tar, "hello.elf", (BUILD / "guest" / "hello.elf").read_bytes())
            for name, address in GUESTS.items():
                add_to_tar(tar, f"{name}.cfg", guest_config(name, address).encode())
            for n in range(20):
                add_to_tar(tar, f"tiny{n}.cfg", tiny_config(n).encode())
        self.scratch.write_bytes(b"\x5a" * (SCRATCH_MIB << 20))


class Session:
    """dom0's shell, with the meter and the guests' configurations in /srv/bench."""

    def __init__(self, files, hypervisor, log, **options):
        extra = [*drive(files.archive), *drive(files.scratch, snapshot=False), *PRESENT, *options.pop("extra", ())]
        self.host = Host(log, hypervisor, smp=options.pop("smp", CPUS), memory=MEMORY, machine="q35,memory-backend=ram", words="rdinit=/begin",
                         initrd=files.ramdisk, extra=extra, **options)
        self.machine = self.host.machine

    def prepare(self):
        self.host.wait_shell()
        self.sh("mkdir /srv/bench && tar -x -C /srv/bench -f /dev/vdb && cd /srv/bench && export PATH=$PATH:/srv/bench")

    def sh(self, command, timeout=240):
        return self.host.sh(command, timeout)

    def in_guest(self, name, command, timeout=240):
        return self.sh(f"meter run {GUESTS[name]} '{command}'", timeout)

    def until(self, guest, text):
        return f"meter until /var/log/xen/console/guest-{guest}.log '{text}' 300"

    def create(self, guest):
        """Starts a guest; seconds until xl came back, until the guest's first process ran, until its shell was there."""
        log = f"/var/log/xen/console/guest-{guest}.log"
        moments = self.sh(f": > {log}; a=$EPOCHREALTIME; xl create -q {guest}.cfg && b=$EPOCHREALTIME && {self.until(guest, 'BENCH-INIT')} && "
                          f"c=$EPOCHREALTIME && {self.until(guest, 'READY')} && echo $a $b $c $EPOCHREALTIME", 400)
        start, *rest = map(float, moments.split()[-4:])
        return [moment - start for moment in rest]

    def seconds(self, command, timeout=240):
        begin, end = map(float, self.sh(f"a=$EPOCHREALTIME; {command} && echo $a $EPOCHREALTIME", timeout).split()[-2:])
        return end - begin

    def end(self):
        self.host.kill()

