# SPDX-License-Identifier: MIT
"""Faults that the debug build makes on purpose: each is reported once, with names, for every CPU, and the machine stops
or is reset as it was told."""
import re

import pytest

import qemu

GUESTS = """[first]
kernel = hello.elf
cmdline = stay
memory = 16M

[second]
kernel = spin.elf
memory = 16M
"""


@pytest.fixture
def fault(boot, launch):
    """fault(options) -> a machine in which the fault is about to happen"""

    def start(options, smp=2, kernel=qemu.DEBUG_KERNEL):
        return boot(launch(GUESTS), "hello.elf", "spin.elf", append=options, smp=smp, memory=256, kernel=kernel, panics=True)

    return start


def report_of(machine):
    """The report, from its first line to QEMU's end. There is one only."""
    text = machine.wait_end(60)
    assert text.count("paravane: PANIC on CPU") == 1
    return text[text.index("paravane: PANIC on CPU"):]


def backtrace(text):
    return re.findall(r"^paravane:     [0-9a-f]{16} (\w+)\+0x", text, re.M)


def test_null_pointer(fault):
    report = report_of(fault("fault=null"))
    assert report.startswith("paravane: PANIC on CPU 0: page fault in the hypervisor")
    assert re.search(r"vector 14 error 2  cr2 0000000000000008", report) and re.search(r"rax [0-9a-f]{16}  rbx", report)
    assert backtrace(report)[:2] == ["fault_null", "fire"] and "run_loop" in backtrace(report)
    assert re.search(r"CPU 1 was (in its guest|idle|in the hypervisor)\n", report)
    assert len(re.findall(r"vCPU 0 of guest second, \w+ mode: rip", report)) == 1


def test_assertion_on_the_second_cpu(fault):
    report = report_of(fault("fault=assert,1"))
    assert re.match(r"paravane: PANIC on CPU 1: hypervisor/debug/checks/faults.c:\d+: !\(time_now", report)
    assert backtrace(report)[0] == "fault_assert"
    assert re.search(r"CPU 0 was (idle|in its guest|in the hypervisor)\n", report)


def test_panics_on_two_cpus_at_once(fault):
    """One reports; the other shows up in the report, whether it came to a panic of its own or was stopped just before."""
    report = report_of(fault("fault=null,both"))
    other = report[report.index(" was in the hypervisor\n"):]
    assert "and panicked as well: page fault in the hypervisor" in other or "fire" in backtrace(other)


def test_fault_of_the_report_itself(fault):
    report = report_of(fault("fault=double"))
    assert re.search(r"PANIC while reporting one: page fault in the hypervisor at vcpu_print\+0x", report)
    assert report.count("PANIC") == 2


def test_stack_overflow(fault):
    report = report_of(fault("fault=stack"))
    assert report.startswith("paravane: PANIC on CPU 0: double fault")
    assert "the stack of CPU 0 overflowed" in report
    assert backtrace(report).count("recurse") > 10


@pytest.mark.parametrize("name,sentence,where", [
    ("locks", r"page fault in the hypervisor", "fault_locks"),
    ("order", r"lock order: domain\.lock is taken while domain\.mm_lock is held", "fault_order"),
    ("second", r"lock order: a second domain\.mm_lock is taken", "fault_second"),
    ("held", r"domain\.lock is still held on the way out of the hypervisor", "run_loop"),
    ("release", r"lock ffff\w+ is released by a CPU that does not hold it", "fault_release"),
    ("freed", r"free memory was written to: 1234 at machine address \w+38\n", "fault_freed"),
    ("object", r"free memory was written to: 1234 at machine address \w+", "fault_object"),
    ("list", r"hypervisor/include/pv/lib\.h:\d+: DEBUG && !\(n->next->prev == n", "fault_list"),
    ("reference", r"audit: frame \w+ of domain 1 \(count \w+, type \w+\): \d+ references, \d+ found", "audit_again"),
    ("use", r"audit: frame \w+ of domain 1 \(count \w+, type \w+\): \d+ references, \d+ found", "audit_again"),
    ("entry", r"audit: frame \w+ is no guest's \(count 0\), and guests refer to it 1 times", "audit_again"),
    ("lost", r"audit: domain 1: 4096 frames listed of 4097, \d+ owned of \d+", "audit_again"),
    ("walk", r"audit: CPU \d remembers table ffff\w+ for region \w+ under \w+ of domain \d", "audit_again"),
], ids=lambda value: value if re.fullmatch(r"\w+", value) else "")
def test_broken_invariant(fault, name, sentence, where):
    report = report_of(fault(f"fault={name} audit=1"))
    assert re.match(rf"paravane: PANIC on CPU 0: {sentence}", report)
    assert where in backtrace(report)
    held = re.findall(r"holds (.*), taken at (\w+)\+0x", report)
    if name in ("locks", "order", "held"):
        assert ("domain.mm_lock" if name != "held" else "domain.lock", f"fault_{name}") in held


def test_panic_that_halts(fault):
    machine = fault("fault=assert panic=halt", smp=1)
    machine.expect(r"PANIC on CPU 0: [^\n]*\n", 30)
    machine.expect(r"fault_assert\+0x", 10)
    with pytest.raises(AssertionError, match="was not off after 3 s"):
        machine.wait_end(3)


def test_release_makes_no_faults(fault):
    machine = fault("fault=null", kernel=None)
    machine.expect(r"\[second\] work=", 30)
    machine.expect(r"\[second\] work=", 30)
    assert "PANIC" not in machine.text


PINNED = GUESTS.replace("kernel = spin.elf", "kernel = spin.elf\ncmdline = every=1000\npin = 1").replace("kernel = hello.elf", "kernel = hello.elf\npin = 0")


@pytest.mark.parametrize("name,stuck,sentence,where", [
    ("spin,1", 1, "", "fault_spin"),
    ("hold,both", None, "", "fault_hold"),  # the other waits for its lock: nobody comes through a run loop
    ("deaf,both", 1, ": it does not leave its guest", None),
])
def test_stuck_cpu(boot, launch, name, stuck, sentence, where):
    """Found by another CPU, whatever that one does, and reported by itself."""
    machine = boot(launch(PINNED), "hello.elf", "spin.elf", append=f"fault={name}", memory=256, kernel=qemu.DEBUG_KERNEL,
                   panics=True)
    report = report_of(machine)
    found = re.match(r"paravane: PANIC on CPU (\d): CPU \1 is stuck(.*)\n", report)
    assert found and found[2] == sentence and stuck in (None, int(found[1]))
    own = report[:report.index(f"CPU {1 - int(found[1])} was ")]
    assert where in backtrace(report) if where else "guest rip" in own
