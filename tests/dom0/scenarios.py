# SPDX-License-Identifier: MIT
"""What is done in dom0 with the stock tools: commands, what each must print, and how outputs of two hypervisors compare.

A scenario is a list of steps and runs in one machine, the same on both hypervisors.
"""
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

READY_LIMIT = 300


@dataclass
class Step:
    """One command in dom0's shell. `must`: patterns that its output has; `hide`: what may differ between runs."""
    name: str
    command: str
    must: tuple = ()
    hide: tuple = ()
    compare: bool = True
    status: int = 0
    timeout: int = 180

    def normalised(self, output):
        for pattern, instead in self.hide:
            output = re.sub(pattern, instead, output, flags=re.M)
        return "\n".join(" ".join(line.split()) for line in output.splitlines() if line.strip())


def quiet(name, command, timeout=180, must=(), status=0):
    """A step whose output is its own business."""
    return Step(name, command, must=must, compare=False, timeout=timeout, status=status)


# Domain numbers, seconds, and the memory of dom0, which depends on what its balloon driver was told.
TIMES = (r"\d+\.\d+$", "SECONDS")
LIST = (TIMES, (r"^(Domain-0 +0) +\d+", r"\1 MIB"), (r"^(\w+ +)[1-9]\d* ", r"\1 ID "), (r"[r-][b-]p---", "PAUSED"), (r" [r-][b-]---- ", " RUNS "))
UPTIMES = ((r"\d+:\d\d:\d\d", "TIME"), (r"\d+ days?, ", ""), (r"^(\w+ +)[1-9]\d* ", r"\1 ID "))
VCPUS = ((r"\d+\.\d+ ", "SECONDS "), (r"[r-][b-]- ", "RUN "), (r"(\d+) +(\d+|-) +RUN", r"\1 CPU RUN"), (r"^(\w+ +)[1-9]\d* ", r"\1 ID "))


def log(guest):
    return f"/var/log/xen/console/guest-{guest}.log"


def says(guest, text, name=None):
    """Waits until a guest's console has said something since its log was last emptied."""
    return quiet(name or f"{guest} says {text}", f"until-true {READY_LIMIT} grep -q '{text}' {log(guest)}", READY_LIMIT + 30)


def keys(guest, text):
    """Types a line on a guest's console."""
    return quiet(f"type {text}", f"printf '%s\\r' '{text}' > $(xenstore-read /local/domain/$(xl domid {guest})/console/tty)")


def create(guest, ready="READY", config=None):
    return [quiet(f"empty log of {guest}", f": > {log(guest)}"),
            Step(f"create {guest}", f"xl create {config or f'/etc/xen/{guest}.cfg'}", must=(r"Parsing config from /etc/xen/",)),
            says(guest, ready)]


def gone(guest):
    return quiet(f"{guest} is gone", f"until-true 60 '! xl domid {guest}'")


def until(condition, name, seconds=60):
    return quiet(name, f"until-true {seconds} {shlex.quote(condition)}", seconds + 30)


# Where Debian keeps programs of Xen's that are not on the path.
PROGRAMS = "/usr/lib/xen-4.17/bin"
# Frames, grants and event channels all come back: the hypervisor's free memory (a frame that is mapped by a grant stays its owner's, so it is not
# free) and the number of dom0's channels are what they were.
FREE = "xl info | sed -n 's/^free_memory *: //p'"
COUNTS = f"echo $({FREE}) $({PROGRAMS}/lsevtchn 0 | wc -l)"
REMEMBER_COUNTS = quiet("remember the counts", f"{COUNTS} > /tmp/counts; cat /tmp/counts", must=(r"^\d+ \d\d+$",))
SAME_COUNTS = until(f'[ "$({COUNTS})" = "$(cat /tmp/counts)" ]', "the counts are what they were")

INFO = "|".join("host release version machine nr_cpus max_cpu_id nr_nodes cores_per_socket threads_per_core virt_caps total_memory "
                "sharing_freed_memory sharing_used_memory outstanding_claims free_cpus xen_major xen_minor xen_extra xen_caps "
                "xen_scheduler xen_pagesize platform_params".split())

LOOK = [
    Step("info", f"xl info | grep -E '^({INFO}) *:'", must=(r"nr_cpus +: 2", r"xen_major +: 4", r"xen_minor +: 17", r"xen_caps +: .*xen-3.0-x86_64",
                                                           r"xen_scheduler +: credit2")),
    Step("info -n", "xl info -n | sed -n '/^cpu_topology/,/^xen_major/p' | grep -v xen_major", hide=((r"^(\s*\d+: +)\d+", r"\1 SIZE"), (r"\d+ +(\d+)$", r"FREE \1"))),
    Step("list", "xl list", must=(r"Domain-0 +0 +\d+ +2 +r-----",), hide=LIST),
    Step("domname", "xl domname 0", must=("Domain-0",)),
    Step("domid", "xl domid Domain-0", must=("^0",)),
    Step("domid of none", "xl domid none", status=1),
    Step("vcpu-list of dom0", "xl vcpu-list 0", must=(r"Domain-0 +0 +1 ",), hide=VCPUS),
    Step("cpupool-list", "xl cpupool-list", must=(r"Pool-0 +2 +credit2 +y +1",)),
    Step("sched-credit2", "xl sched-credit2", must=(r"Domain-0 +0 +256",)),
    Step("uptime", "xl uptime", must=(r"Domain-0 +0 ",), hide=UPTIMES),
    quiet("xentop", "xentop -b -i 1", must=(r"Domain-0 -----r",)),
    quiet("dmesg", "xl dmesg | sed 's,^,| ,'", must=(r"(?i)xen|paravane",)),
    Step("debug-keys", "xl debug-keys h"),
    quiet("after debug-keys", "xl dmesg | tail -60 | sed 's,^,| ,'", must=(r"(?i)'h' pressed|\bkeys?\b",)),
]

# The control domain is a guest as well.
ITSELF = [
    quiet("mem-set of dom0", "xl mem-set 0 600"),
    until("xl list 0 | grep -E '^Domain-0 +0 +600 '", "dom0 gave memory back"),
    quiet("mem-set of dom0 back", "xl mem-set 0 640"),
    until("xl list 0 | grep -E '^Domain-0 +0 +640 '", "dom0 has its memory again"),
    quiet("vcpu-set of dom0", "xl vcpu-set 0 1"),
    until("xl vcpu-list 0 | grep -E '^Domain-0 +0 +1 +- +--p '", "dom0's second vCPU is down"),
    quiet("vcpu-set of dom0 back", "xl vcpu-set 0 2"),
    quiet("dom0's online", "cd /sys/devices/system/cpu; while [ ! -e cpu1/online ]; do sleep 0.2; done; echo 1 > cpu1/online; cd /"),
    until("xl vcpu-list 0 | grep -E '^Domain-0 +0 +1 +[0-9-]+ +[r-][b-]- '", "dom0's second vCPU is up"),
]

SMALL = [
    REMEMBER_COUNTS,
    *create("small"),
    Step("list small", "xl list small", must=(r"small +\d+ +96 +1 ",), hide=LIST),
    Step("console", "in-guest small 'echo $((40 + 2)); grep -c processor /proc/cpuinfo; cat /sys/hypervisor/type'", must=(r"^42\n1\nxen\n",)),
    Step("vcpu-list", "xl vcpu-list small", must=(r"small +\d+ +0 +",), hide=VCPUS),
    Step("vcpu-pin", "xl vcpu-pin small 0 1 && xl vcpu-list small | sed 1d", must=(r"small .* 1 / ",), hide=VCPUS),
    Step("vcpu-pin back", "xl vcpu-pin small all all && xl vcpu-list small | sed 1d", must=(r"small .* all / ",), hide=VCPUS),
    quiet("vcpu-set 2", "xl vcpu-set small 2"),
    # Linux says that the CPU is there; putting it online is udev's work, or ours.
    quiet("online", "in-guest small 'cd /sys/devices/system/cpu; while [ ! -e cpu1/online ]; do sleep 0.2; done; echo 1 > cpu1/online'"),
    until("xl vcpu-list small | grep -E '^small +[0-9]+ +1 +[0-9-]+ +[r-][b-]- '", "the second vCPU is up"),
    Step("vcpu-set seen inside", "in-guest small 'grep -c processor /proc/cpuinfo'", must=(r"^2\n",)),
    quiet("vcpu-set 1", "xl vcpu-set small 1"),
    until("xl vcpu-list small | grep -E '^small +[0-9]+ +1 +- +--p '", "the second vCPU is down"),
    quiet("mem-set down", "xl mem-set small 80"),
    until("xl list small | grep -E '^small +[0-9]+ +80 '", "the guest gave memory back"),
    Step("mem-max", "xl mem-max small 112"),
    Step("xenstore memory", "xenstore-read /local/domain/$(xl domid small)/memory/target /local/domain/$(xl domid small)/memory/static-max"),
    quiet("mem-set up", "xl mem-set small 96"),
    until("xl list small | grep -E '^small +[0-9]+ +96 '", "the guest has its memory again"),
    Step("pause", "xl pause small && xl list small", must=(r"[r-][b-]p---",), hide=LIST),
    Step("unpause", "xl unpause small && xl list small", must=(r"[r-][b-]----",), hide=LIST),
    Step("domname of small", "xl domname $(xl domid small)", must=(r"^small$",)),
    Step("rename", "xl rename small other && xl list other | sed 1d && xl rename other small", must=(r"^other ",), hide=LIST),
    Step("uptime of small", "xl uptime small", must=(r"small +\d+ ",), hide=UPTIMES),
    Step("sched-credit2 -w", "xl sched-credit2 -d small -w 512 && xl sched-credit2 -d small", must=(r"small +\d+ +512",),
         hide=((r"^(small +)\d+", r"\1 ID"),)),
    quiet("xentop with small", "xentop -b -i 1", must=(r"small -?-",)),
    quiet("sysrq", "xl sysrq small h"),
    says("small", "sysrq: HELP"),
    quiet("trigger nmi", "xl trigger small nmi"),
    says("small", "NMI"),
    # Buttons are for guests with ACPI.
    *[Step(f"trigger {button}", f"xl trigger small {button}", status=None) for button in ("power", "sleep", "reset", "init", "s3resume")],
    Step("sched-credit2 -s -r", "xl sched-credit2 -s -r 600 && xl sched-credit2 -s && xl sched-credit2 -s -r 1000", must=("ratelimit=600us",)),
    Step("vcpu-pin soft", "xl vcpu-pin small 0 all 1 && xl vcpu-list small | sed 1d", must=(r"small .* all / 1",), hide=VCPUS),
    Step("vcpu-pin soft back", "xl vcpu-pin small 0 all all && xl vcpu-list small | sed 1d", must=(r"small .* all / all",), hide=VCPUS),
    quiet("xenctx", f"{PROGRAMS}/xenctx -C $(xl domid small)", must=(r"^rip: ", r"^Call Trace:")),
    Step("lsevtchn", f"{PROGRAMS}/lsevtchn $(xl domid small)", must=(r"1: VCPU 0: Interdomain [(]Connected[)] - Remote Domain 0",), hide=((r"^ *\d+: ", ""), (r"Port \d+", "PORT"))),
    Step("xen-diag", f"{PROGRAMS}/xen-diag gnttab_query_size $(xl domid small)", must=(r"nr_frames=\d+, max_nr_frames=64",), hide=((r"domid=\d+", "domid"),)),
    Step("alive", "in-guest small 'echo still $((1 + 1))'", must=(r"^still 2\n",)),
    Step("destroy", "xl destroy small"),
    Step("list after destroy", "xl list", must=(r"^Domain-0",), hide=LIST),
    SAME_COUNTS,
]

# Xen's own tests of what tools ask for.
SELF_TESTS = [
    quiet("test-xenstore", f"{PROGRAMS}/test-xenstore 2>&1", must=(r"^ta err +: \d+ ns",)),
    quiet("test-resource", f"{PROGRAMS}/test-resource 2>&1", must=(r"^Test x86 PV\n +Created d\d+\n +Test grant table\n",)),
    quiet("test-cpu-policy", f"{PROGRAMS}/test-cpu-policy 2>&1", must=(r"all ok",)),
    SAME_COUNTS,
]

LIFE = [
    REMEMBER_COUNTS,
    *create("small"),
    # All of its memory, and of each vCPU what a debugger wants.
    quiet("dump-core", "xl dump-core small /tmp/core && [ $(stat -c %s /tmp/core) -gt $((96 << 20)) ] && od -A n -N 4 -c /tmp/core; rm /tmp/core", must=(r"177 +E +L +F",)),
    Step("alive after its dump", "in-guest small 'echo still $((1 + 1))'", must=(r"^still 2\n",)),
    quiet("shutdown", "xl shutdown -w small", 180),
    gone("small"), SAME_COUNTS,
    *create("small"),
    quiet("empty log", f": > {log('small')}"),
    quiet("reboot", "xl reboot small"),
    says("small", "READY", "small is up again"),
    Step("list after reboot", "xl list small", must=(r"small +\d+ +96 +1 ",), hide=LIST),
    # Debian's kernels take this key only when told so.
    quiet("allow all keys", "in-guest small 'echo 1 > /proc/sys/kernel/sysrq'"),
    quiet("crash", "xl sysrq small c"),
    gone("small"), SAME_COUNTS,
    quiet("shutdown before it is up", "xl create -q /etc/xen/small.cfg && xl shutdown -w small", 240),
    gone("small"), SAME_COUNTS,
    Step("create paused", "xl create -p -q /etc/xen/small.cfg && xl list small", must=(r"small +\d+ +96 +1 +[r-][b-]p---",), hide=LIST),
    Step("destroy paused", "xl destroy small"),
    SAME_COUNTS,
    *[quiet(f"create and destroy {n}", "xl create -q /etc/xen/small.cfg && xl destroy small") for n in range(5)],
    SAME_COUNTS,
]

NO_DEVICES = "! losetup -a | grep . && ! ls /sys/class/net | grep vif"
SSH = "dbclient -y root@192.168.77.11"
DEVICES = [
    REMEMBER_COUNTS,
    *create("debian"),
    Step("list debian", "xl list debian", must=(r"debian +\d+ +160 +2 ",), hide=LIST),
    quiet("ping", "ping -c 3 -W 5 192.168.77.11", must=(r"3 received",)),
    Step("ssh", f"{SSH} 'uname -r; nproc; cat /sys/hypervisor/type; findmnt -n -o SOURCE /'", must=(r"xen\n/dev/xvda",)),
    Step("disk", f"{SSH} 'dd if=/dev/urandom of=/var/file bs=1M count=8 2>/dev/null; sync; echo 3 > /proc/sys/vm/drop_caches; "
                 "sha256sum < /var/file > /tmp/a; echo 3 > /proc/sys/vm/drop_caches; sha256sum < /var/file | cmp - /tmp/a && echo same'",
         must=(r"^same$",)),
    quiet("much by network", f"head -c 4000000 /dev/urandom > /tmp/much; {SSH} 'cat > /tmp/much; sha256sum < /tmp/much' < /tmp/much > /tmp/sum; "
                             "sha256sum < /tmp/much | cmp - /tmp/sum"),
    Step("block-list", "xl block-list debian", must=(r"^51712 ",), hide=((r"^(51712 +0 +)\d+( +\d) +\d+ +\d+ +(\S+)", r"\1 ID \2 PORT REF \3"), (r"domain/\d+", "domain/ID"), (r"vbd/\d+/", "vbd/ID/"))),
    Step("network-list", "xl network-list debian", must=(r"00:16:3e:00:00:11",), hide=((r"^(0 +0 +\S+ +)\d+( +\d+) +\S+ +\S+", r"\1 ID \2 PORT REF"), (r"vif/\d+/", "vif/ID/"))),
    quiet("another disk's file", "head -c 1048576 /dev/urandom > /var/lib/xen/images/extra.img"),
    quiet("block-attach", "xl block-attach debian format=raw,vdev=xvdb,access=w,target=/var/lib/xen/images/extra.img"),
    quiet("attached disk is the file", f"until-true 30 {SSH} test -b /dev/xvdb; {SSH} sha256sum /dev/xvdb | cut -d' ' -f1 > /tmp/a; "
                                       "sha256sum /var/lib/xen/images/extra.img | cut -d' ' -f1 | cmp - /tmp/a"),
    quiet("block-detach", "xl block-detach debian xvdb"),
    until(f"{SSH} 'test -b /dev/xvdb || echo gone' | grep -q gone", "the disk is gone"),
    quiet("block-attach of a device", "loop=$(losetup -f) && losetup -r $loop /var/lib/xen/images/extra.img && xl block-attach debian phy:$loop,xvdc,r"),
    quiet("attached device is the file", f"until-true 30 {SSH} test -b /dev/xvdc; {SSH} sha256sum /dev/xvdc | cut -d' ' -f1 | cmp - /tmp/a"),
    Step("attached device is read-only", f"{SSH} 'dd if=/dev/zero of=/dev/xvdc bs=4096 count=1 status=none 2>&1; cat /sys/block/xvdc/ro'", must=(r"^1$",)),
    quiet("block-detach of a device", "xl block-detach debian xvdc && losetup -d $loop"),
    until(f"{SSH} 'test -b /dev/xvdc || echo gone' | grep -q gone", "the device is gone"),
    quiet("network-attach", "xl network-attach debian mac=00:16:3e:00:00:21 bridge=xenbr0"),
    until(f"{SSH} grep -qi 00:16:3e:00:00:21 /sys/class/net/eth1/address", "eth1 is there"),
    quiet("eth1 works", f"{SSH} 'ip address add 192.168.78.11/24 dev eth1; ip link set eth1 up'; ip address add 192.168.78.1/24 dev xenbr0; "
                        "until-true 30 ping -c 1 -W 2 192.168.78.11"),
    quiet("network-detach", "xl network-detach debian 1"),
    until(f"{SSH} 'test -e /sys/class/net/eth1 || echo gone' | grep -q gone", "eth1 is gone"),
    says("debian", "debian login:", "a login on the console"),
    keys("debian", "root"),
    says("debian", "root@debian:"),
    keys("debian", "echo I am $(id -un)"),
    says("debian", "I am root"),
    quiet("shutdown debian", "xl shutdown -w debian", 180),
    gone("debian"),
    until(NO_DEVICES, "no device is left behind"),
    SAME_COUNTS,
]

GRUB = [
    REMEMBER_COUNTS,
    *create("grub"),
    Step("http", "until-true 60 wget -qO /dev/null -T 5 http://192.168.77.12/; wget -qO- -T 20 http://192.168.77.12/", must=(r"GRUB started",)),
    Step("kernel of its own", "in-guest grub 'uname -r | cut -d. -f1,2'", must=(r"^6.12$",)),
    quiet("shutdown grub", "xl shutdown -w grub", 180),
    gone("grub"), SAME_COUNTS,
    quiet("pygrub's configuration", "sed 's/^kernel.*/bootloader = \"pygrub\"/; s/^name.*/name = \"pygrub\"/' /etc/xen/grub.cfg > /etc/xen/pygrub.cfg"),
    *create("pygrub"),
    Step("http from pygrub's", "until-true 60 wget -qO /dev/null -T 5 http://192.168.77.12/; wget -qO- -T 20 http://192.168.77.12/", must=(r"GRUB started",)),
    quiet("destroy pygrub", "xl destroy pygrub"),
    SAME_COUNTS,
]


def save_and_restore(n):
    return [
        quiet(f"save {n}", "xl save debian /tmp/saved", 180),
        quiet(f"restore {n}", "xl restore /tmp/saved && rm /tmp/saved", 180),
        until("ping -c 1 -W 2 192.168.77.11", f"answers after restore {n}"),
        Step(f"memory, disk and clock after restore {n}",
             f"{SSH} 'sha256sum -c /run/sums >/dev/null && kill -0 $(cat /run/counter.pid) && a=$(cat /run/count) && sleep 1 && [ $(cat /run/count) -gt $a ] && "
             f"echo {n} >> /var/rounds && sync && wc -l < /var/rounds'", must=(rf"^{n}$",)),
    ]


def nothing_left(guest, name):
    return [gone(guest), until(NO_DEVICES, f"no device is left after {name}"), SAME_COUNTS]


def destroyed_while_saved(mib):
    """The tool that saves the guest stands still after so much, since nobody reads on; when it can go on, the guest is gone, and it fails."""
    return [
        *create("small"),
        quiet(f"destroyed after {mib} MiB were saved", "rm -f /tmp/pipe; mkfifo /tmp/pipe; exec 9<>/tmp/pipe; xl save small /tmp/pipe > /tmp/ended 2>&1 & saver=$!; "
              f"head -c {mib}M <&9 | wc -c; xl destroy small; cat <&9 > /dev/null & reader=$!; "
              "wait $saver; status=$?; kill $reader; exec 9<&-; cat /tmp/ended; [ $status != 0 ]", must=(rf"^{mib << 20}$",)),
        *nothing_left("small", f"{mib} MiB"),
    ]


SAVE = [
    REMEMBER_COUNTS,
    *create("debian"),
    quiet("data in memory and on disk", f"until-true 60 ping -c 1 -W 2 192.168.77.11; {SSH} 'head -c 8000000 /dev/urandom > /run/data; head -c 2000000 /dev/urandom > /var/data; "
                                        "sha256sum /run/data /var/data > /run/sums'"),
    quiet("a counter", f"{SSH} '(i=0; while :; do i=$((i+1)); echo $i > /run/count.new; mv /run/count.new /run/count; sleep 0.1; done) </dev/null >/dev/null 2>&1 & "
                       "echo $! > /run/counter.pid'"),
    *[step for n in range(1, 11) for step in save_and_restore(n)],
    Step("list at the end", "xl list debian", must=(r"debian +\d+ +160 +2 ",), hide=LIST),
    # Saved once more, for what follows; it ends with that.
    quiet("save and end", "xl save debian /tmp/saved"),
    *nothing_left("debian", "saving"),
    quiet("destroyed while it is restored", "xl restore /tmp/saved > /tmp/ended 2>&1 & until-true 60 'xl domid debian && sleep 2'; xl destroy debian; wait $! && cat /tmp/ended", status=1),
    *nothing_left("debian", "restoring"),
    *destroyed_while_saved(1),
    *destroyed_while_saved(8),
]

# A guest that attacks the drivers which serve it; its kernel is on the machine's second disk.
ROGUE_CONFIG = """name = 'rogue'
kernel = '/var/lib/xen/images/rogue.elf'
memory = 32
disk = ['format=raw,vdev=xvda,access=w,target=/var/lib/xen/images/rogue.img']
vif = ['bridge=xenbr0']
on_poweroff = 'destroy'
on_crash = 'destroy'
"""


def rogue(attack, ready):
    return [
        quiet(f"attack {attack}", f"echo \"$ROGUE\" > /etc/xen/rogue.cfg; echo \"extra = 'attack={attack}'\" >> /etc/xen/rogue.cfg; : > {log('rogue')}; "
                                  "xl create -q /etc/xen/rogue.cfg", 180),
        says("rogue", ready),
        gone("rogue"),
        Step(f"what attack {attack} did", f"grep -c FAIL {log('rogue')}", must=(r"^0$",), status=1),
        SAME_COUNTS,
    ]


ROGUE = [
    REMEMBER_COUNTS,
    *create("debian"),
    quiet("the rogue's kernel", f"cp /dev/vdb /var/lib/xen/images/rogue.elf; truncate -s 16M /var/lib/xen/images/rogue.img; ROGUE={shlex.quote(ROGUE_CONFIG)}; {COUNTS} > /tmp/counts"),
    *[step for attack in range(3) for step in rogue(attack, "RESULT rogue")],
    *rogue(3, "requests under way"),
    Step("the other guest is well", f"{SSH} 'head -c 1000000 /dev/urandom > /var/file; sync; sha256sum < /var/file >/dev/null && echo well'", must=(r"^well$",)),
    quiet("destroy debian", "xl destroy debian"),
]

# Guests that die at every stage of their start, 20 in a step: some while they are being made still, some with their kernel at work.
CYCLES = [
    REMEMBER_COUNTS,
    *[quiet(f"20 create and destroy, {stage}", f"for i in $(seq 20); do {command} || return 1; done", 600) for stage, command in (4 * [
        ("paused", "xl create -p -q /etc/xen/small.cfg && xl destroy small"),
        ("at once", "xl create -q /etc/xen/small.cfg && xl destroy small"),
        ("at work", "xl create -q /etc/xen/small.cfg && sleep 1 && xl destroy small"),
    ])[:10]],
    Step("list after 200", "xl list", must=(r"^Domain-0",), hide=LIST),
    SAME_COUNTS,
]

# The same guest, made and ended by libvirt.
VIRSH = "virsh -q -c xen:///"
LIBVIRT = [
    REMEMBER_COUNTS,
    quiet("libvirtd", f"useradd -r -U libvirt-qemu && mkdir -p /var/log/libvirt && libvirtd -d && until-true 60 {VIRSH} list"),
    Step("virsh list", f"{VIRSH} list --all", must=(r"^ 0 +Domain-0 +running",)),
    Step("virsh nodeinfo", f"{VIRSH} nodeinfo | grep -v frequency", must=(r"^CPU\(s\): +2",)),
    Step("virsh domxml-from-native", f"{VIRSH} domxml-from-native xen-xl /etc/xen/small.cfg | tee /tmp/small.xml", must=("<name>small</name>",),
         hide=((r"<uuid>.*</uuid>", "UUID"),)),
    quiet("empty log of small", f": > {log('small')}"),
    Step("virsh create", f"{VIRSH} create /tmp/small.xml"),
    says("small", "READY"),
    Step("virsh list small", f"{VIRSH} list", must=(r"small +running",), hide=((r"^( *)[1-9]\d*", r"\1 ID"),)),
    Step("xl list with libvirt's", "xl list small", must=(r"small +\d+ +96 +1 ",), hide=LIST),
    Step("virsh dominfo", f"{VIRSH} dominfo small", must=(r"State: +running",),
         hide=((r"^(Id|UUID|CPU time|Security DOI):.*", r"\1"),)),
    Step("virsh vcpuinfo", f"{VIRSH} vcpuinfo small", must=(r"VCPU: +0",), hide=((r"^(CPU|State|CPU time): .*", r"\1"),)),
    Step("virsh suspend", f"{VIRSH} suspend small && {VIRSH} domstate small", must=("paused",)),
    Step("virsh resume", f"{VIRSH} resume small && {VIRSH} domstate small", must=("running",)),
    Step("virsh setvcpus", f"{VIRSH} setvcpus small 2 && {VIRSH} vcpucount small"),
    Step("virsh schedinfo", f"{VIRSH} schedinfo small", must=("credit",)),
    Step("alive under libvirt", "in-guest small 'echo still $((1 + 1))'", must=(r"^still 2\n",)),
    Step("virsh shutdown", f"{VIRSH} shutdown small"),
    until(f"! {VIRSH} domid small", "libvirt's guest is gone", 120),
    SAME_COUNTS,
    quiet("virsh create again", f"{VIRSH} create /tmp/small.xml"),
    Step("virsh destroy", f"{VIRSH} destroy small"),
    Step("virsh list at the end", f"{VIRSH} list --all", must=("Domain-0",)),
    SAME_COUNTS,
]

# A disk that a process in dom0 serves, QEMU: a layer above the image of the other scenarios, which stays as it is.
QCOW2 = [
    REMEMBER_COUNTS,
    quiet("a layer", "cd /var/lib/xen/images && sha256sum debian.img > /tmp/below && qemu-img create -q -f qcow2 -b debian.img -F raw layer.qcow2 && "
                     "sed 's/format=raw\\(.*\\)debian.img/format=qcow2\\1layer.qcow2/' /etc/xen/debian.cfg > /etc/xen/layer.cfg && grep layer.qcow2 /etc/xen/layer.cfg"),
    *create("debian", config="/etc/xen/layer.cfg"),
    Step("block-list of qdisk", "xenstore-ls -f /local/domain/0/backend/qdisk | sed 's,.*/51712/,,' | grep -E '^(type|state|mode|frontend-id|params)'", must=("qcow2:",),
         hide=((r"frontend-id = .*", "frontend-id"),)),
    quiet("qcow2's guest answers", f"until-true 60 ping -c 1 -W 2 192.168.77.11 && {SSH} 'head -c 4000000 /dev/urandom > /var/data; sync; sha256sum < /var/data' > /tmp/sum"),
    quiet("shutdown of qcow2's guest", "xl shutdown -w debian", 180),
    gone("debian"), SAME_COUNTS,
    Step("the image below is the same", "cd /var/lib/xen/images && sha256sum -c /tmp/below", must=(r"debian.img: OK",)),
    *create("debian", config="/etc/xen/layer.cfg"),
    quiet("what was written is there", f"until-true 60 ping -c 1 -W 2 192.168.77.11 && {SSH} 'sha256sum < /var/data' | cmp - /tmp/sum"),
    quiet("destroy qcow2's guest", "xl destroy debian"),
    until("! pgrep -f '[x]en-qemu-system.* -xen-domid [1-9]'", "QEMU is gone"),  # dom0's own, of Debian's init script, stays
    SAME_COUNTS,
]

# A disk that is a logical volume; what is written while a snapshot of it exists is not in the snapshot.
LVM = [
    # This dom0 has no udev that would make the volumes' nodes.
    quiet("a volume", "modprobe -a dm-mod dm-snapshot && printf 'activation { udev_sync=0 udev_rules=0 }\\n' > /etc/lvm/lvmlocal.conf && cd /var/lib/xen/images && truncate -s 900M volumes.img && loop=$(losetup -f --show volumes.img) && "
                      "pvcreate -q $loop && vgcreate -q guests $loop && lvcreate -q -y -L $(stat -c %s debian.img)b -n debian guests && "
                      "dd if=debian.img of=/dev/guests/debian bs=1M conv=sparse status=none && sync && "
                      "sed 's,target=.*debian.img,target=/dev/guests/debian,' /etc/xen/debian.cfg > /etc/xen/volume.cfg && grep /dev/guests /etc/xen/volume.cfg"),
    REMEMBER_COUNTS,
    *create("debian", config="/etc/xen/volume.cfg"),
    Step("the volume is handed on as it is", "xenstore-read /local/domain/0/backend/vbd/$(xl domid debian)/51712/type", must=("^phy$",)),
    quiet("the volume's guest answers", f"until-true 60 ping -c 1 -W 2 192.168.77.11 && {SSH} 'echo before > /var/word; sync'"),
    quiet("a snapshot", "lvcreate -q -y -s -L 64M -n before guests/debian"),
    quiet("written after it", f"{SSH} 'echo after > /var/word; sync'"),
    quiet("shutdown of the volume's guest", "xl shutdown -w debian", 180),
    gone("debian"), SAME_COUNTS,
    Step("both have their own", "for volume in debian before; do mount /dev/guests/$volume /mnt && cat /mnt/var/word; umount /mnt; done", must=(r"^after\nbefore\n",)),
    quiet("the snapshot's guest", "sed -i 's,guests/debian,guests/before,' /etc/xen/volume.cfg"),
    *create("debian", config="/etc/xen/volume.cfg"),
    quiet("the snapshot's guest answers", f"until-true 60 ping -c 1 -W 2 192.168.77.11 && {SSH} cat /var/word", must=(r"^before$",)),
    quiet("destroy the snapshot's guest", "xl destroy debian"),
    until("lvremove -q -y guests", "the volumes can be removed"),
    SAME_COUNTS,
]

# The xenstored that is written in C; Debian's choice is the other one.
STORE = [
    Step("which xenstored", "basename $(readlink /proc/$(cat /run/xenstore.pid)/exe)", must=("^xenstored$",)),
    REMEMBER_COUNTS,
    *create("small"),
    Step("rename in C's store", "xl rename small other && xl list other | sed 1d && xl rename other small", must=(r"^other ",), hide=LIST),
    Step("watches and transactions", "xl mem-set small 88 && until-true 60 'xl list small | grep -qE \"^small +[0-9]+ +88 \"' && echo less", must=("^less$",)),
    quiet("all memory again", "xl mem-set small 96 && until-true 60 'xl list small | grep -qE \"^small +[0-9]+ +96 \"'"),
    quiet("reboot in C's store", f": > {log('small')}; xl reboot small"),
    says("small", "READY", "small is up again in C's store"),
    quiet("shutdown in C's store", "xl shutdown -w small", 180),
    gone("small"), SAME_COUNTS,
    *create("debian"),
    quiet("ping in C's store", "until-true 60 ping -c 1 -W 2 192.168.77.11"),
    quiet("destroy in C's store", "xl destroy debian"),
    SAME_COUNTS,
]

SCENARIOS = {"libvirt": LIBVIRT, "qcow2": QCOW2, "lvm": LVM, "store": STORE, "rogue": ROGUE, "cycles": CYCLES, "commands": LOOK + ITSELF + SMALL + SELF_TESTS, "life": LIFE, "devices": DEVICES, "grub": GRUB, "save": SAVE}

CAVEATS = Path(__file__).resolve().parents[2] / "CAVEATS.md"
HEADING = "### What the tools print that is different\n"


def read_table(text=None):
    """The rows of the table in CAVEATS.md: (step, what its lines have, why)."""
    section = (text or CAVEATS.read_text(encoding="utf-8")).split(HEADING, 1)[1].split("\n#", 1)[0]
    return re.findall(r"^\| `([^`]+)` \| `([^`]+)` \| ([^|]+) \|$", section, re.M)


def differences(here, there, table):
    """Lines for the eye: steps whose outputs differ but for lines in the table, and rows of the table that no longer differ."""
    found = []
    for name in here:
        rows = [text for step, text, _ in table if step == name]
        mine, theirs = here[name].splitlines(), there[name].splitlines()
        if [li for li in mine if not any(r in li for r in rows)] != [li for li in theirs if not any(r in li for r in rows)]:
            found += [f"{name}: here:", *mine, f"{name}: on the peer:", *theirs]
        found += [f"{name}: {r}: no longer differs as CAVEATS.md says" for r in rows
                  if [li for li in mine if r in li] == [li for li in theirs if r in li]]
    return "\n".join(found)


def run(host, steps):
    """Runs the steps; returns {name: what it printed, normalised}. What a step must print is checked at once."""
    outputs = {}
    for step in steps:
        output = host.sh(step.command, step.timeout, step.status)
        for pattern in step.must:
            assert re.search(pattern, output, re.M), f"{step.name}: no {pattern!r} in:\n{output}"
        if step.compare:
            outputs[step.name] = step.normalised(output)
    return outputs
