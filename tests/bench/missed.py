# SPDX-License-Identifier: MIT
"""Where the instructions of the rows with goals go: by part and by the hypervisor's functions."""
import argparse
import importlib.machinery
import importlib.util
from pathlib import Path

from report import GOALS

TOP = 8


def profile_tool():
    loader = importlib.machinery.SourceFileLoader("profile_tool", str(Path(__file__).resolve().parent / "profile"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("profile_tool", loader))
    loader.exec_module(module)
    return module


def profiles(counted, setting, say):
    """For each row: instructions of an operation by part, and (function, instructions, entries) of the most."""
    tool, result = profile_tool(), {}
    pairs, image = tool.hypervisor_symbols(setting.hypervisors["paravane"])
    for row in [name for name in GOALS if name in counted.get("paravane", {})]:
        say(f"profile of a row with a goal: {row}")
        symbols = tool.Symbols()
        symbols.add([*pairs, (0xffffffff81000000, "-")])
        blocks, count, _ = tool.run(argparse.Namespace(row=row, machine="paravane", scale=1), setting)
        profile = tool.Profile("paravane", symbols, image)
        for block in blocks:
            profile.add(*block)
        ours = [(name, n) for (part, name), n in profile.by_symbol.most_common() if part == "hypervisor"][:TOP]
        result[row] = {"parts": {part: n / count for part, n in profile.by_part.items()},
                       "functions": [(name.split(".")[0], n / count, profile.entries["hypervisor", name] / count)
                                     for name, n in ours]}
    return result


def lines(results, title):
    """Table lines for docs/performance.md."""
    out = []
    for row, found in results.items():
        parts = found["parts"]
        functions = ", ".join(f"`{name}` {n:,.0f} ({entries:,.0f}x)" for name, n, entries in found["functions"])
        out.append([title[row], f"{GOALS[row]:,.0f}", *(f"{parts.get(p, 0):,.0f}" for p in PARTS), functions])
    return out


PARTS = ["guest kernel", "user", "gate", "hypervisor"]
HEADER = ["row", "goal", *PARTS, "the hypervisor's functions with the most (entries)"]
