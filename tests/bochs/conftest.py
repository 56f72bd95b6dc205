# SPDX-License-Identifier: MIT
"""`boot` starts machines in Bochs, ends them after the test, and keeps their output when it failed."""
import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "system"))

import bochs  # noqa: E402
import qemu  # noqa: E402
from ending import end_machines, pytest_runtest_makereport  # noqa: E402, F401 (a hook)

LOGS = qemu.BUILD / "bochs" / "logs"


@pytest.fixture
def boot(request, tmp_path):
    """boot(text of a launch file or None, module, ..., option=...) -> bochs.Machine"""
    LOGS.mkdir(parents=True, exist_ok=True)
    name = re.sub(r"\W+", "-", request.node.name).strip("-")
    machines = []

    def start(text, *modules, **options):
        number = len(machines)
        if text:
            file = tmp_path / f"{number}.launch"
            file.write_text(text)
            modules = (file, *modules)
        machines.append(bochs.Machine(LOGS / f"{name}.{number}.log", tmp_path / str(number), modules, **options))
        return machines[-1]

    yield start
    end_machines(request, machines)


def pytest_configure(config):
    config.addinivalue_line("markers", "short: also part of check")


def pytest_sessionstart(session):
    if not (qemu.BUILD / "paravane").exists():
        pytest.exit(f"{qemu.BUILD}/paravane is not built; 'make check-bochs' builds it", returncode=2)
