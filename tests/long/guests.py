# SPDX-License-Identifier: MIT
"""The guests of the long run, and what each of them has to show: how often it must say something, and what it may not say."""
import re

import qemu

ENDINGS = sorted(re.findall(r'^    \{"(\w+)", \w+\},$', (qemu.ROOT / "guest/kernels/hostile/endings.c").read_text(), re.M))
SMALL = 40
# Some 60 guests always want two emulated CPUs: whose turn is over waits for seconds at times.
STRESS = "paravane.test=stress paravane.args=limit=1500,late=10"


class Guest:
    """One section of the launch file. `kind` is its row in the report; `sign` is what shows that it gets on, at the latest
    every `within` seconds; `crashes` says that its crash is what is expected."""

    def __init__(self, name, kind, sign, within, crashes=False, **keys):
        self.name, self.kind, self.within, self.crashes = name, kind, within, crashes
        self.sign = re.compile(sign)
        self.section = f"[{name}]\n" + "".join(f"{key} = {value}\n" for key, value in keys.items()) + "\n"
        self.modules = [keys[k] for k in ("kernel", "ramdisk") if k in keys]
        self.starts, self.ends, self.crashed, self.results, self.failures, self.last = 1, 0, 0, 0, [], None


AGAIN = {"on_end": "restart", "on_crash": "restart", "restart_limit": "none"}


def linux(name, kind, version, options, **keys):
    return Guest(name, kind, r"READY|RESULT stress: \d+ passed, 0 failed|PASS", 1800, kernel=f"vmlinux-{version}",
                 ramdisk="linux.cpio.gz", cmdline=f"console=hvc0 quiet panic=1 paravane.name={name} {options}", **AGAIN,
                 **keys)


def sdk(name, kind, kernel, cmdline, sign, within, memory="16M", crashes=False, **keys):
    return Guest(name, kind, sign, within, crashes, kernel=f"{kernel}.elf", cmdline=cmdline, memory=memory, **keys)


def stressed():
    return [linux("linux1", "Linux 6.1 under stress", "6.1", STRESS, memory="384M", vcpus=2, weight=1024),
            linux("linux2", "Linux 6.12 under stress", "6.12", STRESS, memory="384M", weight=1024),
            linux("reboot", "Linux that boots and reboots", "cloud", "paravane.end=reboot", memory="192M"),
            linux("panic", "Linux that boots and panics", "cloud", "paravane.end=panic", memory="192M")]


def misbehaving():
    result = [sdk(f"fuzz{i}", "fuzzing kernel", "fuzz", "seed=clock seconds=30", r"fuzz: seed=|RESULT", 600,
                  vcpus=1 + i % 3, **AGAIN) for i in range(1, 6)]
    result += [sdk(f"hostile{i}", "hostile kernel", "hostile", "", r"PASS|RESULT", 600, "32M", vcpus=2, **AGAIN)
               for i in range(1, 3)]
    result += [sdk(f"end-{name}"[:31], "hostile kernel that has to be ended", "hostile", f"attack={name}", "ATTACK", 600,
                   crashes=True, cap=2, **AGAIN) for name in ENDINGS]
    return result


def restarting():
    """Not among them: smp, which counts five seconds without an answer as a failure; a busy machine below may take them."""
    return [sdk("crash", "kernel that crashes", "crash", "", "crash: shutdown", 600, crashes=True, cap=5, **AGAIN),
            sdk("nohandler", "kernel that crashes", "crash", "how=nohandler", "crash: nohandler", 600, crashes=True, cap=5,
                **AGAIN),
            sdk("rebooter", "kernel that reboots", "rebooter", "", "rebooter: rebooting", 600, cap=10, **AGAIN),
            sdk("usermode", "well-behaved kernel", "usermode", "", "RESULT", 600, **AGAIN),
            sdk("tables", "well-behaved kernel", "basics", "only=page_tables", "RESULT", 600, **AGAIN)]


def watching():
    result = [sdk(f"witness{i}", "witness", "witness", "period=10", r"work=[1-9]", 300, vcpus=i) for i in (1, 2)]
    return result + [sdk(f"small{i}", "small witness", "witness", "period=20 pages=16 idle=500", r"work=[1-9]", 300, "8M")
                     for i in range(1, SMALL + 1)]


def everybody():
    return watching() + stressed() + misbehaving() + restarting()
