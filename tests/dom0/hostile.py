# SPDX-License-Identifier: MIT
"""The hostile kernels as guests of the stock tools, beside a Debian guest with a disk and a network card. For Paravane alone.

What each found is on its console; what else must hold is that dom0 and the Debian guest go on, and that nothing of them is left
afterwards.
"""
import re
import shlex

import qemu
from host import drive
from scenarios import REMEMBER_COUNTS, SAME_COUNTS, SSH, Step, create, quiet

SOURCES = qemu.ROOT / "guest/kernels/hostile"
STORMS = re.findall(r'\{"(\w+)", \w+\}', (SOURCES / "storms.c").read_text())
ENDINGS = re.findall(r'^    \{"(\w+)", \w+\},$', (SOURCES / "endings.c").read_text(), re.M)
SECONDS = 10  # of each storm, and of fuzzing

# evil NAME KERNEL VCPUS WORDS...: makes a guest. over NAME PATTERN SECONDS: its console has had that, and it is gone.
SHELL = r"""
evil() {
    local name=$1 kernel=$2 vcpus=$3
    shift 3
    : > /var/log/xen/console/guest-$name.log
    printf '%s\n' "name='$name'" "kernel='/var/lib/xen/images/$kernel.elf'" "vcpus=$vcpus" memory=24 "extra='$*'" \
        "on_poweroff='destroy'" "on_crash='destroy'" > /etc/xen/$name.cfg
    xl create -q /etc/xen/$name.cfg
}
over() {
    until-true $3 "grep -q '$2' /var/log/xen/console/guest-$1.log" && until-true 60 "! xl domid $1"
}
failures() {
    grep -h -e FAIL -e SURVIVED /var/log/xen/console/guest-$1.log || true
}
"""


def drives(*kernels):
    """The machine's further disks, with a kernel in each."""
    return [word for kernel in kernels for word in drive(qemu.GUESTS / f"{kernel}.elf")]


def prepare(*kernels):
    copies = "; ".join(f"cp /dev/vd{chr(ord('b') + n)} /var/lib/xen/images/{kernel}.elf" for n, kernel in enumerate(kernels))
    return quiet("the hostile kernels", f"{copies}; echo {shlex.quote(SHELL)} > /run/evil; . /run/evil")


def attack(kernel, guests, limit=120):
    """Guests of that kernel side by side, {name: (vCPUs, words)}: each must find nothing, and end by itself."""
    first, *_ = guests
    return [
        quiet(f"{first} starts", " && ".join(f"evil {name} {kernel} {vcpus} {words}" for name, (vcpus, words) in guests.items()), 60 + 20 * len(guests)),
        quiet(f"{first} is over", " && ".join(f"over {name} 'RESULT {kernel}' {limit}" for name in guests), 60 + 2 * limit),
        quiet(f"what {first} found", "; ".join(f"failures {name}" for name in guests), must=(r"\A\s*\Z",)),
    ]


def ends(names):
    """One after the other: each must be ended by the hypervisor."""
    loop = f"for attack in {' '.join(names)}; do evil end hostile 1 attack=$attack && over end \"ATTACK $attack\" 60 || echo $attack; failures end; done"
    return quiet("attacks that end their guest", loop, 60 * len(names), must=(r"\A\s*\Z",))


# One guest with all attacks on three vCPUs, control operations among them.
SHORT_KERNELS = ("hostile",)
SHORT = [REMEMBER_COUNTS, prepare(*SHORT_KERNELS), *attack("hostile", {"hostile": (3, "rounds=16")}), SAME_COUNTS]

KERNELS = ("hostile", "gatecrash", "fuzz")
WELL = Step("the other guest is well", f"{SSH} 'kill -0 $(cat /run/counter.pid) && a=$(cat /run/count) && sleep 1 && [ $(cat /run/count) -gt $a ] && "
                                       "sha256sum -c /run/sum >/dev/null && echo 3 > /proc/sys/vm/drop_caches && sha256sum -c /run/sum >/dev/null && echo well'",
            must=(r"^well$",))
SCENARIO = [
    *create("debian"),
    quiet("work for it", f"until-true 60 ping -c 1 -W 2 192.168.77.11; {SSH} 'head -c 2000000 /dev/urandom > /var/data; sync; sha256sum /var/data > /run/sum; "
                         "(i=0; while :; do i=$((i+1)); echo $i > /run/count.new; mv /run/count.new /run/count; sleep 0.1; done) </dev/null >/dev/null 2>&1 & "
                         "echo $! > /run/counter.pid'"),
    REMEMBER_COUNTS,
    prepare(*KERNELS),
    *attack("hostile", {"hostile": (3, "rounds=16"), "control": (1, "only=control rounds=500")}),
    WELL,
    *attack("gatecrash", {"gatecrash": (1, "")}),
    *attack("fuzz", {f"fuzz{n}": (3, f"seed={n} seconds={SECONDS}") for n in (3, 4)}, 180),
    WELL,
    *attack("hostile", {f"storm_{s}": (2, f"storm={s} seconds={SECONDS}") for s in STORMS}, 240),
    WELL,
    ends(ENDINGS),
    WELL,
    SAME_COUNTS,
    quiet("destroy debian", "xl destroy debian"),
]
