# SPDX-License-Identifier: MIT
"""Two guests with a channel attack each other beside a witness; and memory is what it was after ends with grants held both ways."""
import re

from test_hostile import WITNESS, lines_of
from test_kernels import results


def feud(name, words="", **keys):
    lines = "".join(f"{k} = {v}\n" for k, v in keys.items())
    return f"[{name}]\nkernel = feud.elf\ncmdline = {words}\nmemory = 16M\nvcpus = 3\nchannel = one\n{lines}\n"


def test_feud(boot, launch):
    """Grants, frames, tables and ports of the other: each attack is refused, and a storm of events leaves the other its pace."""
    file = launch(feud("front") + feud("back") + WITNESS.format(name="witness", seconds=3, vcpus=1))
    text = boot(file, "feud.elf", "witness.elf", smp=2).wait_end(240)
    for name in ("front", "back"):
        results(lines_of(text, name), "feud")
    results(lines_of(text, "witness"), "witness")
    before, after = re.search(r"KiB RAM, (\d+) KiB free", text)[1], re.search(r"no guest is left, (\d+) KiB free", text)[1]
    assert before == after, "memory is missing"


def test_ends_with_grants_both_ways(boot, launch):
    """The frontend crashes while each maps pages of the other, several times; the backend has its own back each time."""
    lives = 5
    file = launch(feud("front", "hold", on_crash="restart", restart_limit=lives - 1) + feud("back", f"hold sessions={lives}"))
    text = boot(file, "feud.elf", smp=2).wait_end(240)
    results(lines_of(text, "back"), "feud")
    assert not re.search(r"FAIL ", text) and text.count("[back] PASS hold.used") == lives
    before, after = re.search(r"KiB RAM, (\d+) KiB free", text)[1], re.search(r"no guest is left, (\d+) KiB free", text)[1]
    assert before == after, "memory is missing"
