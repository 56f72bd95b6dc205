# SPDX-License-Identifier: MIT
"""What the conftest.py files share: how the machines of a test end, and what is kept of them."""
import pytest

import qemu


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if call.when == "call":
        item.failed = outcome.get_result().failed


def end_machines(request, machines):
    """Ends them; their output stays if the test failed, or the hypervisor, which fails the test."""
    failures = []
    for machine in machines:
        machine.kill()
        found = None if machine.panics else qemu.HOST_FAILURES.search(machine.text)
        failures += [found[0]] if found else []
        if not getattr(request.node, "failed", True) and not found:
            for log in machine.logs:
                log.unlink(missing_ok=True)
    assert not failures, f"the hypervisor itself failed: {failures[0]}"
