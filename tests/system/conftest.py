# SPDX-License-Identifier: MIT
"""Fixtures: `boot` starts machines, ends them after the test, and keeps their output when it failed."""
import re

import pytest

import qemu

LOGS = qemu.BUILD / "system" / "logs"


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if call.when == "call":
        item.failed = outcome.get_result().failed


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
    host_failure = None
    for machine in machines:
        machine.kill()
        found = None if machine.panics else qemu.HOST_FAILURES.search(machine.text)
        host_failure = host_failure or (found and found[0])
        if not getattr(request.node, "failed", True) and not host_failure:
            machine.log_path.unlink(missing_ok=True)
    assert not host_failure, f"the hypervisor itself failed: {host_failure}"


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
