# SPDX-License-Identifier: MIT
"""The SDK's kernels and a stock Linux on processors that Bochs emulates. It was written independently of QEMU, is strict where
that is lax, and has what that has not: PCIDs, alignment checks, null stack segments."""
import re

import pytest

import qemu
from test_hostile import STORMS, lines_of
from test_kernels import endings, results
from test_panic import PINNED

LIMIT = 1800  # seconds; most runs need less than 60, but the machine may be busy
# PCIDs and SMAP; no XSAVE; AVX-512, whose state is ten times as large; AMD's SYSCALL from 32-bit code; the newest of Intel's;
# the first that had 64-bit mode.
MODELS = ["broadwell_ult", "core2_penryn_t9600", "corei7_skylake_x", "ryzen", "tigerlake", "athlon64_clawhammer"]
WITH_PCID = ["broadwell_ult", "corei7_skylake_x", "tigerlake"]
OPTIONS = ["fastpath=off", "pcid=off"]


def guest(name, kernel, cmdline="", memory=16, vcpus=1, **keys):
    more = "".join(f"{key} = {value}\n" for key, value in keys.items())
    return f"[{name}]\nkernel = {kernel}.elf\ncmdline = {cmdline}\nmemory = {memory}M\nvcpus = {vcpus}\n{more}\n"


def witness(name, seconds, vcpus=1):
    return guest(name, "witness", f"seconds={seconds}", vcpus=vcpus)


def run(boot, text, kept=0, **options):
    """Until all guests of a launch file have ended; no check fails, and all memory is free again but so many KiB. All output."""
    kernels = sorted(set(re.findall(r"^kernel = (\S+)$", text, re.M)))
    machine = boot(text, *kernels, **options)
    output = machine.wait_end(LIMIT)
    has_pcids = options.get("model", MODELS[0]) in WITH_PCID and "pcid=off" not in options.get("append", "")
    assert machine.uses_pcids() == has_pcids
    assert not re.findall(r"^.*\bFAIL .*$", output, re.M)
    before, after = re.search(r"KiB RAM, (\d+) KiB free", output), re.search(r"no guest is left, (\d+) KiB free", output)
    assert before and after and int(before[1]) - int(after[1]) == kept, "memory is missing"
    return output


def check_results(output, kernels):
    """The kernel's RESULT of each guest."""
    for name, kernel in kernels.items():
        assert results(lines_of(output, name), kernel)[0] > 0


GATE = guest("gate", "gatecrash", vcpus=2) + guest("null", "gatecrash", "only=null_stack") + guest("usermode", "usermode")
GATE_KERNELS = {"gate": "gatecrash", "null": "gatecrash", "usermode": "usermode"}
ABI = (guest("basics", "basics", memory=32) + guest("linear", "basics", "only=linear linear=on", linear_page_tables="yes")
       + guest("hostile", "hostile", memory=32, vcpus=3, linear_page_tables="yes"))
ABI_KERNELS = {"basics": "basics", "linear": "basics", "hostile": "hostile"}


def check_gate(output):
    """Nothing of what QEMU has not was left out."""
    check_results(output, GATE_KERNELS)
    skipped = re.findall(r"^\[(gate|null|usermode)\] SKIP (\S+):", output, re.M)
    assert "[gate] PASS flags.alignment\n" in output and skipped == [("usermode", "same.hidden")], skipped


@pytest.mark.short
@pytest.mark.parametrize("model", ["broadwell_ult", "ryzen"])
def test_gate(boot, model):
    check_gate(run(boot, GATE, model=model))


@pytest.mark.parametrize("model,option", [(model, option) for model in MODELS for option in ("", *OPTIONS)
                                          if option != "pcid=off" or model == MODELS[0]])
def test_all_at_once(boot, model, option):
    output = run(boot, GATE + ABI, model=model, append=option)
    check_gate(output)
    check_results(output, ABI_KERNELS)
    assert re.findall(r"^\[basics\] SKIP (\S+):", output, re.M) == ["linear"]


@pytest.mark.parametrize("option", ["", *OPTIONS])
def test_two_processors(boot, option):
    """Shootdowns, races of vCPUs that run at once, and two guests that attack each other's grants."""
    feud = "".join(guest(side, "feud", vcpus=3, channel="one") for side in ("front", "back"))
    text = guest("smp", "smp", vcpus=4) + guest("hostile", "hostile", memory=32, vcpus=3) + feud + guest("gate", "gatecrash", vcpus=2)
    output = run(boot, text, smp=2, append=option)
    check_results(output, {"smp": "smp", "hostile": "hostile", "front": "feud", "back": "feud", "gate": "gatecrash"})
    assert not re.search(r"SKIP race", output)


@pytest.mark.parametrize("option", ["", "fastpath=off"])
@pytest.mark.parametrize("model", ["broadwell_ult", "ryzen"])
def test_endings(boot, model, option):
    """What must end its domain does, and a witness notices nothing."""
    attacks = [(kernel, name) for kernel in ("hostile", "gatecrash") for name in endings(kernel)]
    output = run(boot, "".join(guest(name, kernel, f"attack={name}", memory=8) for kernel, name in attacks) + witness("witness", 5),
                 model=model, append=option, memory=768)
    assert not re.findall(r"SURVIVED (\w+)", output)
    assert sorted(set(re.findall(r"guest (\w+) crashed\n", output))) == sorted(name for _, name in attacks)
    check_results(output, {"witness": "witness"})


@pytest.mark.parametrize("model,smp,option,seconds", [("broadwell_ult", 1, "", 15), ("ryzen", 1, "fastpath=off", 15),
                                                      ("broadwell_ult", 2, "", 10)])
def test_fuzz(boot, model, smp, option, seconds):
    """The fuzzing kernel, which also loads null stack segments here, beside two witnesses."""
    fuzz = "".join(guest(f"fuzz{seed}", "fuzz", f"seed={seed} seconds={seconds} null_stacks", vcpus=3) for seed in (1, 2))
    output = run(boot, fuzz + witness("witness", seconds, vcpus=2) + witness("other", seconds), model=model, smp=smp, append=option)
    check_results(output, {"fuzz1": "fuzz", "fuzz2": "fuzz", "witness": "witness", "other": "witness"})


def test_wide_registers(boot):
    """Guests that share a CPU keep their AVX-512 state. The CPUID of this model gives a rate of the TSC that Bochs does not keep:
    a second lasts 70 of them."""
    output = run(boot, witness("one", 1) + witness("two", 1, vcpus=2), model="corei7_skylake_x")
    check_results(output, {"one": "witness", "two": "witness"})


def test_storms(boot):
    storms = "".join(guest(storm, "hostile", f"storm={storm} seconds=2", vcpus=2) for storm in STORMS)
    output = run(boot, storms + witness("witness", 3), smp=2, memory=768)
    check_results(output, {**{storm: "hostile" for storm in STORMS}, "witness": "witness"})


def test_others(boot):
    """Each shape of a kernel, a channel, allocations, and ends by faults."""
    shapes = ["linux", "plain", "plain-bits", "string", "string-required"]
    text = "".join(guest(shape, f"shape-{shape}") for shape in shapes)
    text += "".join(guest(side, "talk", "rounds=50 sessions=1", channel="one") for side in ("front", "back"))
    text += guest("scarce", "scarce") + guest("hello", "hello")
    text += "".join(guest(how, "crash", f"how={how}") for how in ("shutdown", "nohandler", "silence"))
    output = run(boot, text)
    check_results(output, {**{shape: "shapes" for shape in shapes}, "front": "talk", "back": "talk", "scarce": "scarce", "hello": "hello"})
    assert re.search(r"guest nohandler crashed: vCPU 0: no handler for exception 14", output)
    assert "guest silence: its watchdog was not fed" in output


@pytest.mark.parametrize("model", ["broadwell_ult", "ryzen"])
def test_control(boot, model):
    """The control domain's operations, and a domain that is built by them."""
    output = boot(None, "control.elf", model=model, smp=2, memory=512, append="dom0_mem=128M").wait_end(LIMIT)
    assert results(output, "control")[0] > 150
    output = boot(None, "builder.elf", "hello.elf", model=model, memory=512, append="dom0_mem=128M").wait_end(LIMIT)
    assert results(re.sub(r"^\| .*\n", "", output, flags=re.M), "builder")[0] >= 10


def test_checked(boot):
    """The debug build, which takes all counts anew each second, on a model with PCIDs."""
    tallies = 1024  # of all frames of 256 MiB, which the audit keeps
    output = run(boot, GATE + ABI, tallies, kernel=qemu.DEBUG_KERNEL, append="audit=1", smp=2)
    check_gate(output)
    check_results(output, ABI_KERNELS)


@pytest.mark.parametrize("fault,sentence,where", [("stack", "double fault", "recurse"), ("spin,1", "CPU 1 is stuck", "fault_spin"),
                                                  ("null,both", "page fault in the hypervisor", "fault_null"),
                                                  ("deaf,both", "CPU 1 is stuck: it does not leave its guest", "guest rip")])
def test_panic(boot, fault, sentence, where):
    """Faults of the hypervisor itself, and NMIs that ask the other CPU where it was."""
    machine = boot(PINNED, "hello.elf", "spin.elf", append=f"fault={fault} panic=halt", smp=2, kernel=qemu.DEBUG_KERNEL, panics=True)
    report = machine.expect(rf"(?s)PANIC on CPU (\d): {sentence}.*?{where}.*?CPU (\d) was (in its guest|in the hypervisor|idle)", LIMIT)
    assert report[1] != report[2]


LINUX = """[linux]
kernel = vmlinux-6.1
ramdisk = linux.cpio.gz
memory = 256M
vcpus = 2
cmdline = console=hvc0 quiet paravane.name=linux {}
"""


@pytest.mark.parametrize("model,smp", [("broadwell_ult", 1), ("ryzen", 2)])
def test_linux(boot, model, smp):
    """A stock kernel starts, forks, maps, signals, and goes off."""
    text = LINUX.format("paravane.test=stress paravane.args=fork,cow,signals")
    output = boot(text, "vmlinux-6.1", "linux.cpio.gz", model=model, smp=smp, memory=512).wait_end(LIMIT)
    assert re.search(r"\[linux\] RESULT stress: 6 passed, 0 failed", output), output[-3000:]


def test_linux_is_the_control_domain(boot):
    """It drives this machine's chipset: interrupts by its I/O APIC, ACPI, PCI."""
    output = boot(None, "vmlinux-6.1 placeholder console=hvc0 quiet paravane.end=poweroff", "linux.cpio.gz", memory=512,
                  append="dom0_mem=256M").wait_end(LIMIT)
    assert re.search(r"READY linux: linux \S+, 1 CPUs", output) and "the control domain switches the machine off" in output
