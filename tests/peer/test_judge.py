# SPDX-License-Identifier: MIT
"""The judge of check-peer itself: it must see what differs, and what no longer does."""
import fnmatch

import peer

TEXT = f"""### {peer.HEADING}
Words.

| run | check | here | Xen 4.17 | why |
|---|---|---|---|---|
| `k*` | `a.*` | PASS | SKIP | a reason |

## What comes next
| not | a | row | of | it |
"""
TABLE = peer.caveats(TEXT)
RUNS = [f"{k}, privileged" for k in peer.PRIVILEGED] + peer.ORDINARY


def test_table_is_read():
    assert TABLE == [("k*", "a.*", "PASS", "SKIP", "a reason")]


def test_each_row_is_of_a_run():
    assert not [row for row in peer.caveats() if not any(fnmatch.fnmatchcase(run, row[0]) for run in RUNS)]


def test_listed_difference_is_right():
    assert peer.judge("k", {"a.b": ("PASS", "SKIP")}, TABLE) == []


def test_unlisted_difference_is_wrong():
    assert len(peer.judge("k", {"a.b": ("PASS", "SKIP"), "b": ("PASS", "SKIP")}, TABLE)) == 1
    assert len(peer.judge("k", {"a.b": ("PASS", "SKIP"), "a.c": ("PASS", "absent")}, TABLE)) == 1


def test_difference_that_is_gone_is_wrong():
    assert peer.judge("k", {}, TABLE) == ["k: a.*: no longer differs as CAVEATS.md says"]
    assert peer.judge("other", {}, TABLE) == []


def test_difference_by_chance():
    table = [("k", "a", "PASS", "SKIP or PASS", "chance")]
    assert peer.judge("k", {}, table) == peer.judge("k", {"a": ("PASS", "SKIP")}, table) == []
    assert peer.judge("k", {"a": ("PASS", "FAIL")}, table) and peer.judge("k", {"a": ("FAIL", "SKIP")}, table)


def test_outcomes_by_name():
    text = "PASS a\nFAIL b: why\n| PASS c\nPASS a\nSKIP d: why: so\nnoise PASS e\n"
    assert peer.outcomes(text) == {"a": "PASS x2", "b": "FAIL", "d": "SKIP"}
    assert peer.outcomes(text, guest=True) == {"c": "PASS"}


def test_differences_are_those_and_shared_failures():
    here, there = {"a": "PASS", "b": "FAIL", "c": "PASS"}, {"a": "PASS", "b": "FAIL", "d": "PASS x2"}
    assert peer.differences(here, there) == {"b": ("FAIL", "FAIL"), "c": ("PASS", "absent"), "d": ("absent", "PASS x2")}
