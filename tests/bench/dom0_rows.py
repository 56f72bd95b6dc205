# SPDX-License-Identifier: MIT
"""What is measured in a dom0 and its guests: one session gives one value for each row."""
import re
import statistics
import time

from dom0_session import BRIDGE, GUESTS, SCRATCH_MIB

PINGS, ROUND_TRIPS, STREAM_MIB, TINY = 200, 500, 24, 20
# (block, requests, pattern) of disk rows
DISK = [(1 << 20, SCRATCH_MIB, "seq"), (64 << 10, 256, "seq"), (4 << 10, 500, "random")]
NAMES = {1 << 20: "1 MiB", 64 << 10: "64 KiB", 4 << 10: "4 KiB"}
PAGE = 4  # KiB


def durations(text, name):
    """{what: microseconds} of the meter's line."""
    count, *values = re.search(rf"^{name} (\d+) ([\d. ]+)$", text, re.M).groups()
    return dict(zip(("min", "median", "mean", "p99", "max"), map(float, values[0].split())), count=int(count))


def rate(text):
    return float(re.search(r"^rate ([\d.]+) MB/s$", text, re.M)[1])


def percentile(values, part):
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]


def boot(session):
    """Seconds since QEMU's start; the shell is ready when this is over."""
    machine, rows = session.machine, {}

    def until(pattern, name):
        machine.expect(pattern, 300)
        rows[name] = time.monotonic() - machine.started
    until(r"\S", "boot.first")
    until("BENCH-INIT", "boot.init")
    until("READY dom0", "boot.tools")
    rows["boot.own_init"] = rows["boot.init"] - rows["boot.first"]
    return rows


def disk(run, where, device):
    """`run` executes a command there."""
    rows = {}
    for block, count, pattern in DISK:
        for way in ("read", "write"):
            text = run(f"meter disk {device} {way} {block} {count} {pattern}")
            name = f"{where}.{way}.{NAMES[block].replace(' ', '')}"
            rows[f"{name}.rate"] = rate(text)
            rows[f"{name}.median"] = durations(text, "request")["median"]
    return rows


def pings(run, name, address, count=PINGS):
    """Round trips of ICMP in us: what `ping` says, its first one too."""
    text = run(f'ping -n -c {count} -i 0.05 -W 2 {address} | sed -n "s/.*time=\\([0-9.]*\\).*/\\1/p" | xargs')
    found = [float(t) * 1000 for t in text.split()]
    return {f"{name}.{what}": value for what, value in (
        ("min", min(found)), ("median", statistics.median(found)), ("mean", statistics.mean(found)), ("p99", percentile(found, 0.99)),
        ("max", max(found)), ("first", found[0]), ("lost", count - len(found)))}


def tcp(run, name, address):
    trips = durations(run(f"meter rtt {address} {ROUND_TRIPS}"), "rtt")
    rows = {f"{name}.tcp.{what}": trips[what] for what in ("min", "median", "p99")}
    rows[f"{name}.stream"] = rate(run(f"meter stream {address} {STREAM_MIB}"))
    return rows


def network(session):
    rows = {}
    for name, run, address in [("dom0-guest", session.sh, GUESTS["a"]), ("guest-dom0", lambda c: session.in_guest("a", c), BRIDGE),
                               ("guest-guest", lambda c: session.in_guest("a", c), GUESTS["b"])]:
        rows.update(pings(run, f"{name}.ping", address) if name != "guest-dom0" else {})
        rows.update(tcp(run, name, address))
    return rows


def create(session, guest):
    names = [f"create.{guest}.{what}" for what in ("xl", "init", "shell")]
    return dict(zip(names, session.create(guest)))


def answers(address):
    return f"until ping -n -q -i 0.05 -c 1 -w 5 {address} > /dev/null 2>&1; do :; done"


def save(session):
    rows = {"save": session.seconds("xl save a /srv/saved")}
    rows["restore.xl"] = session.seconds("xl restore /srv/saved")
    rows["restore.answers"] = rows["restore.xl"] + session.seconds(answers(GUESTS["a"]))
    session.sh("rm /srv/saved")
    return rows


def free_kib(session):
    return int(session.sh("meter free").split()[1]) * PAGE


def memory(session):
    """KiB free for guests: without any, with one, with twenty; the machine sees tiny guests that sleep."""
    rows = {"free.0": free_kib(session)}
    seconds = []
    for n in range(TINY):
        seconds.append(session.seconds(f"xl create -q tiny{n}.cfg"))
        if n == 0:
            rows["free.1"] = free_kib(session)
    rows[f"free.{TINY}"] = free_kib(session)
    rows["create.tiny"] = statistics.median(seconds)
    given = sum(int(mib) for mib in session.sh("xl list | awk '/^tiny/ {print $3}'").split()) * 1024
    rows["beside.1"] = rows["free.0"] - rows["free.1"] - given / TINY
    rows["beside.20"] = (rows["free.0"] - rows[f"free.{TINY}"] - given) / TINY
    return rows


def lives(session):
    """A guest without devices and one with; both stay for what is measured next, and a third."""
    rows = create(session, "bare")
    rows["destroy.bare"] = session.seconds("xl destroy bare")
    rows.update(create(session, "a"))
    session.create("b")
    return rows


def ends(session):
    rows = {"destroy.a": session.seconds("xl destroy a")}
    session.sh("xl destroy b")
    return rows


# In this order; each returns its rows.
STAGES = {
    "dom0's disk": lambda s: disk(s.sh, "dom0-disk", "/dev/vdc"),
    "guests": lives,
    "network": network,
    "guest's disk": lambda s: disk(lambda c: s.in_guest("a", c), "guest-disk", "/dev/xvda"),
    "save": save,
    "ends": ends,
    "memory": memory,
}
