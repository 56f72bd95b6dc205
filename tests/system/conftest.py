# SPDX-License-Identifier: MIT
"""Fixtures: `boot` starts machines, ends them after the test, and keeps their output when it failed."""
import re

import pytest

import qemu
from ending import end_machines, pytest_runtest_makereport  # noqa: F401 (a hook)

LOGS = qemu.BUILD / "system" / "logs"


@pytest.fixture
def boot(request):
    """boot(module, ..., option=...) -> qemu.Machine"""
    LOGS.mkdir(parents=True, exist_ok=True)
    name = re.sub(r"\W+", "-", request.node.name).strip("-")
    machines = []

    def start(*modules, **options):
        log = LOGS / f"{request.node.path.stem}.{name}.{len(machines)}.log"
        machines.append(qemu.Machine(log, modules, **options))
        return machines[-1]

    yield start
    end_machines(request, machines)


@pytest.fixture
def launch(tmp_path):
    """launch(text) -> the path of a launch file with it."""

    def write(text, name="test.launch"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def pytest_configure(config):
    config.addinivalue_line("markers", "alone: measures, so no other machine may run meanwhile")


def pytest_sessionstart(session):
    if not (qemu.BUILD / "paravane").exists():
        pytest.exit(f"{qemu.BUILD}/paravane is not built; 'make check-system' builds it", returncode=2)
