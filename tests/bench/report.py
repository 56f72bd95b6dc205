# SPDX-License-Identifier: MIT
"""Results on the terminal, as JSON, as plots and as docs/performance.md."""
import json
import statistics

import plot
from machines import Failure, MACHINES, SEPARATED, TITLES

ROWS = {
    "getppid": "getppid",
    "read_zero": "read 1 byte of /dev/zero",
    "write_null": "write 1 byte to /dev/null",
    "signal_install": "install a signal handler",
    "signal_handle": "send a signal to itself, handle it",
    "select_10": "select on 10 descriptors",
    "select_100": "select on 100 descriptors",
    "mmap_16": "mmap + 16 page faults + munmap",
    "mmap_16_near": "the same beside other mappings",
    "fault_anonymous": "page fault: new page",
    "fault_file": "page fault: file, 16 pages mapped",
    "fault_copy": "page fault: copy on write",
    "copy_1mib": "copy 1 MiB",
    "pipe": "pipe ping-pong between two processes",
    "futex": "futex ping-pong between two processes",
    "switch_2": "a hop in a ring of 2 processes",
    "switch_8": "a hop in a ring of 8 processes",
    "switch_16": "a hop in a ring of 16 processes",
    "thread": "create and join a thread",
    "fork": "fork + exit + wait",
    "exec": "fork + exec + wait",
    "shell": "a shell's script that starts two programs",
    "loop_1m": "a loop of 2,000,000 instructions",
    "gzip": "gzip of generated text",
    "sort": "sort of generated text",
}
# Instructions at most.
GOALS = {"getppid": 500, "mmap_16": 170e3, "pipe": 14e3, "fork": 330e3, "exec": 1100e3}
LOOP = 2_000_000


def check_loop(counted):
    """The yardstick: one tick an instruction, on all machines. Nothing else may be believed when this fails."""
    for machine, rows in counted.items():
        if "loop_1m" in rows and not LOOP <= rows["loop_1m"] < LOOP * 1.001:
            raise Failure(f"{TITLES[machine]}: a loop of {LOOP} instructions took {rows['loop_1m']:.0f} ticks: "
                          "the TSC does not count instructions here")


def short(n):
    if n is None:
        return "-"
    return f"{n:,.0f}" if n < 100e3 else f"{n / 1e3:,.0f} k"


def value(results, machine, name):
    return results.get(machine, {}).get(name)


def ratio(results, name, machine, base="native"):
    a, b = value(results, machine, name), value(results, base, name)
    return a / b if a and b else None


def print_table(header, lines):
    widths = [max(len(str(line[i])) for line in [header, *lines]) for i in range(len(header))]
    for line in [header, *lines]:
        cells = [str(c).ljust(w) if i == 0 else str(c).rjust(w) for i, (c, w) in enumerate(zip(line, widths))]
        print("  ".join(cells), flush=True)
    print(flush=True)


def times(n):
    return "-" if n is None else f"{n:.2f}x"


COUNTED_HEADER = ["instructions per operation", *(TITLES[m] for m in MACHINES), "Xen/native", "Paravane/native",
                  "Paravane/Xen", "goal"]


def counted_lines(counted):
    lines = []
    for name, title in ROWS.items():
        values = [value(counted, m, name) for m in MACHINES]
        if not any(values):
            continue
        ours, goal = values[2], GOALS.get(name)
        verdict = "" if goal is None else short(goal) + ("" if ours is None else " met" if ours <= goal else " missed")
        lines.append([title, *map(short, values), times(ratio(counted, name, "xen")),
                      times(ratio(counted, name, "paravane")), times(ratio(counted, name, "paravane", "xen")), verdict])
    return lines


def print_counted(counted):
    print_table(COUNTED_HEADER, counted_lines(counted))


HYPERCALLS_HEADER = ["guest kernel bench", "Xen 4.17", "Paravane", "Paravane/Xen"]


def hypercall_lines(results):
    names = dict.fromkeys(n for rows in results.values() for n in rows)
    return [[n, short(value(results, "xen", n)), short(value(results, "paravane", n)),
             times(ratio(results, n, "paravane", "xen"))] for n in names]


def print_hypercalls(results, unit):
    print_table([f"{HYPERCALLS_HEADER[0]}, {unit}", *HYPERCALLS_HEADER[1:]], hypercall_lines(results))


def run_medians(timed, machine, name):
    """One number for each boot: rounds within a boot share its luck."""
    return [statistics.median(rounds) for rounds in timed.get(machine, {}).get(name, [])]


def spread(timed, name, machine, base="native"):
    """Least, median and greatest ratio of runs made next to each other."""
    ratios = [a / b for a, b in zip(run_medians(timed, machine, name), run_medians(timed, base, name))]
    return (min(ratios), statistics.median(ratios), max(ratios)) if ratios else None


def spread_text(s):
    return "-" if s is None else f"{s[0]:.2f} {s[1]:.2f} {s[2]:.2f}"


TIMED_HEADER = ["wall time: ratio, least median greatest", "native us", "Xen/native", "Paravane/native",
                "Paravane/Xen", "Paravane/Xen with xpti=on"]


def timed_lines(timed):
    lines = []
    for name, title in ROWS.items():
        native = run_medians(timed, "native", name)
        pairs = [spread(timed, name, "xen"), spread(timed, name, "paravane"), spread(timed, name, "paravane", "xen"),
                 spread(timed, name, "paravane", SEPARATED)]
        if native or any(pairs):
            lines.append([title, f"{statistics.median(native) / 1e3:,.2f}" if native else "-",
                          *map(spread_text, pairs)])
    return lines


def print_timed(timed):
    print_table(TIMED_HEADER, timed_lines(timed))


def plot_rows(pick):
    return [(title, [pick(name, m) for m in ("xen", "paravane")]) for name, title in ROWS.items()
            if any(pick(name, m) for m in ("xen", "paravane"))]


def write(results, out, docs, settings):
    """JSON and plots into `out`; the page, with its plots beside it, where `docs` says."""
    (out / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    counted, timed = results["counted"], results.get("timed")
    plots = {"counted.svg": ("Instructions, as a multiple of native Linux's",
                             plot_rows(lambda n, m: ratio(counted, n, m)))}
    if timed:
        plots["timed.svg"] = ("Time under emulation, as a multiple of native Linux's (median; provisional)",
                              plot_rows(lambda n, m: (spread(timed, n, m) or [None] * 2)[1]))
    for name, (title, rows) in plots.items():
        if rows:
            (out / name).write_text(plot.bars(title, ["Xen 4.17", "Paravane"], rows))
            if docs:
                (docs.parent / f"performance-{name}").write_text((out / name).read_text())
    if docs:
        import page  # which needs this file
        kept = page.timed_part(docs.read_text()) if docs.exists() else ""
        docs.write_text(page.text(results, settings, kept))
