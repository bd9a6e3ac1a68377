"""Runs side by side."""

import copy

import pytest

from ee_jax.errors import UserError
from ee_jax.report import text
from ee_jax.report.compare import comparison
from ee_jax.report.render import to_csv, to_markdown
from tests.report.conftest import made


def test_one_line_a_run_and_strategy(results):
    """At most 1 point lost: joint's 0.62 (1.70, 1.50); frozen's only early stop loses 5."""
    cells = comparison([made(results)]).cells()
    full = ["0123456789ab", "3.11.7"]
    assert cells == [
        [
            "quickstart",
            "joint",
            "accuracy %",
            "83.0",
            "1.70",
            "3.20/6",
            "1.50",
            "3.20/6",
            *full,
        ],
        ["quickstart", "frozen", "accuracy %", "71.0", *["no gain", text.DASH] * 2, *full],
    ]


@pytest.mark.parametrize(
    ("tolerance", "speedups"), [(0.008, (1.4, None)), (0.01, (1.7, 1.5)), (0.2, (2.25, 1.8))]
)
def test_the_best_point_obeys_the_tolerance(results, tolerance, speedups):
    row = comparison([made(results)], tolerance).rows[0]
    assert (row["measured_speedup_b1"], row["measured_speedup_b32"]) == speedups


def test_the_same_data_and_device_are_comparable(results):
    assert len(comparison([made(results), made(results)]).notes) == 1


@pytest.mark.parametrize(
    ("field", "value", "note"),
    [("version", "3.12.1", "3.12.1"), ("checksum", {"test": "def"}, "(checksum test def)")],
)
def test_other_data_are_named(results, field, value, note):
    other = copy.deepcopy(results)
    other["data"][field] = value
    (said,) = comparison([made(results), made(other)]).notes[1:]
    assert said.startswith("Not comparable, the data differ: stdlib_docstrings 3.11.7 (")
    assert note in said


def test_another_device_is_named(results):
    other = results | {"device": "1 x gpu: Other"}
    (said,) = comparison([made(results), made(other)]).notes[1:]
    assert said == (
        "Speed is not comparable, devices or precisions differ: "
        "2 x cpu: Example, float32; 1 x gpu: Other, float32."
    )
    assert said in to_markdown(comparison([made(results), made(other)]))


def test_a_batch_that_only_one_run_timed(results):
    other = copy.deepcopy(results)
    for strategy in other["strategies"].values():
        for point in strategy["points"]:
            del point["measured_speedup"]["1"]
    table = comparison([made(results), made(other)])
    assert table.cells()[2][4:6] == [text.DASH, text.DASH]
    assert (
        to_csv(table)
        .splitlines()[3]
        .startswith("quickstart,joint,accuracy,0.83,6,,,,,,,0.62,0.62,3.2,-1.0,True,1.5")
    )


def test_the_points_that_a_calibration_chose(results):
    """ltt 5 % chose joint's 0.62, ltt 2 % its full model; frozen has none."""
    table = comparison([made(results)], calibration="ltt 5 %")
    assert table.columns[4].heading == "ltt 5 % batch 1"
    assert table.cells()[0][4:8] == ["1.70", "3.20/6", "1.50", "3.20/6"]
    assert table.cells()[1][4:6] == [text.DASH, text.DASH]
    full = comparison([made(results)], calibration="ltt 2 %").cells()[0]
    assert full[4:8] == ["no gain", "6.00/6", "no gain", "6.00/6"]


def test_an_unknown_calibration_is_one_line(results):
    known = "empirical 1 %, ltt 2 %, ltt 5 %"
    with pytest.raises(UserError, match=f"no calibration `ltt` in .* choose from {known}"):
        comparison([made(results)], calibration="ltt")
