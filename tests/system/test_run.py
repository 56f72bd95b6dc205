# SPDX-License-Identifier: MIT
"""`make run` as a user without a terminal sees it: all guests of the demonstration come up, and the status is 0."""
import os
import subprocess

import qemu


def test_demo(tmp_path):
    environment = dict(os.environ, BUILD=str(qemu.BUILD), PARAVANE_CACHE=str(qemu.CACHE), TIMEOUT="240", APPEND="color=off")
    result = subprocess.run([qemu.ROOT / "scripts" / "run"], env=environment, stdin=subprocess.DEVNULL, text=True,
                            capture_output=True, timeout=300, check=False)
    assert result.returncode == 0, result.stderr + "\n".join(result.stdout.splitlines()[-40:])
    for guest in ("debian-6.1", "debian-6.12", "debian-cloud"):
        assert f"[{guest}] READY {guest}: linux" in result.stdout
    assert "paravane: all guests ready" in result.stdout
