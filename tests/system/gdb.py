# SPDX-License-Identifier: MIT
"""QEMU's gdbstub over a socket: the few packets that tests need."""
import socket
import time

# Numbers of x86-64's registers in the stub's answers.
RSP, RIP = 7, 16


class Stub:
    """A machine that was started with `-chardev socket,path=...,server=on,wait=off,id=gdb -gdb chardev:gdb -S`."""

    def __init__(self, path, timeout=60):
        deadline = time.monotonic() + timeout
        self.socket = socket.socket(socket.AF_UNIX)
        while True:
            try:
                self.socket.connect(str(path))
                break
            except (FileNotFoundError, ConnectionRefusedError):
                assert time.monotonic() < deadline, f"no gdbstub at {path}"
                time.sleep(0.05)
        self.socket.settimeout(timeout)
        self.data = b""

    def send(self, text):
        body = text.encode()
        self.socket.sendall(b"$" + body + b"#%02x" % (sum(body) % 256))

    def receive(self):
        while True:
            start, end = self.data.find(b"$"), self.data.find(b"#")
            if start >= 0 and end >= start and len(self.data) >= end + 3:
                packet, self.data = self.data[start + 1:end].decode(), self.data[end + 3:]
                self.socket.sendall(b"+")
                return packet
            more = self.socket.recv(65536)
            if not more:
                raise EOFError("the machine ended")
            self.data += more

    def ask(self, text):
        self.send(text)
        return self.receive()

    def set_breakpoint(self, address):
        assert self.ask(f"Z0,{address:x},1") == "OK"

    def clear_breakpoint(self, address):
        assert self.ask(f"z0,{address:x},1") == "OK"

    def step_over(self, address):
        """One instruction, at a breakpoint."""
        self.clear_breakpoint(address)
        self.ask("s")
        self.set_breakpoint(address)

    def monitor(self, command):
        """Runs a command of QEMU's monitor; returns what it printed."""
        output, reply = "", self.ask("qRcmd," + command.encode().hex())
        while reply != "OK":
            assert reply.startswith("O"), reply
            output += bytes.fromhex(reply[1:]).decode()
            reply = self.receive()
        return output

    def go(self):
        """Runs until something stops the machine; returns the address it is at."""
        reply = self.ask("c")
        if reply[:1] in ("W", "X"):
            raise EOFError("the machine ended")
        return self.register(RIP)

    def register(self, number):
        return int.from_bytes(bytes.fromhex(self.ask("g"))[8 * number:8 * number + 8], "little")

    def write_byte(self, address, value):
        """Whatever the page tables allow."""
        assert self.ask(f"M{address:x},1:{value:02x}") == "OK"

    def word(self, address):
        return int.from_bytes(bytes.fromhex(self.ask(f"m{address:x},8")), "little")
