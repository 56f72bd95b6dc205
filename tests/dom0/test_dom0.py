# SPDX-License-Identifier: MIT
"""The stock tools in a Debian dom0: the scenarios, each in one machine. --hypervisor=xen runs them on the peer instead, --hypervisor=both
compares what the steps printed with what they print there."""
import pytest
import scenarios

HYPERVISORS = {"paravane": ["paravane"], "xen": ["xen"], "both": ["paravane", "xen"]}
RUNS = [("look", "6.1"), ("small", "6.1"), ("life", "6.12"), ("devices", "6.1"), ("grub", "6.1"), ("save", "6.1")]
QUICK = {"look", "small"}


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
        host = dom0(hypervisor, kernel=kernel)
        outputs.append(scenarios.run(host, scenarios.SCENARIOS[scenario]))
        host.kill()
    if len(outputs) == 2:
        found = differences(*outputs)
        assert not found, found
