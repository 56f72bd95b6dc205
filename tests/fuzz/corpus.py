#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The fuzzers' kept inputs, one hexadecimal line each in tests/fuzz/corpus/NAME.txt.

    corpus.py unpack NAME DIR     a file in DIR for each line
    corpus.py pack NAME DIR       files of DIR become the kept inputs, as many as there is room for

`make fuzz-keep-NAME` reduces the inputs first. What stands before the first empty line of
NAME.txt stays: inputs that showed mistakes.
"""
import hashlib
import sys
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"
MOST_INPUTS, MOST_BYTES = 80, 16_000


def lines_of(name):
    path = CORPUS / f"{name}.txt"
    lines = path.read_text().splitlines() if path.exists() else []
    return [line for line in lines if line and not line.startswith("#")]


def unpack(name, directory):
    directory.mkdir(parents=True, exist_ok=True)
    for line in lines_of(name):
        data = bytes.fromhex(line)
        (directory / hashlib.sha1(data).hexdigest()).write_bytes(data)


def kept_head(name):
    """The first lines, to the first empty one: inputs that showed mistakes are there, each with its comment."""
    path = CORPUS / f"{name}.txt"
    text = path.read_text() if path.exists() else "# SPDX-License-Identifier: MIT\n\n"
    return text[:text.index("\n\n") + 2]


def choose(inputs):
    """As many as there is room for, of all lengths."""
    inputs.sort(key=lambda data: (len(data), data))
    while len(inputs) > MOST_INPUTS or sum(map(len, inputs)) > MOST_BYTES:
        del inputs[1::max(2, len(inputs) // 8)]
    return inputs


def pack(name, directory):
    inputs = choose([f.read_bytes() for f in directory.iterdir() if f.stat().st_size])
    CORPUS.mkdir(exist_ok=True)
    head = kept_head(name)
    (CORPUS / f"{name}.txt").write_text(head + "".join(data.hex() + "\n" for data in inputs))
    print(f"{name}: {len(inputs)} inputs, {sum(map(len, inputs))} bytes")


if __name__ == "__main__":
    if len(sys.argv) != 4 or sys.argv[1] not in ("pack", "unpack"):
        sys.exit(__doc__)
    {"pack": pack, "unpack": unpack}[sys.argv[1]](sys.argv[2], Path(sys.argv[3]))
