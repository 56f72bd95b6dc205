# SPDX-License-Identifier: MIT
"""Fixtures: `dom0` boots hosts, ends them after the test, and keeps their output when it failed."""
import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "system"))

import host  # noqa: E402
import qemu  # noqa: E402

LOGS = qemu.BUILD / "dom0" / "logs"


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if call.when == "call":
        item.failed = outcome.get_result().failed


@pytest.fixture
def dom0(request):
    """dom0(hypervisor, who="dom0", option=...) -> host.Host whose shell is ready"""
    LOGS.mkdir(parents=True, exist_ok=True)
    hosts = []

    def start(hypervisor, who="dom0", **options):
        name = re.sub(r"\W+", "-", request.node.name).strip("-")
        hosts.append(host.Host(LOGS / f"{name}.{len(hosts)}.{hypervisor}.log", hypervisor, **options))
        hosts[-1].wait_ready(who)
        return hosts[-1]

    yield start
    failures = []
    for machine in (h.machine for h in hosts):
        machine.kill()
        found = qemu.HOST_FAILURES.search(machine.text)
        failures += [found[0]] if found else []
        if not getattr(request.node, "failed", True) and not found:
            machine.log_path.unlink(missing_ok=True)
    assert not failures, f"the hypervisor itself failed: {failures[0]}"


def pytest_sessionstart(session):
    for file, target in [(qemu.BUILD / "paravane", "make"), (host.DOM0 / "disk.img", "guest-images/dom0/make-image")]:
        if not file.exists():
            pytest.exit(f"{file} is not there; '{target}' makes it", returncode=2)


def pytest_addoption(parser):
    parser.addoption("--hypervisor", choices=["paravane", "xen", "both"], default="paravane")


def pytest_configure(config):
    config.addinivalue_line("markers", "long: not part of make check")
