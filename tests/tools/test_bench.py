# SPDX-License-Identifier: MIT
"""What the benches make of what was measured: texts read, ratios the right way round, tables with what there is."""
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bench"))

import crowd  # noqa: E402
import dom0_counts  # noqa: E402
import dom0_page  # noqa: E402
import dom0_rows  # noqa: E402
import dom0_session  # noqa: E402
import plot  # noqa: E402

RUNS = {
    "xen": [{"save": 4.0, "dom0-guest.stream": 10.0, "free.0": 1000}, {"save": 6.0, "dom0-guest.stream": 20.0, "free.0": 3000}],
    "paravane": [{"save": 2.0, "dom0-guest.stream": 30.0, "free.0": 500}, {"save": 12.0, "dom0-guest.stream": 10.0, "free.0": 700}],
}


def test_the_meters_lines():
    text = "rate 12.500 MB/s\nrequest 500 1.0 2.5 3.0 9.0 70.5\n"
    assert dom0_rows.rate(text) == 12.5
    assert dom0_rows.durations(text, "request") == {"count": 500, "min": 1.0, "median": 2.5, "mean": 3.0, "p99": 9.0, "max": 70.5}


def test_pings_have_their_spread_and_their_losses():
    rows = dom0_rows.pings(lambda command: "263 0.4 0.5 0.6\n", "p", "192.168.77.31", count=5)
    assert (rows["p.first"], rows["p.min"], rows["p.max"], rows["p.median"], rows["p.lost"]) == (263000, 400, 263000, 550, 1)


def test_percentile_stays_within():
    assert dom0_rows.percentile([5, 1, 3], 0.99) == 5
    assert dom0_rows.percentile(range(1000), 0.99) == 990


def test_ratios_say_how_many_times_as_fast():
    assert dom0_page.ratios(RUNS, "save", "s") == [2.0, 0.5]
    assert dom0_page.ratios(RUNS, "dom0-guest.stream", "MB/s") == [3.0, 0.5]
    assert dom0_page.ratios(RUNS, "not.there", "s") == []


def test_a_run_without_its_partner_counts_for_nothing():
    runs = {"xen": RUNS["xen"], "paravane": RUNS["paravane"][:1]}
    assert dom0_page.ratios(runs, "save", "s") == [2.0]


def test_tables_have_only_what_was_measured():
    assert dom0_page.lines(RUNS, [("save", "xl save", "s"), ("restore.xl", "xl restore", "s")]) == [["xl save", "5.00 s", "0.50 1.25 2.00"]]
    assert dom0_page.memory_lines(RUNS)[0][1:] == ["2,000", "600"]


def test_every_row_of_the_page_has_a_name_of_its_own():
    keys = [key for _, rows in dom0_page.TABLES for key, _, _ in rows]
    assert len(keys) == len(set(keys))


def test_blocks_and_marked_instructions_are_told_apart(tmp_path):
    file = tmp_path / "blocks"
    file.write_text("ffffffff81000000 3 7\n+in ffffffff81000004 5\n+in ffffffff81000004 2\n")
    blocks, marks = dom0_counts.read(file)
    assert blocks == [(0xffffffff81000000, 3, 7)] and marks == {("in", 0xffffffff81000004): 7}


class Profile:
    """One hypervisor's range, a kernel's function that looks at the timer chip, and one that does not."""
    by_part = {"hypervisor": 10, "user": 5}
    entries = {("guest kernel", "exc_page_fault"): 4, ("hypervisor", "exc_page_fault"): 9}

    class symbols:
        @staticmethod
        def find(address):
            return ("quick_pit_calibrate" if address < 0x2000 else "other", False)

    @staticmethod
    def part(address):
        return "hypervisor" if address >= 0x9000 else "guest kernel"


def test_counts_are_of_the_part_that_is_meant():
    marks = {("in", 0x1000): 100, ("in", 0x2000): 1, ("in", 0x9000): 50, ("iret", 0x9000): 7, ("iret", 0x1000): 3, ("sysret", 0x9010): 2}
    rows = dom0_counts.summary(Profile, marks)
    assert (rows["in"], rows["in.pit"], rows["returns"], rows["faults"], rows["instructions"]) == (101, 100, 9, 4, 15)


def test_counts_beside_each_other():
    counts = {"xen": {"boot": {"returns": 200, "repaired": 10}}, "paravane": {"boot": {"returns": 50}}}
    lines = dom0_counts.lines(counts, "boot")
    assert [line[1:] for line in lines] == [["200", "50", "0.25x"], ["10", "0", "0.00x"]]


def test_durations_in_instructions_need_both():
    counts = {"xen": {"times": {"destroy.bare": 2.0, "create.a.xl": 1.0}}, "paravane": {"times": {"destroy.bare": 1.0}}}
    assert dom0_page.instruction_times(counts) == [["Guests: `xl destroy`, no devices", "2.00 s", "1.00 s", "2.00"]]


@pytest.mark.parametrize("name", dom0_session.GUESTS)
def test_guests_have_what_their_rows_need(name):
    config = dom0_session.guest_config(name, dom0_session.GUESTS[name])
    assert ("\nvif =" in config, "\ndisk =" in config) == (name != "bare", name == "a")


def test_the_line_at_one_says_what_it_is():
    assert ">Xen 4.17</text>" in plot.bars("t", ["n"], [("row", [2.0])], "Xen 4.17")


def test_the_crowds_lines():
    text = "| 0 BENCH null_hypercall 400 ns 401 cycles\n| 0 BENCH ping_pong_guests 9000 ns 9001 cycles\n"
    assert crowd.costs(text) == {"null_hypercall": (400, 401), "ping_pong_guests": (9000, 9001)}
    assert crowd.arguments("pair", ["ping", "pong"]) == "pair -- ping -- pong"
    with pytest.raises(crowd.Failure):
        crowd.costs(text.splitlines()[0])


def test_shares_are_of_what_is_due():
    found = crowd.SHARE.findall("BENCH share weight 100: 25 ns of 100\nBENCH share weight 300: 75 ns of 100\n")
    assert crowd.due(found) == {100: 1.0, 300: 1.0}
    assert crowd.due([("100", "50", "1"), ("300", "50", "1")]) == {100: 2.0, 300: pytest.approx(2 / 3)}
