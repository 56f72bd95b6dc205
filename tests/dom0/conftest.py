# SPDX-License-Identifier: MIT
"""Fixtures: `dom0` boots hosts, ends them after the test, and keeps their output when it failed."""
import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "system"))

import host  # noqa: E402
import qemu  # noqa: E402
from ending import end_machines, pytest_runtest_makereport  # noqa: E402, F401 (a hook)

LOGS = qemu.BUILD / "dom0" / "logs"


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
    end_machines(request, [h.machine for h in hosts])


def pytest_sessionstart(session):
    for file, target in [(qemu.BUILD / "paravane", "make"), (host.DOM0 / "disk.img", "guest-images/dom0/make-image")]:
        if not file.exists():
            pytest.exit(f"{file} is not there; '{target}' makes it", returncode=2)


def pytest_addoption(parser):
    parser.addoption("--hypervisor", choices=["paravane", "xen", "both"], default="paravane")


def pytest_configure(config):
    config.addinivalue_line("markers", "long: not part of make check")
