#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Many guests of every kind at once, for a long time: Linux under stress, hostile and fuzzing kernels, kernels that crash and
reboot and are started again, and witnesses. Nobody who should get on stands still, no check fails, the hypervisor does not,
and when all guests are ended, all memory is there again. Exit status 0: all this held.

    check_long.py SECONDS [REPORT.md]

SIGTERM ends it before its time, in good order: the page has the time that it took.

Environment: APPEND, more options of the hypervisor; HYPERVISOR, another build of it.
"""
import os
import re
import signal
import sys
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "system"))
import pexpect  # noqa: E402
import qemu  # noqa: E402

import guests  # noqa: E402
import report  # noqa: E402

CPUS, MEMORY = 2, 4096
END_LIMIT = 300  # seconds that ending all guests may take
SAMPLE, TABLE = 15, 60  # seconds between looks at free memory, and at the table of guests
GUEST_LINE = re.compile(r"^\[([\w.+-]+)\] (.*)$")
END_LINE = re.compile(r"^paravane: guest (\S+) (powered off|asked for a restart|suspended|crashed|watchdog|ended)$")
INFO_LINE = re.compile(r"-- \d+ CPUs, \d+ guests, (\d+) KiB free, up (\d+)\.\d+ s; (\d+) KiB in (\d+) guests that run")
TABLE_LINE = re.compile(r"^.\s*\d+  (\S+)\s+(running|idle|paused|dying|crashed|ended|none) ")


class Failure(Exception):
    """What ended the run."""


def overdue(_signal, frame):
    where = " < ".join(f"{entry.name}:{entry.lineno}" for entry in reversed(traceback.extract_stack(frame)))
    raise Failure(f"the run did not end when it should have; it was in {where}")


class Run:
    def __init__(self, seconds, page):
        self.seconds, self.asked, self.page, self.over = seconds, seconds, page, False
        self.guests = {g.name: g for g in guests.everybody()}
        self.samples, self.problems, self.crashes = [], [], {}
        self.counters, self.counted, self.table_name = {}, {}, None
        self.fuzz_calls = self.fuzz_accepted = 0
        self.first_free = self.last_free = None
        self.rest = ""
        self.started = time.monotonic()
        directory = qemu.BUILD / "long"
        directory.mkdir(parents=True, exist_ok=True)
        launch = directory / "long.launch"
        launch.write_text("".join(g.section for g in self.guests.values()))
        modules = sorted({m for g in self.guests.values() for m in g.modules})
        self.options, self.revision = os.environ.get("APPEND", ""), report.revision()
        self.hypervisor = os.environ.get("HYPERVISOR", str(qemu.BUILD / "paravane"))
        self.machine = qemu.Machine(directory / "long.log", [launch, *modules], append=self.options, smp=CPUS, memory=MEMORY,
                                    kernel=self.hypervisor)

    def elapsed(self):
        return time.monotonic() - self.started

    # --- what comes from the serial line ---

    def read(self, seconds=1.0):
        """Takes what is there, or comes within so long; False when QEMU has ended."""
        try:
            text = self.machine.process.read_nonblocking(1 << 16, timeout=seconds)
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            return False
        *lines, self.rest = (self.rest + text.replace("\r", "")).split("\n")
        for line in lines:
            self.take(line)
        return True

    def read_for(self, seconds):
        """All that comes in so long. Keys wait for it: a terminal whose output nobody takes takes no input either."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if not self.read(left):
                return False
        return True

    def take(self, line):
        if qemu.HOST_FAILURES.match(line):
            raise Failure(f"the hypervisor itself failed: {line}")
        for pattern, take in ((GUEST_LINE, self.take_guest), (END_LINE, self.take_end), (INFO_LINE, self.take_info),
                              (TABLE_LINE, self.take_table)):
            found = pattern.search(line)
            if found:
                take(*found.groups())
                return
        self.take_other(line)

    def take_guest(self, name, text):
        guest = self.guests.get(name)
        if not guest:
            return
        if guest.sign.search(text):
            guest.last = self.elapsed()
        if text.startswith("RESULT"):
            guest.results += 1
        if re.match(r"FAIL |SURVIVED " if guest.crashes else r"FAIL |SURVIVED |PANIC ", text):
            self.problems.append(f"{self.elapsed():.0f} s: [{name}] {text}")
        found = re.match(r"INFO fuzz: \d+ actions, (\d+) calls, (\d+) accepted", text)
        if found:
            self.fuzz_calls += int(found[1])
            self.fuzz_accepted += int(found[2])

    def take_end(self, name, how):
        guest = self.guests[name]
        guest.ends += 1
        guest.crashed += how == "crashed"
        if how == "watchdog":
            self.problems.append(f"{self.elapsed():.0f} s: guest {name} fell silent, and its watchdog ended it")

    def take_info(self, free, up, held, running):
        self.samples.append((int(up), int(free), int(held), int(running)))

    def take_table(self, name, _state):
        self.table_name = name

    def take_other(self, line):
        found = re.match(r"^paravane: guest (\S+) crashed: (.*)$", line)
        if found and not self.guests[found[1]].crashes:
            why = re.sub(r"\b[0-9a-f]{6,}\b", "...", found[2])
            self.crashes[(found[1], why)] = self.crashes.get((found[1], why), 0) + 1
        if " restarts in all" in line or "can't start" in line:
            self.problems.append(f"{self.elapsed():.0f} s: {line}")
        found = re.search(r"KiB RAM, (\d+) KiB free", line)
        self.first_free = int(found[1]) if found else self.first_free
        found = re.search(r"no guest is left, (\d+) KiB free", line)
        self.last_free = int(found[1]) if found else self.last_free
        if line.lstrip().startswith("hypercalls ") and self.table_name:
            self.add_counters(self.table_name, dict(zip(*[iter(line.split())] * 2)))

    def add_counters(self, name, now):
        """Counters begin anew when a guest does; what it did between the last look and its end is not counted."""
        before = self.counters.get(name, {})
        again = any(int(now[k]) < int(before.get(k, 0)) for k in now)
        for key, value in now.items():
            self.counted[key] = self.counted.get(key, 0) + int(value) - (0 if again else int(before.get(key, 0)))
        self.counters[name] = now

    # --- what is done and checked ---

    def write_page(self):
        """Also while the run goes on, so that one that is cut short has left something."""
        if self.page:
            Path(self.page).write_text(report.text(self))

    def check_progress(self):
        for guest in self.guests.values():
            silent = self.elapsed() - (guest.last or 0)
            if silent > guest.within:
                raise Failure(f"{guest.name} has shown no progress for {silent:.0f} s")

    def watch(self):
        next_sample, next_table = SAMPLE, TABLE
        while self.elapsed() < self.seconds:
            if not self.read():
                raise Failure(f"QEMU ended, status {self.machine.process.status}")
            if self.elapsed() > next_sample:
                self.machine.key("i")
                next_sample += SAMPLE
            if self.elapsed() > next_table:
                self.machine.key("q")
                next_table += TABLE
                self.write_page()
            self.check_progress()

    def end_all(self):
        """By the host's menu, which also keeps those from starting again that would; some are between two lives."""
        limit = self.elapsed() + END_LIMIT
        while self.last_free is None:
            if self.elapsed() > limit:
                raise Failure("the guests could not all be ended")
            self.machine.key("n")
            self.machine.key("D")
            if not self.read_for(0.3):
                break
        while self.read() and self.elapsed() < limit:
            continue
        if self.last_free != self.first_free:
            raise Failure(f"{self.first_free} KiB were free before the guests, {self.last_free} KiB after them")

    def step(self, action, limit):
        """One part of the run; what keeps it from ending in so many seconds is told, and does not keep the run from ending."""
        signal.signal(signal.SIGALRM, overdue)
        signal.alarm(int(limit))
        try:
            action()
        except Failure as failure:
            self.problems.append(f"{self.elapsed():.0f} s: {failure}")
        finally:
            signal.alarm(0)

    def watch_and_end(self):
        self.watch()
        self.end_all()

    def go(self):
        self.step(self.watch_and_end, self.seconds + 2 * END_LIMIT)
        self.step(self.machine.kill, END_LIMIT)
        self.over = True
        self.write_page()
        return not self.problems


def main():
    run = Run(float(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None)
    signal.signal(signal.SIGTERM, lambda *_: setattr(run, "seconds", 0))
    good = run.go()
    print(report.text(run))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
