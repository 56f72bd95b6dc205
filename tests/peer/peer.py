# SPDX-License-Identifier: MIT
"""One test kernel on both hypervisors: starting them, and what its checks gave, by name."""
import fnmatch
import re
import time
from collections import Counter

import pexpect
import qemu

# Privileged, as the first domain of each hypervisor. `builder` starts another kernel by control operations.
PRIVILEGED = ["hello", "basics", "usermode", "gatecrash", "smp", "shape-linux", "shape-plain", "shape-plain-bits", "shape-string",
              "shape-string-required", "builder", "control", "devices"]
EXTRA = {"devices": qemu.DEVICES}
# Unprivileged: from a launch file here, through `builder` there. (Shapes are for the builder of domains, which is ours then.)
ORDINARY = ["hello", "basics", "usermode", "smp"]
CAVEATS = qemu.ROOT / "CAVEATS.md"
HEADING = "Checks of the test kernels that come out differently"
OUTCOME = re.compile(r"^(?P<guest>\| )?(?P<outcome>PASS|FAIL|SKIP) (?P<name>[^:\n]+)", re.M)
# What the peer's guest prints first of all, whichever kernel it is; until then, what fails is the peer's own start.
START_LIMIT, GUEST_LIMIT, STARTS = 20, 90, 3
RETRIES = []


def run_here(log, *modules, **options):
    """All that a machine with this hypervisor said until it went off."""
    machine = qemu.Machine(log, modules, cpu="qemu64", **options)
    try:
        text = machine.wait_end(GUEST_LIMIT)
    finally:
        machine.kill()
    found = qemu.HOST_FAILURES.search(text)
    assert not found, f"the hypervisor itself failed: {found[0]}"
    return text


def start_peer(log, modules, extra=()):
    """The peer with its first domain about to run. It does not always get there; it is started anew then, and only then."""
    for start in range(STARTS):
        machine = qemu.Machine(f"{log}.{start}.log", modules, cpu="qemu64", kernel=qemu.CACHE / "xen-4.17",
                               append="dom0_mem=128M dom0_max_vcpus=2", extra=extra)
        try:
            machine.expect(r"\(XEN\) Freed \d+kB init memory\r?\n", START_LIMIT)
            return machine
        except AssertionError as problem:
            machine.kill()
            last = problem
            RETRIES.append(f"{log.name} after {str(machine.tail(1))!r}")
    raise last


def run_there(log, kernel, *modules):
    """All that the peer's first domain said, up to its RESULT line: the peer does not turn the machine off."""
    machine = start_peer(log, modules, EXTRA.get(kernel, ()))
    try:
        machine.expect(rf"(?<!\| )RESULT {kernel}: .*\n", GUEST_LIMIT)
        return machine.text
    finally:
        machine.kill()


def outcomes(text, guest=False):
    """{name: outcome} of a kernel's checks; of a name with several, each outcome with its count."""
    seen = Counter((m["name"], m["outcome"]) for m in OUTCOME.finditer(text) if bool(m["guest"]) == guest)
    names = {name for name, _ in seen}
    return {n: " ".join(o if c == 1 else f"{o} x{c}" for (m, o), c in sorted(seen.items()) if m == n) for n in names}


def differences(here, there):
    """{name: (here, there)} of all checks that differ, or that fail on both."""
    pairs = {n: (here.get(n, "absent"), there.get(n, "absent")) for n in here.keys() | there.keys()}
    return {n: pair for n, pair in pairs.items() if pair[0] != pair[1] or "FAIL" in pair[0]}


def caveats(text=None):
    """The rows of the table in CAVEATS.md: (runs, checks, here, there, why)."""
    section = (text or CAVEATS.read_text()).split(HEADING, 1)[1].split("\n#", 1)[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line.startswith("|")]
    return [tuple(cell.replace("`", "") for cell in row) for row in rows[2:]]


def may_be_there(row):
    return row[3].split(" or ")


def judge(run, found, table):
    """What is wrong: differences the table does not have, and rows of the table that are no longer so. On the peer a row may
    have one outcome `or` another, by chance; one of them may be that here."""
    wrong, used = [], set()
    rows = [row for row in table if fnmatch.fnmatchcase(run, row[0])]
    for name, pair in sorted(found.items()):
        fitting = [row for row in rows if fnmatch.fnmatchcase(name, row[1]) and pair[0] == row[2] and pair[1] in may_be_there(row)]
        used.update(fitting)
        if not fitting:
            wrong.append(f"{run}: {name}: {pair[0]} here, {pair[1]} on the peer; CAVEATS.md does not say so")
    return wrong + [f"{run}: {row[1]}: no longer differs as CAVEATS.md says" for row in rows
                    if row not in used and row[2] not in may_be_there(row)]
