#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the unit tests reach of the hypervisor: `make coverage`.

    coverage.py DIR DOCUMENT    DIR has the tests' programs, and their profiles; the table is printed and written

Rooms that no unit test builds are run in QEMU only, and are not in the table.
"""
import json
import subprocess
import sys
from pathlib import Path

HEAD = """<!-- SPDX-License-Identifier: MIT -->
# Coverage

Lines and branches of the hypervisor that the unit tests reach on the host, made by `make coverage`. Files that no unit test builds
are run in QEMU only, and are not here; what the system tests and the fuzzers reach is not counted either.

"""


def export(directory):
    profile = directory / "all.profdata"
    subprocess.run(["llvm-profdata", "merge", "-o", profile, *sorted(directory.glob("*.profraw"))], check=True)
    programs = sorted(p.with_suffix("") for p in directory.glob("*.profraw"))
    command = ["llvm-cov", "export", "-summary-only", f"-instr-profile={profile}", programs[0]]
    for program in programs[1:]:
        command += ["-object", program]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["data"][0]["files"]


class Counts:
    def __init__(self):
        self.lines = self.covered_lines = self.branches = self.covered_branches = 0

    def add(self, summary):
        self.lines += summary["lines"]["count"]
        self.covered_lines += summary["lines"]["covered"]
        self.branches += summary["branches"]["count"]
        self.covered_branches += summary["branches"]["covered"]

    def row(self, name):
        def share(part, whole):
            return f"{100 * part / whole:.1f} %" if whole else "-"
        return f"| {name} | {self.lines} | {share(self.covered_lines, self.lines)} | {self.branches} | " \
               f"{share(self.covered_branches, self.branches)} |"


def main(directory, document):
    rooms, files = {}, {}
    for entry in export(directory):
        parts = Path(entry["filename"]).parts
        if "hypervisor" not in parts or entry["filename"].endswith(".h"):
            continue
        name = "/".join(parts[parts.index("hypervisor") + 1:])
        for table, key in ((rooms, name.split("/")[0]), (files, name)):
            table.setdefault(key, Counts()).add(entry["summary"])
    rows = ["| room | lines | reached | branches | reached |", "|---|---|---|---|---|"]
    rows += [rooms[room].row(room) for room in sorted(rooms)]
    rows += ["", "| file | lines | reached | branches | reached |", "|---|---|---|---|---|"]
    rows += [files[name].row(name) for name in sorted(files)]
    print("\n".join(rows))
    document.write_text(HEAD + "\n".join(rows) + "\n")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
