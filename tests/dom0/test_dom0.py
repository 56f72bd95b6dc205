# SPDX-License-Identifier: MIT
"""The stock tools in a Debian dom0: the scenarios, each in one machine. --hypervisor=xen runs them on the peer instead, --hypervisor=both
compares what the steps printed with what they print there."""
import os
import subprocess

import hostile
import pexpect
import pytest
import qemu
import scenarios
from host import drive

HYPERVISORS = {"paravane": ["paravane"], "xen": ["xen"], "both": ["paravane", "xen"]}
# One machine each, and dom0's kernel in it.
RUNS = [("libvirt", "6.1"), ("qcow2", "6.1"), ("lvm", "6.12"), ("store", "6.12"), ("commands", "6.1"), ("life", "6.12"), ("devices", "6.1"), ("grub", "6.12"), ("save", "6.1"), ("rogue", "6.1"), ("cycles", "6.1")]
# What else the machine is: further disks with kernels for guests.
OPTIONS = {"rogue": {"extra": drive(qemu.GUESTS / "rogue.elf")}, "commands": {"extra": hostile.drives(*hostile.SHORT_KERNELS)},
           # libvirt finds no name for what Xen shows of AMD's CPUs under TCG, and then does not start there.
           "libvirt": {"image": "large", "cpu": "qemu64,vendor=GenuineIntel"}, "qcow2": {"image": "large"}, "lvm": {"image": "large"}, "store": {"words": "paravane.xenstored=xenstored"}}
# What follows in the same machine on Paravane alone.
MORE = {"commands": hostile.SHORT}
QUICK = {"commands"}


@pytest.mark.parametrize("scenario, kernel", [pytest.param(s, k, id=s, marks=() if s in QUICK else pytest.mark.long) for s, k in RUNS])
def test_scenario(dom0, request, scenario, kernel):
    wanted = HYPERVISORS[request.config.getoption("--hypervisor")]
    outputs = []
    for hypervisor in wanted:
        host = dom0(hypervisor, kernel=kernel, **OPTIONS.get(scenario, {}))
        outputs.append(scenarios.run(host, scenarios.SCENARIOS[scenario]))
        if hypervisor == "paravane":
            scenarios.run(host, MORE.get(scenario, []))
        host.kill()
    if len(outputs) == 2:
        found = scenarios.differences(*outputs, scenarios.read_table())
        assert not found, found


@pytest.mark.long
def test_hostile(dom0):
    """Every hostile kernel beside dom0 and another guest of its."""
    scenarios.run(dom0("paravane", extra=hostile.drives(*hostile.KERNELS)), hostile.SCENARIO)


@pytest.mark.long
def test_panic(dom0):
    """dom0's Linux panics while a guest runs: the log says so and where it was, and the machine starts anew, which ends QEMU here."""
    host = dom0("paravane")
    scenarios.run(host, scenarios.create("small"))
    host.machine.send("echo c > /proc/sysrq-trigger\n")
    host.machine.expect(r"guest Domain-0 crashed\r?\n", 60)
    host.machine.expect(r"vCPU 0 of guest Domain-0, kernel mode: rip [0-9a-f]{16}", 10)
    host.machine.expect("the machine restarts in 5 seconds", 10)
    host.machine.wait_end(60)


def test_differences():
    """The comparison itself: a line that differs, a row that explains it, a row that explains nothing."""
    row = ("info", "extra", "a version")
    assert scenarios.read_table(f"{scenarios.HEADING}\n| a |\n| `info` | `extra` | a version |\n\n## other\n| `x` | `y` | z |\n") == [row]
    assert not scenarios.differences({"info": "a\nb"}, {"info": "a\nb"}, [])
    assert "on the peer" in scenarios.differences({"info": "a\nextra 1"}, {"info": "a\nextra 2"}, [])
    assert not scenarios.differences({"info": "a\nextra 1"}, {"info": "a\nextra 2"}, [row])
    assert "no longer differs" in scenarios.differences({"info": "extra"}, {"info": "extra"}, [row])


RUN = qemu.ROOT / "scripts" / "run"


def environment():
    return dict(os.environ, BUILD=str(qemu.BUILD), PARAVANE_CACHE=str(qemu.CACHE), TIMEOUT="840", MEMORY="2048")


def test_run():
    """`make run` as a user without a terminal sees it: two guests with disks and networks, and the status is 0."""
    result = subprocess.run([RUN, "--dom0"], env=environment(), stdin=subprocess.DEVNULL, text=True,
                            capture_output=True, timeout=960, check=False)
    assert result.returncode == 0, result.stderr + "\n".join(result.stdout.splitlines()[-40:])
    assert "This page comes from the guest that GRUB started." in result.stdout
    assert "DEMO: all was shown" in result.stdout


@pytest.mark.long
def test_run_on_a_terminal():
    """`make run` as a user sees it: after the demonstration, dom0's shell with the keys of a terminal, consoles of guests, and an end."""
    prompt, log = r"root@dom0:[^\r\n]*# ", qemu.BUILD / "dom0" / "terminal.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "w", encoding="utf-8") as seen:
        run = pexpect.spawn(str(RUN), ["--dom0"], env=environment(), timeout=120, encoding="utf-8", codec_errors="replace",
                            dimensions=(40, 150), logfile=seen)
        try:
            run.expect("DEMO: all was shown", timeout=900)
            run.expect(prompt)
            run.sendline("cat > /dev/null; echo status $?")
            run.expect("status [$]")
            run.send("\x03")
            run.expect(prompt)
            run.sendline("xl console grub")
            run.sendline("hostname; echo in $((40 + 2))")
            run.expect(r"grub\s+in 42\s")
            run.send("\x1d\x1d")
            run.expect(prompt)
            run.send("\x1d?")
            run.expect("Ctrl-\\], then:")
            run.sendline("xl list | grep -c -E '^(debian|grub) '")
            run.expect(r"\s2\s")
            run.sendline("poweroff")
            run.expect(pexpect.EOF, timeout=300)
        except (pexpect.EOF, pexpect.TIMEOUT) as problem:
            raise AssertionError(f"{problem.__class__.__name__}; {log} has all; the end:\n{log.read_text()[-2000:]}") from None
        finally:
            run.close(force=True)
    assert run.exitstatus == 0
