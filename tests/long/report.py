# SPDX-License-Identifier: MIT
"""What a long run did, as the page docs/reliability.md."""
import subprocess
import time

import qemu

HEAD = """<!-- SPDX-License-Identifier: MIT -->
# Reliability

Written by `make check-long`: many guests of every kind at once, for a long time, on one emulated machine. The numbers are of the
one run named here, and show what was tried and held, no more than that. What has to hold for a run to pass: no failure of
the hypervisor itself, no check of any guest fails, every guest gets on, and at the end, with all guests ended, exactly as
much memory is free as before the first one was built.
"""

NOTES = """
## What it does not show

- QEMU's TCG is not a CPU: it runs two virtual CPUs on threads of a busy machine, has no speculation, and reorders little.
- A guest kernel that loads a null stack segment gets ring 0's rights from this QEMU ([SECURITY](../SECURITY.md)), so the fuzzing
  kernels do not try that.
- Hypercalls are counted from looks at the table of guests, one a minute: what short-lived guests did between a look and their
  end is not in them.
"""


def git(*args):
    return subprocess.run(["git", *args], cwd=qemu.ROOT, capture_output=True, text=True, check=True).stdout.strip()


def revision():
    changed = git("status", "--porcelain", "--untracked-files=no", "--", "hypervisor", "guest", "tests")
    return git("rev-parse", "--short=12", "HEAD") + (" with changes" if changed else "")


def rows(pairs):
    return "".join(f"| {name} | {value} |\n" for name, value in pairs)


def summary(run):
    boots = sum(g.ends for g in run.guests.values()) + len(run.guests)
    cut = run.over and run.elapsed() < run.asked
    result = "failed" if run.problems else "passed" if run.over else "not over yet"
    return [("result", result),
            ("date", time.strftime("%Y-%m-%d", time.gmtime())),
            ("revision", run.revision + (", debug build" if "debug" in run.hypervisor else "")),
            ("machine", "QEMU q35, TCG, 2 CPUs, 4 GiB" + (f"; options `{run.options}`" if run.options else "")),
            ("time", f"{run.elapsed():.0f} s" + (f"; ended early, {run.asked:.0f} s were asked for" if cut else "")),
            ("guests at once", len(run.guests)),
            ("guests built, with restarts", f"{boots:,}"),
            ("hypercalls seen, at least", f"{run.counted.get('hypercalls', 0):,}"),
            ("of these by fuzzing kernels that ended, and accepted", f"{run.fuzz_calls:,}, {run.fuzz_accepted:,}"),
            ("page faults, exceptions and trapped instructions seen, at least", f"{sum(run.counted.get(k, 0) for k in ('faults', 'exceptions', 'emulated')):,}"),
            ("page-table writes trapped, at least", f"{run.counted.get('pt-writes', 0):,}"),
            ("events delivered, at least", f"{run.counted.get('events', 0):,}")]


def by_kind(run):
    kinds = {}
    for g in run.guests.values():
        row = kinds.setdefault(g.kind, [0, 0, 0, 0])
        for i, n in enumerate((1, g.ends, g.results, g.crashed)):
            row[i] += n
    return "".join(f"| {kind} | {' | '.join(f'{n:,}' for n in row)} |\n" for kind, row in kinds.items())


def memory(run):
    """Free and in guests' hands together, where all guests lived: what the hypervisor itself holds must not grow."""
    most = max((s[3] for s in run.samples), default=0)
    equal = [(up, free + held) for up, free, held, running in run.samples if running == most]
    lines = [("before the first guest", f"{run.first_free:,} KiB free"),
             ("after the last guest", f"{run.last_free:,} KiB free" if run.last_free else "not reached"),
             ("samples", f"{len(run.samples)}, of these {len(equal)} with all {most} guests alive")]
    for name, part in thirds(equal):
        values = sorted(value for _, value in part)
        lines.append((f"free or in guests, {name} third of these", f"{values[0]:,} to {values[-1]:,} KiB, median {values[len(values) // 2]:,}"))
    return lines


def thirds(samples):
    n = len(samples) // 3
    return [("first", samples[:n]), ("second", samples[n:2 * n]), ("last", samples[2 * n:])] if n else []


def text(run):
    parts = [HEAD, "\n## The run\n\n| | |\n|---|---|\n", rows(summary(run)),
             "\n## Guests\n\n| kind | guests | ends | results printed | crashes |\n|---|---|---|---|---|\n", by_kind(run),
             "\n## Memory\n\n| | |\n|---|---|\n", rows(memory(run))]
    if run.crashes:
        parts += ["\n## Guests that ended by their own fault\n\n"]
        parts += [f"- {name}, {n} times: {why}\n" for (name, why), n in sorted(run.crashes.items())]
    if run.problems:
        parts += ["\n## Why it failed\n\n"] + [f"- {p}\n" for p in run.problems[:50]]
    return "".join(parts) + NOTES
