# SPDX-License-Identifier: MIT
"""A machine with a Debian dom0 on Paravane or on the peer, and a root shell in it, on the serial line."""
import base64
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "system"))

import qemu  # noqa: E402
from emulator import ESCAPES  # noqa: E402

DOM0 = qemu.CACHE / "dom0"
HYPERVISORS = {"paravane": qemu.BUILD / "paravane", "xen": qemu.CACHE / "xen-4.17"}
# Lines of the hypervisor's own, which share the serial line with dom0's.
OWN_LINES = re.compile(r"^(?:\(XEN\)|paravane:|\[[^]\n]*\] paravane:).*\n", re.M)
BOOT_LIMIT, COMMAND_LIMIT = 300, 180
DOM0_MEMORY = "640M,max:640M"
# The peer keeps 128 typed characters for dom0 and forgets the rest: so short lines, each answered by a prompt (which no echo has). A command comes in
# pieces into $b; k sees that none of it was lost; r runs it and tells its output (and t again), status and the output's size.
PIECE = 80
SHELL = [
    "stty -echo cols 400; TERM=dumb PS2='='\\> PS1='='\\>; bind 'set enable-bracketed-paste off' 2>/dev/null",
    "t() { cat /run/out; echo \"@@$s $(stat -c %s /run/out)@@\"; }",
    "k() { [ ${#b} = $1 ] && return; b=; echo '@@lost 0@@'; false; }",
    "r() { base64 -d <<< \"$b\" > /run/cmd; b=; . /run/cmd > /run/out 2>&1 < /dev/null; s=$?; t; }",
]


def drive(image, snapshot=True):
    return ["-drive", f"file={str(image).replace(',', ',,')},if=virtio,format=raw,snapshot={'on' if snapshot else 'off'}"]


class Host:
    """Boots at once; then `sh` runs commands. The disk is never changed: what is written is gone with the machine. With `disk`, that
    one's own GRUB boots it, and it is changed."""

    def __init__(self, log, hypervisor, kernel="6.1", smp=2, memory=2048, append="", extra=(), words="", disk=None, machine="q35",
                 initrd=None, accel="tcg,thread=multi", image="disk", cpu="qemu64"):
        common = {"cpu": cpu, "smp": smp, "memory": memory, "machine": machine, "accel": accel}
        if disk:
            self.machine = qemu.Machine(log, kernel=False, extra=[*drive(disk, snapshot=False), *extra], **common)
            return
        modules = [f"{qemu.CACHE / f'vmlinux-{kernel}'} console=hvc0 root=/dev/vda1 quiet {words}".strip(), initrd or DOM0 / f"initrd-{kernel}"]
        self.machine = qemu.Machine(log, modules, append=f"dom0_mem={DOM0_MEMORY} {append}", kernel=HYPERVISORS[hypervisor],
                                    extra=[*drive(DOM0 / f"{image}.img"), *extra], **common)

    def wait_ready(self, who="dom0"):
        """Waits for the root shell; returns the line that was printed before."""
        ready = self.machine.expect(rf"(READY {who}|FAILED)[^\r\n]*", BOOT_LIMIT)[0]
        assert ready.startswith("READY"), self.machine.tail()
        self.wait_shell()
        return ready

    def wait_shell(self):
        self.machine.expect(r"# ", 60)
        for line in SHELL:
            self.machine.send(line + "\n")
            self.machine.expect(r"=>", 30)

    def sh(self, command, timeout=COMMAND_LIMIT, status=0):
        """Runs a command in dom0; returns what it printed. Its exit status must be the given one, or any with None."""
        text = base64.b64encode(command.encode()).decode()
        for _ in range(3):
            output, code, size = self.type_in(text, timeout)
            if code != "lost":
                break
        for _ in range(3):  # a line of the hypervisor's own in the middle breaks dom0's in two: then what was printed is fetched again
            if len(output.encode()) == size:
                break
            self.machine.send("t\n")
            output, code, size = self.answer(60)
        assert status in (None, code), f"{command!r} ended with {code}:\n{output}"
        return output

    def type_in(self, text, timeout):
        for start in range(0, len(text), PIECE):
            self.machine.send(f"b+={text[start:start + PIECE]}\n")
            self.machine.expect(r"=>", 60)
        self.machine.send(f"k {len(text)} && r\n")
        return self.answer(timeout)

    def answer(self, timeout):
        """What a command printed, its status (or "lost": it was not run), and how much it printed."""
        match = self.machine.expect(r"@@(\d+|lost) (\d+)@@", timeout)
        output = OWN_LINES.sub("", ESCAPES.sub("", self.machine.process.before).replace("\r", ""))
        self.machine.expect(r"=>", 60)
        return output, match[1] if match[1] == "lost" else int(match[1]), int(match[2])

    def power_off(self):
        """Ends the machine as its user would, and waits until it is off."""
        self.machine.send("poweroff\n")
        self.machine.wait_end(300)

    def kill(self):
        self.machine.kill()
