"""Streaks of classes and of numbers, by hand."""

import jax.numpy as jnp
import numpy as np
import pytest

from ee_jax.exits.output import extend_streak, no_streak


def lengths(answers, tolerance=0.1) -> list[int]:
    """The streak of one example after each exit."""
    answer_E = jnp.asarray(answers)
    streak, found = no_streak(answer_E[0]), []
    for answer in answer_E:
        streak = extend_streak(streak, answer, tolerance)
        found.append(int(streak.length))
    return found


@pytest.mark.parametrize(
    ("answers", "wanted"),
    [
        ([2, 2, 2], [0, 1, 2]),
        ([0, 1, 1, 0, 0, 0], [0, 0, 1, 0, 1, 2]),
        ([0, 1, 2], [0, 0, 0]),
        ([0.0, 0.05, 0.1, 0.3, 0.35], [0, 1, 2, 0, 1]),
        ([1.0, 1.0], [0, 1]),
    ],
)
def test_by_hand(answers, wanted):
    assert lengths(answers) == wanted


def test_numbers_drift_as_far_as_they_like_in_small_steps():
    """PABEE compares with the exit before, not with where the streak began."""
    assert lengths(np.arange(5) * 0.4, tolerance=0.5) == [0, 1, 2, 3, 4]


def test_the_tolerance_itself_is_too_far():
    assert lengths([0.0, 0.5, 1.25], tolerance=0.5) == [0, 0, 0]


def test_classes_know_no_tolerance():
    assert lengths([0, 1, 2], tolerance=5.0) == [0, 0, 0]


def test_an_answer_that_is_nan_agrees_with_nothing():
    assert lengths([1.0, np.nan, np.nan, 1.0]) == [0, 0, 0, 0]
