"""What is said of a choice."""

import pytest

from ee_jax.calibration.choice import Choice
from ee_jax.calibration.conformal import CONFORMAL
from ee_jax.calibration.describe import certified_risk, describe, promise
from ee_jax.calibration.methods import METHODS
from ee_jax.results import Calibrated, from_json, to_json


def choice(method="ltt", threshold: float | tuple[float, ...] = 0.7, level=0.025, delta=0.1):
    return Choice(
        method=method, level=level, delta=delta, threshold=threshold, risk=0.01, depth=3.0,
        examples=100, ended="found",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("method", "said"),
    [
        ("ltt", "risk at most 2.5 % for at least 90 % of calibration sets"),
        ("ucb", "risk at most 2.5 % for at least 90 % of calibration sets"),
        ("crc", "risk at most 2.5 % in the mean over calibration sets"),
        ("empirical", "nothing, the threshold fits the examples it was chosen on"),
        ("budget", "nothing, the threshold fits the examples it was chosen on"),
        ("conformal", "at most 2.5 % of examples with a bad exit stop there, in the mean over "
                      "calibration sets"),
    ],
)  # fmt: skip
def test_the_promise_has_the_numbers_in_it(method, said):
    assert promise(method, 0.025, 0.1) == said


def test_every_method_has_a_promise():
    assert all(promise(method, 0.05, 0.05) for method in [*METHODS, *CONFORMAL])


@pytest.mark.parametrize(
    ("of", "name"),
    [
        (choice(), "ltt 2.5 %"),
        (choice(threshold=(0.5, 1.0)), "ltt per exit 2.5 %"),
        (choice("conformal_per_exit", (0.5, 1.0)), "conformal_per_exit 2.5 %"),
        (choice("budget", level=4.0), "budget 4 blocks"),
    ],
)
def test_a_label_is_short(of, name):
    assert describe(of, "gap").label == name


@pytest.mark.parametrize(
    ("of", "risk"),
    [
        (choice(), 0.025),
        (choice(threshold=1.0), 0.0),
        (choice("crc"), 0.025),
        (choice("conformal"), 0.025),
        (choice("empirical"), None),
        (choice("budget", level=4.0), None),
    ],
)
def test_what_is_certified(of, risk):
    assert certified_risk(of) == risk


@pytest.mark.parametrize(
    ("threshold", "lowest", "each"),
    [
        (0.7, 0.7, None),
        ((0.9, 0.5, 1.0), 0.5, (0.9, 0.5, 1.0)),
        ((1.0, 1.0), 1.0, None),
    ],
)
def test_the_threshold_is_a_number_and_beside_it_those_of_each_exit(threshold, lowest, each):
    found = describe(choice(threshold=threshold), "gap")
    assert (found.threshold, found.threshold_E, found.thresholds) == (
        lowest,
        each,
        each or lowest,
    )
    assert found.full_model == (lowest == 1)
    assert from_json(Calibrated, to_json(found)) == found
