# SPDX-License-Identifier: MIT
"""Stock Debian kernels and GRUB, as they come: they boot, work, and end in every way, side by side in few boots."""
import re
import time

KERNELS = ("6.1", "6.12", "cloud")


def linux(name, version, options="", memory=512, **keys):
    lines = "".join(f"{k} = {v}\n" for k, v in keys.items())
    return (f"[{name}]\nkernel = vmlinux-{version}\nramdisk = linux.cpio.gz\nmemory = {memory}M\n"
            f"cmdline = console=hvc0 quiet paravane.name={name} {options}\n{lines}\n")


def ready_line(text, name):
    found = re.search(rf"\[{name}\] READY {name}: linux (\S+), (\d+) CPUs, (\d+) kB", text)
    assert found, f"{name} did not become ready"
    return found[1], int(found[2]), int(found[3])


def test_stress(boot, launch):
    """The stress programs on 6.1 with two vCPUs and on 6.12 with one, at the same time."""
    file = launch(linux("old", "6.1", "paravane.test=stress", vcpus=2) + linux("new", "6.12", "paravane.test=stress"))
    text = boot(file, "vmlinux-6.1", "vmlinux-6.12", "linux.cpio.gz", memory=2048).wait_end(400)
    check_stress(text, (("old", "6.1", 2), ("new", "6.12", 1)))


def test_stress_without_fast_path(boot, launch):
    file = launch(linux("slow", "6.1", "paravane.test=stress", vcpus=2))
    text = boot(file, "vmlinux-6.1", "linux.cpio.gz", append="fastpath=off").wait_end(400)
    check_stress(text, (("slow", "6.1", 2),))


def check_stress(text, guests):
    for name, version, cpus in guests:
        release, nr_cpus, kib = ready_line(text, name)
        assert release.startswith(version) and nr_cpus == cpus and 400 << 10 < kib < 512 << 10
        found = re.search(rf"\[{name}\] RESULT stress: (\d+) passed, (\d+) failed, (\d+) skipped", text)
        assert found, f"no result of {name}"
        failures = [line for line in text.splitlines() if f"[{name}] FAIL" in line]
        assert found[2] == "0" and int(found[1]) >= 40, f"{found[0]} {failures}"


def test_endings(boot, launch):
    """Power off, reboot and panic; each policy is carried out."""
    file = launch(linux("off", "cloud", "paravane.end=poweroff", 256) +
                  linux("again", "6.1", "paravane.end=reboot", 256, restart_limit=1) +
                  linux("dead", "cloud", "paravane.end=panic panic=1", 256, on_crash="halt"))
    text = boot(file, "vmlinux-6.1", "vmlinux-cloud", "linux.cpio.gz", memory=2048).wait_end(240)
    assert text.count("[again] READY") == 2 and "guest again: its restart limit of 1 is reached" in text
    assert re.search(r"guest off powered off", text)
    assert re.search(r"guest dead (crashed|asked for a restart)", text)


def ask_clock(machine):
    """The guest's monotonic clock against ours: the sample with the shortest way there and back of some."""
    best = None
    for _ in range(6):
        sent = time.monotonic()
        machine.send("cut -d' ' -f1 /proc/uptime\r")
        guest = float(machine.expect(r"\n(?:\[\w+\] )?(\d+\.\d\d)\r", 30)[1])
        took = time.monotonic() - sent
        if not best or took < best[0]:
            best = (took, guest, sent + took / 2)
    return best[1], best[2]


def test_shell_date_and_drift(boot, launch):
    file = launch(linux("shell", "6.1", vcpus=2, memory=384) + "[pvgrub]\nkernel = pvgrub\nmemory = 128M\n")
    machine = boot(file, "vmlinux-6.1", "linux.cpio.gz", "pvgrub", memory=1024)
    machine.expect(r"\[shell\] READY shell", 120)
    machine.expect(r"/ # ", 60)
    asked = time.time()
    machine.send("date +now=%s\r")
    guest_date = int(machine.expect(r"now=(\d{9,})", 30)[1])
    assert asked - 3 < guest_date < time.time() + 3, "the CMOS clock has whole seconds"
    guest_start, host_start = ask_clock(machine)
    time.sleep(20)
    guest_end, host_end = ask_clock(machine)
    drift = (guest_end - guest_start) / (host_end - host_start) - 1
    assert abs(drift) < 0.001 + 0.02 / 20, f"drift {drift:.5f} (with 10 ms steps of /proc/uptime)"
    machine.key("2")
    machine.expect(r"input goes to pvgrub", 30)
    machine.send("\r")
    machine.expect(r"grub>", 60)
    machine.key("1")
    machine.expect(r"input goes to shell", 30)
    machine.send("\rpoweroff\r")
    machine.expect(r"guest shell powered off", 60)
