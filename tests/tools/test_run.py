# SPDX-License-Identifier: MIT
"""scripts/run in batch mode, with a stand-in for QEMU: what its exit status and its last words say."""
import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = Path(os.environ.get("BUILD", "build")).resolve() / "tools"
LAUNCH = "[a]\nkernel = k\n\n[b]\nkernel = k\nramdisk = r\n"


@pytest.fixture
def place(tmp_path):
    """A build directory with a hypervisor, two modules and a launch file."""
    checker = TOOLS / "paravane-launch-check"
    if not checker.exists():
        pytest.skip("the tools are not built")
    (tmp_path / "tools").mkdir()
    shutil.copy(checker, tmp_path / "tools")
    for name in ("paravane", "k", "r"):
        (tmp_path / name).write_text("x")
    (tmp_path / "my.launch").write_text(LAUNCH)
    return tmp_path


def run(place, script="", **environment):
    qemu = place / "qemu"
    qemu.write_text(f"#!/bin/sh\n{script}\n")
    qemu.chmod(0o755)
    environment = {"BUILD": place, "QEMU": qemu, "LAUNCH": place / "my.launch", "TIMEOUT": 10, **environment}
    environment = dict(os.environ, **{k: str(v) for k, v in environment.items()})
    arguments = environment.pop("ARGS", "").split()
    return subprocess.run([ROOT / "scripts" / "run", *arguments], env=environment, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=60)


def modules(place, **environment):
    result = run(place, ARGS="--dry-run", **environment)
    assert result.returncode == 0, result.stderr
    words = shlex.split(result.stdout)
    return words[words.index("-initrd") + 1].split(",")


def test_success(place):
    result = run(place, "echo '[a] hello'; echo 'paravane: all guests ready'")
    assert (result.returncode, "[a] hello" in result.stdout) == (0, True)


def test_colour_and_prefix_do_not_matter(place):
    assert run(place, r"printf '\033[1mparavane: all guests ready\033[0m\r\n'").returncode == 0


def test_qemu_ends_too_early(place):
    result = run(place, "echo 'panic: oh no'; exit 3")
    assert result.returncode == 1
    assert "status 3 before all guests were ready; the last line was: panic: oh no" in result.stderr


def test_time_limit(place):
    result = run(place, "echo waiting; exec sleep 30", TIMEOUT=1)
    assert result.returncode == 1 and "not all guests were ready after 1 seconds" in result.stderr


def test_missing_module_fails_in_the_end(place):
    (place / "r").unlink()
    result = run(place, "echo 'paravane: all guests ready'")
    assert result.returncode == 1 and "no module r" in result.stderr and "some could not start" in result.stderr


def test_modules(place):
    assert modules(place) == [str(place / n) for n in ("my.launch", "k", "r")]


def test_guests_picks_sections_and_keeps_line_numbers(place):
    (place / "my.launch").write_text(LAUNCH + "vcpus = 99\n")
    assert modules(place, GUESTS="a") == [str(place / "run" / "my.launch"), str(place / "k")]
    result = run(place, "echo 'paravane: all guests ready'", GUESTS="b")
    assert "my.launch:7: vcpus: expected" in result.stderr and result.returncode == 1
    assert "no section c; the file has a, b" in run(place, GUESTS="c").stderr


def test_launch_file_of_another_name(place):
    (place / "my.launch").rename(place / "guests.txt")
    assert modules(place, LAUNCH=place / "guests.txt")[0] == str(place / "run" / "guests.launch")


def test_no_launch_file(place):
    result = run(place, LAUNCH="none")
    assert result.returncode == 1 and "LAUNCH: no file none" in result.stderr
