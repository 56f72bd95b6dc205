# SPDX-License-Identifier: MIT
"""The user-space tools, run as a user runs them: every compression, every way an image can be wrong."""
import bz2
import gzip
import lzma
import os
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

TOOLS = Path(os.environ.get("BUILD", "build")) / "tools"
ROOT = Path(__file__).resolve().parents[2]


def run(tool, *args):
    program = TOOLS / tool
    if not program.exists():
        pytest.skip(f"{program} is not built")
    return subprocess.run([program, *map(str, args)], capture_output=True, text=True, timeout=60)


def make_elf(machine=62):
    header = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HH", 2, machine) + bytes(44)
    return header + b"kernel text " * 1000


def make_bzimage(payload, magic=b"HdrS", version=0x20F, length=None, setup_sects=2):
    header = bytearray((setup_sects + 1) * 512)
    header[0x1F1] = setup_sects
    header[0x202:0x206] = magic
    struct.pack_into("<H", header, 0x206, version)
    struct.pack_into("<II", header, 0x248, 16, len(payload) if length is None else length)
    return bytes(header) + bytes(16) + payload + bytes(64)


def filter_with(*command):
    def compress(data):
        if not shutil.which(command[0]):
            pytest.skip(f"{command[0]} is not installed")
        return subprocess.run(command, input=data, capture_output=True, check=True).stdout
    return compress


COMPRESSIONS = {
    "gzip": gzip.compress,
    "xz": lambda data: lzma.compress(data, lzma.FORMAT_XZ, check=lzma.CHECK_CRC32),
    "lzma": lambda data: lzma.compress(data, lzma.FORMAT_ALONE),
    "bzip2": bz2.compress,
    "zstd": filter_with("zstd", "-c", "-q"),
    "lz4": filter_with("lz4", "-l", "-c", "-q"),
}


@pytest.mark.parametrize("name", COMPRESSIONS)
def test_unpack_each_compression(tmp_path, name):
    elf = make_elf()
    # Linux appends the unpacked size to the compressed stream.
    payload = COMPRESSIONS[name](elf) + (b"" if name == "gzip" else struct.pack("<I", len(elf)))
    (tmp_path / "image").write_bytes(make_bzimage(payload))
    result = run("paravane-unpack", tmp_path / "image", tmp_path / "out")
    assert (result.returncode, result.stderr) == (0, "")
    assert (tmp_path / "out").read_bytes() == elf


@pytest.mark.parametrize("name", COMPRESSIONS)
def test_unpack_cut_short(tmp_path, name):
    payload = COMPRESSIONS[name](make_elf())
    (tmp_path / "image").write_bytes(make_bzimage(payload[: len(payload) // 2]))
    result = run("paravane-unpack", tmp_path / "image", tmp_path / "out")
    assert result.returncode == 1
    assert "the compressed data" in result.stderr or "not an ELF file" in result.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["image"]


def test_unpack_passes_elf_through(tmp_path):
    (tmp_path / "image").write_bytes(make_elf())
    assert run("paravane-unpack", tmp_path / "image", tmp_path / "out").returncode == 0
    assert (tmp_path / "out").read_bytes() == make_elf()


@pytest.mark.parametrize("image, message", [
    (b"", "no bzImage, no ELF file"),
    (b"hello\n" * 500, "no bzImage, no ELF file"),
    (make_bzimage(b"x" * 99), "no compression known"),
    (make_bzimage(gzip.compress(make_elf()), version=0x207), "older than 2.08"),
    (make_bzimage(gzip.compress(make_elf()), length=1 << 30), "outside the file"),
    (make_bzimage(b"", length=0), "outside the file"),
    (make_bzimage(gzip.compress(b"text")), "not an ELF file"),
    (make_bzimage(gzip.compress(make_elf(machine=40))), "not for x86-64"),
    (make_elf(machine=3), "not for x86-64"),
])
def test_unpack_refuses(tmp_path, image, message):
    (tmp_path / "image").write_bytes(image)
    result = run("paravane-unpack", tmp_path / "image", tmp_path / "out")
    assert result.returncode == 1
    assert message in result.stderr and str(tmp_path / "image") in result.stderr
    assert not (tmp_path / "out").exists()


def test_unpack_missing_file(tmp_path):
    result = run("paravane-unpack", tmp_path / "image", tmp_path / "out")
    assert result.returncode == 1 and "No such file" in result.stderr


@pytest.mark.parametrize("tool", ["paravane-unpack", "paravane-launch-check"])
def test_help_and_usage(tool):
    assert "SYNOPSIS" in run(tool, "--help").stdout
    assert run(tool).returncode == 2


def test_launch_check(tmp_path):
    launch = tmp_path / "demo.launch"
    launch.write_text("[a]\nkernel = k\nramdisk = r\n[b]\nkernel = k\n[c]\nkernel = k\nweight = 0\n")
    result = run("paravane-launch-check", launch)
    assert result.returncode == 1
    assert f"{launch}:8: weight: expected a number from 1 to 65535, found \"0\" (guest c left out)" in result.stderr
    assert result.stdout.startswith("a: kernel k, ramdisk r, 256M, 1 vCPU\nb: ")
    result = run("paravane-launch-check", launch, "some/where/k console=hvc0")
    assert f"{launch}:3: ramdisk: expected the name of a boot module" in result.stderr
    assert run("paravane-launch-check", "--names", launch).stdout == "k\nr\n"
    assert run("paravane-launch-check", tmp_path / "none").returncode == 2


@pytest.mark.parametrize("launch", sorted((ROOT / "examples").glob("*.launch")), ids=lambda p: p.name)
def test_examples_are_good(launch):
    result = run("paravane-launch-check", launch)
    assert (result.returncode, result.stderr) == (0, "")
