# SPDX-License-Identifier: MIT
"""Fixtures: both hypervisors with the same kernel, and the table of differences that CAVEATS.md owns up to."""
import re
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "system"))

import peer  # noqa: E402
import qemu  # noqa: E402

LOGS = qemu.BUILD / "peer" / "logs"


def pytest_configure(config):
    shutil.rmtree(LOGS, ignore_errors=True)
    LOGS.mkdir(parents=True)


def pytest_sessionstart(session):
    for file, target in [(qemu.BUILD / "paravane", "make"), (qemu.CACHE / "xen-4.17", "scripts/prepare-guests xen-4.17")]:
        if not file.exists():
            pytest.exit(f"{file} is not there; '{target}' makes it", returncode=2)


def pytest_terminal_summary(terminalreporter):
    if peer.RETRIES:
        terminalreporter.write_line(f"the peer was started again: {', '.join(peer.RETRIES)}")


@pytest.fixture
def log(request):
    """The path of a log of this test, without its ending."""
    return LOGS / re.sub(r"\W+", "-", request.node.name).strip("-")


@pytest.fixture(scope="session")
def ordinary_guests(tmp_path_factory):
    """What all ordinary guests said here: they share one machine."""
    file = tmp_path_factory.mktemp("peer") / "peer.launch"
    file.write_text("".join(f"[{k}]\nkernel = {k}.elf\nmemory = 32M\nvcpus = 2\nready = RESULT\n" for k in peer.ORDINARY))
    return peer.run_here(LOGS / "ordinary.log", file, *[f"{k}.elf" for k in peer.ORDINARY], append="batch")
