"""The tables against text checked by hand."""

import io
import math
from pathlib import Path

import pytest
from rich.console import Console

from ee_jax.report import text
from ee_jax.report.render import Column, Table, to_csv, to_markdown, to_terminal, with_room
from ee_jax.report.report import make_report
from ee_jax.report.tables import exit_table, speed_table
from ee_jax.results import read_results
from tests.report.conftest import made

ROOT = Path(__file__).parents[2]

# The table of conftest.RESULTS, each number worked out by hand: 6 / 2.4 is 2.50, 0.96 of it
# 2.40; 0.70 is 13 points below 0.83. Batch 32 at threshold 0.8 ran at 0.97, full depth at 1.02.
SPEED = """\
| strategy | threshold | chosen by              | accuracy % | against full model | mean\
 depth | ideal speed-up | FLOPs speed-up | measured batch 1 | measured batch 32 |
| -------- | --------- | ---------------------- | ---------: | -----------------: | ---------: |\
 -------------: | -------------: | ---------------: | ----------------: |
| joint    | 0.50      |                        |       70.0 |              −13.0 |       2.40 |\
           2.50 |           2.40 |             2.25 |              1.80 |
| joint    | 0.62      | empirical 1 %, ltt 5 % |       82.0 |               −1.0 |       3.20 |\
           1.88 |           1.80 |             1.70 |              1.50 |
| joint    | 0.80      |                        |       82.2 |               −0.8 |       4.00 |\
           1.50 |           1.44 |             1.40 |     0.97, no gain |
| joint    | 1.00      | full depth, ltt 2 %    |       83.0 |                0.0 |       6.00 |\
           1.00 |           0.96 |    1.02, no gain |     0.96, no gain |
| frozen   | 0.50      |                        |       66.0 |               −5.0 |       4.80 |\
           1.25 |           1.20 |             1.20 |              1.10 |
| frozen   | 1.00      | full depth             |       71.0 |                0.0 |       6.00 |\
           1.00 |           0.96 |    0.99, no gain |     0.95, no gain |
"""  # noqa: E501, RUF001

CSV = """\
strategy,threshold,threshold_E,calibrated_for,chosen_by,accuracy,inconsistency,mean_depth,\
ideal_speedup,flops_speedup,difference,measured_speedup_b1,gains_b1,measured_speedup_b32,gains_b32
joint,0.5,,,,0.7,0.25,2.4,2.5,2.4,-13.0,2.25,True,1.8,True
joint,0.62,,"empirical 1 %, ltt 5 %","empirical 1 %, ltt 5 %",0.82,0.25,3.2,1.875,1.8,\
-1.0,1.7,True,1.5,True
joint,0.8,,,,0.822,0.25,4.0,1.5,1.44,-0.8,1.4,True,0.97,False
joint,1.0,,ltt 2 %,"full depth, ltt 2 %",0.83,0.0,6.0,1.0,0.96,0.0,1.02,False,0.96,False
frozen,0.5,,,,0.66,0.25,4.8,1.25,1.2,-5.0,1.2,True,1.1,True
frozen,1.0,,,full depth,0.71,0.0,6.0,1.0,0.96,0.0,0.99,False,0.95,False
"""


def test_markdown_is_the_table_checked_by_hand(results):
    table, _, note = to_markdown(speed_table(made(results))).partition("\n\n")
    assert table + "\n" == SPEED
    assert "blocks (6) / mean depth" in note


def test_csv_is_raw(results):
    assert to_csv(speed_table(made(results))) == CSV


@pytest.mark.parametrize(
    ("speedup", "shown"),
    [(1.004, "1.00, no gain"), (1.006, "1.01"), (0.5, "0.50, no gain"), (None, text.DASH)],
)
def test_no_gain_is_what_two_decimals_do_not_show(results, speedup, shown):
    results["strategies"]["joint"]["points"][0]["measured_speedup"]["1"] = speedup
    assert speed_table(made(results)).cells()[0][-2] == shown


def test_a_setting_that_never_stops_early_gains_nothing(results):
    """Faster by chance at mean depth 6 of 6 is noise, whatever the threshold."""
    first = results["strategies"]["joint"]["points"][0]
    first |= {"mean_depth": 6.0, "ideal_speedup": 1.0}
    first["measured_speedup"]["1"] = 1.1
    assert speed_table(made(results)).cells()[0][-2] == "1.10, no gain"


def test_batches_are_those_that_were_timed(results):
    for strategy in results["strategies"].values():
        for point in strategy["points"]:
            point["measured_speedup"]["8"] = point["measured_speedup"].pop("1")
    headings = [column.heading for column in speed_table(made(results)).columns]
    assert headings[-2:] == ["measured batch 8", "measured batch 32"]


@pytest.mark.parametrize("unknown", [None, math.nan])
def test_what_could_not_be_computed_is_a_dash_and_an_empty_field(results, unknown):
    results["strategies"]["joint"]["exits"][5]["auroc"] = unknown
    table = exit_table(made(results))
    assert table.cells()[5] == ["joint", "6", "83.0", "0.030", text.DASH, "1.10"]
    assert to_csv(table).splitlines()[6] == "joint,6,0.83,0.03,,1.1"


def test_markdown_escapes_what_would_break_a_table():
    table = Table("t", (Column("a", lambda row: row["a"], is_text=True),), ({"a": "x|<b>\ny"},))
    assert "| x\\|&lt;b> y |" in to_markdown(table)


@pytest.mark.parametrize("name", ["[bold]", "alternating"])
def test_the_terminal_table_fits_80_columns(results, name):
    """Wider than that, rich would cut the last column off. Square brackets are no markup."""
    results["strategies"][name] = results["strategies"].pop("frozen")
    console = Console(width=80, file=io.StringIO(), record=True)
    console.print(to_terminal(speed_table(made(results))))
    shown = console.export_text()
    assert name[:8] in shown
    assert sum(line.count("no gain") for line in shown.splitlines()) == 5
    assert " 32\n" in shown
    assert max(map(len, shown.splitlines())) == 80


@pytest.mark.parametrize(
    "folder",
    [
        "docs/quickstart",
        "experiments/stories260k",
        "experiments/layerskip",
        "experiments/smollm2",
    ],
)
def test_no_terminal_table_breaks_inside_a_word(folder):
    """Every word of a shown column stands whole on a line of 80."""
    results = read_results(ROOT / folder)
    for table in make_report(results).tables.values():
        console = Console(width=80, file=io.StringIO(), record=True)
        console.print(to_terminal(table, 80))
        words = {*console.export_text().split()}
        for column in with_room(table, 80):
            cells = {word for row in table.rows for word in column.show(row).split()}
            assert cells <= {*words, *(f"{word}," for word in words)}, column.heading


@pytest.mark.parametrize("width", range(24, 60))
def test_no_character_is_cut_off_where_all_words_fit(width):
    """At every width from the least on, whatever is wrapped."""
    rows = tuple({"a": text, "b": text[::-1], "c": 1234.5} for text in ("full depth", "x"))
    columns = (
        Column("one", lambda row: row["a"], is_text=True),
        Column("two", lambda row: row["b"] + " empirical 1 %", is_text=True),
        Column("three", lambda row: str(row["c"])),
    )
    console = Console(width=width, file=io.StringIO(), record=True)
    console.print(to_terminal(Table("t", columns, rows, ("a note of some words",)), width))
    lines = console.export_text().splitlines()
    assert max(map(len, lines)) <= width
    assert sum(line.rstrip().endswith("1234.5") for line in lines) == 2
    assert "empirical" in " ".join(lines)


def test_text_that_all_rows_share_is_said_below_where_there_is_no_room():
    results = read_results(ROOT / "experiments" / "smollm2")
    table = make_report(results).tables["table"]
    console = Console(width=80, file=io.StringIO(), record=True)
    console.print(to_terminal(table, 80))
    shown = console.export_text()
    assert "In all rows: strategy distill" in shown
    assert sum(" 1.22" in line for line in shown.splitlines()) == 1, "the last column is there"
    assert len(with_room(table, 200)) == len(table.columns)


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.62, "0.62"), (0.9949, "0.99"), (0.996, "0.996"), (0.99996, "0.99996"), (1.0, "1.00")],
)
def test_a_threshold_below_1_never_reads_as_1(value, shown):
    assert text.threshold(value) == shown


def test_points_have_a_sign_unless_they_round_to_nothing():
    shown = [text.points(value) for value in (-0.04, 0.04, 0.26, -1.0)]
    assert shown == ["0.0", "0.0", "+0.3", f"{text.MINUS}1.0"]
