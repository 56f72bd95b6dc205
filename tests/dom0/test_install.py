# SPDX-License-Identifier: MIT
"""tools/install on an installed Debian: from its own GRUB to a guest made with xl, and out again.

One CPU: with several, QEMU's TCG can trip over the code that Linux 6.12 patches in itself (an int3 oops, also without any hypervisor)."""
import subprocess
import tarfile

import host
import pytest
import qemu
import scenarios

INSTALL = qemu.ROOT / "tools" / "install"
FILES = "/boot/paravane /usr/local/lib/paravane /etc/default/grub.d/paravane.cfg /etc/grub.d/09_linux_paravane"


def bundle(path):
    """An archive as a disk: the machine under test has no other way to get files."""
    with tarfile.open(path, "w") as tar:
        for file, name in [(qemu.BUILD / "paravane", "paravane"), (qemu.BUILD / "tools" / "paravane-unpack", "tools/paravane-unpack"),
                           (INSTALL / "paravane-install", "paravane-install"), (INSTALL / "linux_paravane", "linux_paravane")]:
            tar.add(file, name)
    return host.drive(path)


@pytest.mark.long
def test_install(dom0, tmp_path):
    disk = tmp_path / "disk.img"
    subprocess.run(["cp", "--sparse=always", host.DOM0 / "disk.img", disk], check=True)
    files = bundle(tmp_path / "files.tar")
    debian = dom0("paravane", who="debian", disk=disk, extra=files, smp=1)
    debian.sh("mkdir /tmp/p && tar -x -C /tmp/p -f /dev/vdb")
    out = debian.sh("/tmp/p/paravane-install --options 'console=com1 dom0_mem=640M' /tmp/p", 300)
    assert out.count("Found Paravane with linux image") == 2, out
    debian.power_off()

    installed = dom0("paravane", disk=disk, extra=files, smp=1)
    assert "dom0_mem=640M" in installed.sh("xl info | grep ^xen_commandline")
    assert " console=hvc0" in installed.sh("cat /proc/cmdline")
    scenarios.run(installed, scenarios.create("small"))
    installed.sh("xl destroy small")
    installed.sh("/tmp/p/paravane-install --remove", 300)
    installed.sh(f"ls {FILES} /boot/*.paravane", status=2)
    assert "aravane" not in installed.sh("cat /boot/grub/grub.cfg")
    installed.power_off()

    debian = dom0("paravane", who="debian", disk=disk, smp=1)
    debian.sh("test ! -e /sys/hypervisor/type")
