# SPDX-License-Identifier: MIT
"""Launch files: what is wrong is said with file, line and key, the rest starts; policies when guests end."""
import re

BAD = """[good]
kernel = hello.elf
memory = 16M

[typo]
kernel = hello.elf
memroy = 16M

[missing]
kernel = nothing.elf

[greedy]
kernel = hello.elf
memory = 100G

[far]
kernel = hello.elf
memory = 16M
pin = 7

[text]
kernel = test.launch
memory = 16M

[last]
kernel = hello.elf
memory = 16M
"""


def test_what_is_wrong_is_said_and_the_rest_starts(boot, launch):
    text = boot(launch(BAD), "hello.elf").wait_end()
    for line, key in ((7, "memroy"), (10, "kernel"), (14, "memory"), (19, "pin")):
        assert re.search(rf"test\.launch:{line}: {key}.*: expected .*, found ", text) or \
            re.search(rf"test\.launch:{line}: .*{key}", text), f"no message for line {line}, {key}"
    assert text.count("left out)") == 4
    assert re.search(r"guest text can't start: ", text)
    assert text.count("RESULT hello: 1 passed") == 2


def test_restart_policies(boot, launch):
    file = launch("[again]\nkernel = rebooter.elf\nmemory = 16M\nrestart_limit = 3\n\n"
                  "[once]\nkernel = rebooter.elf\nmemory = 16M\non_reboot = halt\n\n"
                  "[crashing]\nkernel = crash.elf\nmemory = 16M\non_crash = restart\nrestart_limit = 2\n\n"
                  "[ending]\nkernel = hello.elf\nmemory = 16M\non_end = restart\nrestart_limit = 1\n\n"
                  "[fallen]\nkernel = crash.elf\nmemory = 16M\n")
    text = boot(file, "rebooter.elf", "crash.elf", "hello.elf").wait_end()
    seen = {name: text.count(f"[{name}] {line}") for name, line in
            (("again", "rebooter:"), ("once", "rebooter:"), ("crashing", "crash: shutdown"), ("ending", "RESULT hello"),
             ("fallen", "crash: shutdown"))}
    assert seen == {"again": 4, "once": 1, "crashing": 3, "ending": 2, "fallen": 1}
    assert "guest again: its restart limit of 3 is reached" in text


def test_restarts_leak_no_memory(boot, launch):
    """A hundred restarts of a guest that takes a third of the memory."""
    file = launch("[again]\nkernel = rebooter.elf\nmemory = 80M\nvcpus = 2\nrestart_limit = 100\n")
    text = boot(file, "rebooter.elf", memory=256).wait_end(120)
    assert text.count("[again] rebooter: rebooting, 2 records moved") == 101


def test_privileged_guest_takes_the_host_along(boot, launch):
    file = launch("[boss]\nkernel = hello.elf\nmemory = 16M\nprivileged = yes\n\n"
                  "[worker]\nkernel = spin.elf\nmemory = 16M\n")
    text = boot(file, "hello.elf", "spin.elf").wait_end()
    assert "RESULT hello: 1 passed" in text


def test_batch_ends_when_all_are_ready(boot, launch):
    file = launch("[a]\nkernel = hello.elf\ncmdline = stay\nmemory = 16M\nready = hello: TSC\n\n"
                  "[b]\nkernel = spin.elf\nmemory = 16M\nready = work=\n")
    text = boot(file, "hello.elf", "spin.elf", append="batch").wait_end()
    assert "paravane: all guests ready" in text
    assert re.search(r"\b1\s+a\s+\w+\s+1\s+16 M", text), "no table of guests"


def test_many_guests(boot, launch):
    """Forty guests at once, each with its own command line and its own memory."""
    file = launch("".join(f"[g{i}]\nkernel = hello.elf\ncmdline = number={i}\nmemory = 8M\n\n" for i in range(40)))
    text = boot(file, "hello.elf", memory=1024).wait_end(120)
    for i in range(40):
        assert f'[g{i}] hello: 8192 KiB' in text and f'command line "number={i}"' in text
        assert f"[g{i}] RESULT hello: 1 passed" in text
