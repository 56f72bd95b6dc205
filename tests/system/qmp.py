# SPDX-License-Identifier: MIT
"""QEMU's own monitor, for what is seen from outside of the machine: its screen and its memory."""
import json
import re
import socket


def options(path):
    return ["-qmp", f"unix:{path},server=on,wait=off"]


class Monitor:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        self.socket.connect(str(path))
        self.lines = self.socket.makefile("r")
        self.lines.readline()
        self.command("qmp_capabilities")

    def command(self, name, **arguments):
        self.socket.sendall(json.dumps({"execute": name, "arguments": arguments}).encode() + b"\n")
        while True:
            answer = json.loads(self.lines.readline())
            assert "error" not in answer, answer
            if "return" in answer:
                return answer["return"]

    def text_screen(self):
        """The characters in the memory of a VGA's text mode, lines of it that scrolled away included."""
        words = self.command("human-monitor-command", **{"command-line": "xp /16384hx 0xb8000"})
        return "".join(chr(int(word, 16) & 0xff) for word in re.findall(r"0x([0-9a-f]{4})\b", words))

    def picture(self, path):
        """(width, height, bytes of red, green and blue) of what the screen shows; path: of a file to use."""
        self.command("screendump", filename=str(path))
        magic, size, _, pixels = path.read_bytes().split(b"\n", 3)
        assert magic == b"P6"
        width, height = map(int, size.split())
        return width, height, pixels
