# SPDX-License-Identifier: MIT
"""The gate under NMIs: at each of its instructions while a guest goes through every path, and from user mode."""
import re
import subprocess

import gdb
import pytest
import qemu

GATE_TEXT, USER_CODE = 0xffff808000000000, 0x200000000000
NMI_STUB = GATE_TEXT + 2 * 16
# The flat 64-bit code segment of user mode, in the GDT that the gate shows: its access byte.
USER_CS_ACCESS, NOT_PRESENT = GATE_TEXT + 0x20000 + 0xe030 + 5, 0x7b


def gate_code():
    """Address -> (label, offset) of each instruction of the gate where it runs, but the stubs of vectors, what only
    speculation reaches, and padding."""
    image = qemu.BUILD / "paravane"
    symbols = subprocess.run(["nm", image], capture_output=True, text=True, check=True).stdout
    begin, first, end = (int(re.search(rf"^(\w+) \w {name}$", symbols, re.M)[1], 16)
                         for name in ("gate_text_begin", "gate_common", "gate_text_finish"))
    listing = subprocess.run(["objdump", "-d", f"--start-address={first}", f"--stop-address={end}", image],
                             capture_output=True, text=True, check=True).stdout
    code, label, start, before = {}, None, 0, None
    for line in listing.splitlines():
        if found := re.match(r"(\w{16}) <(\S+)>:$", line):
            label, start = found[2], int(found[1], 16)
        elif found := re.match(r"\s*(\w+):\t(?:\w\w )+ *\t(\S+)", line):
            address, what = int(found[1], 16), found[2]
            if label != "fixups" and before != "lfence" and what not in ("pause", "lfence") and not re.match("nop|data16|cs|xchg", what):
                code[GATE_TEXT + address - begin] = (label, address - start)
            before = what
    return code


def strike(stub, places):
    """An NMI at each place when it is first reached, until the machine ends. What was reached, and where NMIs arrived.
    While one is handled others wait: those at gate_paranoid arrive later, and its way through gate_iretq does not count."""
    way_back = next(a for a, place in places.items() if place == ("gate_iretq", 0))
    reached, arrived, in_nmi = set(), set(), False
    stub.set_breakpoint(NMI_STUB)
    try:
        while True:
            at = stub.go()
            if at == NMI_STUB or (at == way_back and in_nmi):
                in_nmi = at == NMI_STUB
                if in_nmi:
                    arrived.add(stub.word(stub.register(gdb.RSP)))
                stub.step_over(at)
                continue
            assert at in places and at not in reached, f"stopped at {at:x}"
            reached.add(at)
            stub.clear_breakpoint(at)
            stub.monitor("nmi")
    except (EOFError, ConnectionError):
        return reached, arrived


@pytest.fixture
def stopped(boot, tmp_path):
    """stopped(guest) -> the machine before its first instruction, and its stub."""

    def start(guest):
        path = tmp_path / "gdb"
        machine = boot(guest, smp=1, memory=256, cpu="max,vendor=GenuineIntel",
                       extra=["-chardev", f"socket,path={path},server=on,wait=off,id=gdb", "-gdb", "chardev:gdb", "-S"])
        return machine, gdb.Stub(path)

    return start


def test_nmi_at_every_instruction(stopped):
    places = {**gate_code(), USER_CODE: ("user code", 0)}
    machine, stub = stopped("gatecrash.elf rounds=2")
    for address in places:
        stub.set_breakpoint(address)
    reached, arrived = strike(stub, places)
    text = machine.wait_end(60)
    assert re.search(r"RESULT gatecrash: \d+ passed, 0 failed", text), machine.tail()
    missed = sorted(f"{label}+{offset}" for a, (label, offset) in places.items() if a not in reached)
    assert not missed, f"never reached: {missed}"
    elsewhere = sorted(f"{label}+{offset}" for a, (label, offset) in places.items()
                       if a not in arrived and label != "gate_paranoid")
    assert not elsewhere, f"no NMI arrived at {elsewhere}"


def test_nmi_returns_to_a_segment_that_is_gone(stopped):
    """As if another vCPU had changed the descriptor while the NMI was handled: the guest's own exception, on its kernel."""
    fault = next(a for a, place in gate_code().items() if place == ("iret_fault", 0))
    machine, stub = stopped("gatecrash.elf only=frames")
    for address in (USER_CODE, NMI_STUB, fault):
        stub.set_breakpoint(address)
    assert stub.go() == USER_CODE
    stub.clear_breakpoint(USER_CODE)
    stub.monitor("nmi")
    assert stub.go() == NMI_STUB and stub.word(stub.register(gdb.RSP)) == USER_CODE
    stub.clear_breakpoint(NMI_STUB)
    present = stub.word(USER_CS_ACCESS) & 0xff
    stub.write_byte(USER_CS_ACCESS, NOT_PRESENT)
    assert stub.go() == fault
    stub.write_byte(USER_CS_ACCESS, present)
    stub.clear_breakpoint(fault)
    stub.send("c")
    text = machine.wait_end(60)
    assert "FAIL frames.user: trap 11 error 0xe030" in text and re.search(r"RESULT gatecrash: \d+ passed, 1 failed", text)
