# SPDX-License-Identifier: MIT
"""Control operations: the kernel that tries each of them, and a domain that is built by them and runs."""
import re

import pytest

import qemu
from test_kernels import results


@pytest.mark.parametrize("cpu", ["max", "qemu64"])
def test_operations(boot, cpu):
    text = boot("control.elf", cpu=cpu, append="dom0_mem=128M").wait_end(120)
    assert results(text, "control")[0] > 150


def test_operations_checked(boot):
    """On the debug build: locks, references and uses of all frames are accounted for while domains come and go."""
    text = boot("control.elf", append="dom0_mem=128M audit=1", kernel=qemu.DEBUG_KERNEL).wait_end(240)
    assert results(text, "control")[0] > 150


def test_failing_allocations(boot):
    text = boot("control.elf only=failures failures=1", append="dom0_mem=128M failalloc=5 audit=1",
                kernel=qemu.DEBUG_KERNEL).wait_end(120)
    assert results(text, "control")[0] >= 5


@pytest.mark.parametrize("kernel,vcpus", [("hello", 1), ("smp", 4), ("basics", 1)])
def test_built_domain(boot, kernel, vcpus):
    """The SDK's builder is a toolstack of its own: what it starts runs as a guest of a launch file does."""
    text = boot(f"builder.elf vcpus={vcpus}", f"{kernel}.elf", append="dom0_mem=128M").wait_end(120)
    assert results(re.sub(r"^\| .*\n", "", text, flags=re.M), "builder")[0] >= 10
    assert re.search(rf"^\| RESULT {kernel}: \d+ passed, 0 failed", text, re.M)


def test_crowd(boot):
    """Several guests at once by the SDK's tools: two that send each other events and one that never sleeps; then shares by weight."""
    text = boot("crowd.elf pair -- spin -- ping rounds=50 -- pong", "member.elf", append="dom0_mem=128M").wait_end(120)
    assert results(text, "crowd")[0] >= 30
    assert re.search(r"^\| 1 BENCH ping_pong_guests \d+ ns", text, re.M)
    text = boot("crowd.elf seconds=1 -- spin weight=256 -- spin weight=512", "member.elf", append="dom0_mem=128M").wait_end(120)
    assert len(re.findall(r"^BENCH share weight (?:256|512): [1-9]\d+ ns of ", text, re.M)) == 2
