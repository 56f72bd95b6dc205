# SPDX-License-Identifier: MIT
"""An emulator's process with its serial line in our hands, always with a time limit. qemu.py and tests/bochs make machines of it."""
import re
import termios
import time
from pathlib import Path

import pexpect

ESCAPES = re.compile(r"\x1b\[[0-9;]*m|\r")


def plain_terminal():
    """In the emulator's process: its standard output's terminal adds no carriage returns."""
    attributes = termios.tcgetattr(1)
    attributes[1] &= ~termios.ONLCR
    termios.tcsetattr(1, termios.TCSANOW, attributes)


class Emulator:
    """One run of a program whose terminal is the machine's serial line. The first line of its log is the command."""

    def __init__(self, log, command, panics=False):
        self.panics = panics  # meant to: else a panic fails the test
        self.log_path = Path(log)
        self.logs = [self.log_path]  # files that stay only if the test fails
        self.log_file = open(self.log_path, "w", encoding="utf-8", errors="replace", newline="")
        self.log_file.write(f"$ {' '.join(repr(c) if ' ' in c else c for c in command)}\n")
        self.started = time.monotonic()
        self.process = pexpect.spawn(command[0], command[1:], timeout=60, encoding="utf-8", codec_errors="replace",
                                     echo=False, maxread=65536, preexec_fn=plain_terminal)
        self.process.logfile_read = self.log_file
        self.process.delaybeforesend = None

    @property
    def text(self):
        """All output so far, without escape sequences."""
        if not self.log_file.closed:
            self.log_file.flush()
        with open(self.log_path, encoding="utf-8", errors="replace", newline="") as log:
            return ESCAPES.sub("", log.read().partition("\n")[2])

    def expect(self, pattern, timeout=60):
        """Waits for a pattern on the serial line; returns the match. The emulator's end or the time limit fails the test."""
        try:
            self.process.expect(pattern, timeout=timeout)
        except (pexpect.EOF, pexpect.TIMEOUT) as problem:
            what = "the emulator ended" if isinstance(problem, pexpect.EOF) else f"{timeout} seconds went by"
            raise AssertionError(f"{what} before {pattern!r}; the end of the output:\n{self.tail()}") from None
        return self.process.match

    def wait_end(self, timeout=60):
        """Waits until the machine is off; returns all output."""
        try:
            self.process.expect(pexpect.EOF, timeout=timeout)
        except pexpect.TIMEOUT:
            raise AssertionError(f"the machine was not off after {timeout} s; the end:\n{self.tail()}") from None
        self.process.close()
        self.check_exit()
        return self.text

    def check_exit(self):
        status = self.process.exitstatus
        assert status == 0, f"{self.process.command} ended with {status}, signal {self.process.signalstatus}"

    def tail(self, lines=30):
        return "\n".join(self.text.splitlines()[-lines:])

    def send(self, text):
        self.process.send(text)

    def key(self, char):
        """A key of the host's menu."""
        self.send("\x1d" + char)

    def kill(self):
        """Ends this process, and waits for it."""
        if self.process.isalive() and not self.process.terminate(force=True):
            self.process.wait()  # killed, but a busy machine takes its time over it
        self.process.close(force=True)
        self.log_file.close()
