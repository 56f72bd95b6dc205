# SPDX-License-Identifier: MIT
"""The stock tools in a Debian dom0: the scenarios, each in one machine. --hypervisor=xen runs them on the peer instead, --hypervisor=both
compares what the steps printed with what they print there."""
import os
import subprocess

import pytest
import qemu
import scenarios
from host import drive

HYPERVISORS = {"paravane": ["paravane"], "xen": ["xen"], "both": ["paravane", "xen"]}
# One machine each, and dom0's kernel in it.
RUNS = [("commands", "6.1"), ("life", "6.12"), ("devices", "6.1"), ("grub", "6.12"), ("save", "6.1"), ("rogue", "6.1"), ("cycles", "6.1")]
# A second disk with a kernel for the guest.
EXTRA = {"rogue": drive(qemu.GUESTS / "rogue.elf")}
QUICK = {"commands"}


def differences(here, there):
    """Lines for the eye: steps whose outputs differ, of those that CAVEATS.md does not explain."""
    lines = []
    for name in here:
        if scenarios.explained(name, here[name]) != scenarios.explained(name, there[name]):
            lines += [f"{name}: here:", here[name], f"{name}: on the peer:", there[name]]
    return "\n".join(lines)


@pytest.mark.parametrize("scenario, kernel", [pytest.param(s, k, id=s, marks=() if s in QUICK else pytest.mark.long) for s, k in RUNS])
def test_scenario(dom0, request, scenario, kernel):
    wanted = HYPERVISORS[request.config.getoption("--hypervisor")]
    outputs = []
    for hypervisor in wanted:
        host = dom0(hypervisor, kernel=kernel, extra=EXTRA.get(scenario, ()))
        outputs.append(scenarios.run(host, scenarios.SCENARIOS[scenario]))
        host.kill()
    if len(outputs) == 2:
        found = differences(*outputs)
        assert not found, found


def test_run():
    """`make run` as a user without a terminal sees it: two guests with disks and networks, and the status is 0."""
    environment = dict(os.environ, BUILD=str(qemu.BUILD), PARAVANE_CACHE=str(qemu.CACHE), TIMEOUT="840", MEMORY="2048")
    result = subprocess.run([qemu.ROOT / "scripts" / "run", "--dom0"], env=environment, stdin=subprocess.DEVNULL, text=True,
                            capture_output=True, timeout=960, check=False)
    assert result.returncode == 0, result.stderr + "\n".join(result.stdout.splitlines()[-40:])
    assert "This page comes from the guest that GRUB started." in result.stdout
    assert "DEMO: all was shown" in result.stdout
