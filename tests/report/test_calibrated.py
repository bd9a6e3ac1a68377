"""What calibration promised, beside what the test split gave."""

import pytest

from ee_jax.report import text
from ee_jax.report.calibrated import calibration_table
from ee_jax.report.render import to_csv
from tests.report.conftest import made

NONE = text.DASH


def test_a_row_for_each_calibration(results):
    """Risks in percent; the accuracy gained on the calibration split is a risk below 0."""
    table = calibration_table(made(results))
    gained = f"{text.MINUS}0.5"
    assert table.cells() == [
        [
            "joint",
            "empirical 1 %",
            "accuracy lost",
            NONE,
            NONE,
            "0.62",
            gained,
            "3.30",
            "1.0",
            "3.20",
        ],
        [
            "joint",
            "ltt 2 %",
            "consistency",
            "0.0",
            "5 %",
            "full model",
            "0.0",
            "6.00",
            "0.0",
            "6.00",
        ],
        [
            "joint",
            "ltt 5 %",
            "consistency",
            "5.0",
            "5 %",
            "0.62",
            "2.0",
            "3.30",
            "25.0",
            "3.20",
        ],
    ]


def test_the_notes_say_what_was_promised_and_what_to_beware_of(results):
    ltt = "what ltt promises. Its risk: answers unlike the full model's."
    notes = calibration_table(made(results)).notes
    assert notes == (
        "empirical 1 % promises: what empirical promises. "
        "Its risk: accuracy lost against the full model's.",
        f"ltt 2 % promises: {ltt}",
        f"ltt 5 % promises: {ltt}",
        "joint, ltt 2 %: too few: using the full model.",
    )


def test_a_search_that_ended_at_the_edge_is_told_once(results):
    for choice in results["strategies"]["joint"]["calibrated"][::2]:
        choice["ended"] = "edge of the grid"
    told = calibration_table(made(results)).notes[-2]
    assert told == (
        "joint, empirical 1 %; joint, ltt 5 %: even the lowest threshold tried was accepted."
    )


def test_thresholds_of_each_exit_are_a_range(results):
    choice = results["strategies"]["joint"]["calibrated"][2]
    choice |= {"threshold": 0.4, "threshold_E": [0.4, 0.9, 0.55, 1.0]}
    assert calibration_table(made(results)).cells()[2][5] == "0.40 to 0.90"
    assert '0.4,"0.4, 0.9, 0.55, 1.0"' in to_csv(calibration_table(made(results)))


@pytest.mark.parametrize(
    ("labels", "shown"),
    [
        ([], []),
        (["ltt 2 %", "crc 5 %", "ltt 5 %"], ["ltt 2 and 5 %", "crc 5 %"]),
        (["recorded ltt 5 %", "budget 4 blocks"], ["recorded ltt 5 %", "budget 4 blocks"]),
    ],
)
def test_labels_name_a_method_once(results, labels, shown):
    joint = results["strategies"]["joint"]
    of = [label.rsplit(" ", 2) for label in labels]
    parts = [dict(zip(("kind", "amount", "unit"), each, strict=True)) for each in of]
    joint["calibrated"] = [
        joint["calibrated"][0] | {"label": label} | each
        for label, each in zip(labels, parts, strict=True)
    ]
    joint["points"][0]["calibrated_for"] = labels
    strategy = made(results).strategies["joint"]
    assert text.calibrations(strategy.points[0], strategy) == shown
