# SPDX-License-Identifier: MIT
"""Every well-behaved test kernel on Debian's Xen 4.17 and here: the same checks, the same outcomes, or a row in CAVEATS.md."""
import peer
import pytest
import qemu

TABLE = peer.caveats()


def check(run, here, there):
    wrong = peer.judge(run, peer.differences(here, there), TABLE)
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("kernel", peer.PRIVILEGED)
def test_privileged(log, kernel):
    modules = [f"{kernel}.elf"] + (["hello.elf"] if kernel == "builder" else [])
    name = "shapes" if kernel.startswith("shape") else kernel
    there = peer.run_there(log, name, *modules)
    here = peer.run_here(f"{log}.here.log", *modules, append="dom0_mem=128M", extra=peer.EXTRA.get(kernel, ()))
    check(f"{kernel}, privileged", peer.outcomes(here), peer.outcomes(there))


@pytest.mark.parametrize("kernel", peer.ORDINARY)
def test_ordinary(log, ordinary_guests, kernel):
    there = peer.run_there(log, "builder", "builder.elf vcpus=2", f"{kernel}.elf")
    prefix = f"[{kernel}] "
    here = "\n".join(line.removeprefix(prefix) for line in ordinary_guests.splitlines() if line.startswith(prefix))
    check(kernel, peer.outcomes(here), peer.outcomes(there, guest=True))
    assert "PASS guest.ended" in there


def test_linear_page_tables(log, tmp_path):
    """By configuration here, by default there."""
    file = tmp_path / "linear.launch"
    file.write_text("[basics]\nkernel = basics.elf\nmemory = 32M\ncmdline = only=linear linear=on\nlinear_page_tables = yes\n")
    there = peer.run_there(log, "basics", "basics.elf only=linear linear=on")
    here = peer.run_here(f"{log}.here.log", file, "basics.elf").replace("[basics] ", "")
    assert peer.outcomes(here)["linear.root"] == "PASS"
    check("linear tables", peer.outcomes(here), peer.outcomes(there))
