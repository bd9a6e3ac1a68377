"""Metrics and p-values: against whole numbers and fractions, whatever the scale."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ee_jax.evaluation.metrics import METRICS, accuracy, f1, matthews, pearson, spearman
from ee_jax.evaluation.statistics import bootstrap_interval, paired_permutation_test

SCALES = st.sampled_from([1e-6, 1e-3, 1.0, 1e3, 1e6])
COLUMNS = st.lists(st.tuples(st.integers(-5, 5), st.integers(-5, 5)), min_size=1, max_size=9)
CLASSES = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=50)
# Sums of a few products in float64.
ROUNDING = 1e-9


def exact_pearson(pairs):
    """By fractions but for the root; None where a column is the same for all."""
    columns = [list(map(Fraction, column)) for column in zip(*pairs, strict=True)]
    off = [[x - sum(column) / len(column) for x in column] for column in columns]
    one, other = (sum(x * x for x in column) for column in off)
    if not one * other:
        return None
    return float(sum(map(Fraction.__mul__, *off))) / float(one * other) ** 0.5


@settings(max_examples=200)
@example([(1, 1), (2, 1)], 1.0, 1e6)
@given(COLUMNS, SCALES, st.sampled_from([0.0, 1.0, 1e6]))
def test_pearson(pairs, scale, shift):
    """A shift of a million deviations takes away six digits of the sixteen."""
    one_N, other_N = np.array(pairs, float).T
    got = pearson(scale * (one_N + shift), other_N / scale)
    wanted = exact_pearson(pairs)
    if wanted is None:
        assert np.isnan(got)
    else:
        assert got == pytest.approx(wanted, rel=0, abs=ROUNDING)
        assert spearman(scale * one_N, other_N) == pytest.approx(
            exact_pearson(list(zip(ranks(one_N), ranks(other_N), strict=True))), abs=ROUNDING
        )


def ranks(column_N):
    """Of each number: the mean place of those that are equal to it."""
    return [
        Fraction(int((column_N < x).sum()) * 2 + int((column_N == x).sum()) + 1, 2)
        for x in column_N
    ]


@given(CLASSES)
def test_metrics_of_classes(pairs):
    answer_N, label_N = np.array(pairs).T
    right = sum(a == b for a, b in pairs)
    assert accuracy(answer_N, label_N) == right / len(pairs)
    both, either = (sum(fold(a == 1, b == 1) for a, b in pairs) for fold in (min, max))
    assert f1(answer_N, label_N) == (2 * both / (both + either) if both + either else 0.0)
    # The correlation of indicators, over all classes (Gorodkin 2004, eq. 2).
    one, other = (
        np.eye(4)[column] - np.eye(4)[column].mean(0) for column in (answer_N, label_N)
    )
    spread = np.sqrt((one**2).sum() * (other**2).sum())
    wanted = (one * other).sum() / spread if spread > 1e-9 else 0.0
    assert matthews(answer_N, label_N) == pytest.approx(wanted, rel=0, abs=ROUNDING)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("count", [1, 2, 100])
def test_columns_of_one_value(metric, count):
    same = np.ones(count, int)
    got = METRICS[metric](same, same)
    if metric in ("accuracy", "f1"):
        assert got == 1.0
    else:  # no correlation is defined: GLUE's scorer says 0 for Matthews, SciPy nan
        assert got == 0.0 if metric == "matthews" else np.isnan(got)


@settings(max_examples=100)
@example([(1, 0), (2, 0), (0, 3)], 1e-6)
@given(COLUMNS, SCALES)
def test_p_values_are_shares_of_all_swaps(pairs, scale):
    first_N, second_N = scale * np.array(pairs, float).T
    found = paired_permutation_test(first_N, second_N)
    differences = [a - b for a, b in pairs]
    seen = abs(sum(differences))
    sums = [
        abs(sum(sign * x for sign, x in zip(signs, differences, strict=True)))
        for signs in itertools.product((1, -1), repeat=len(pairs))
    ]
    wanted = sum(total >= seen for total in sums) / len(sums)
    assert found.p_value == pytest.approx(wanted, rel=0, abs=ROUNDING)
    assert found.mean == pytest.approx(scale * sum(differences) / len(pairs), abs=1e-9 * scale)


@pytest.mark.parametrize("method", ["BCa", "percentile"])
@pytest.mark.parametrize("value", [0.0, 1e-6, 1.0, 1e6])
def test_the_interval_of_a_column_of_one_value_is_it(method, value):
    found = bootstrap_interval(np.mean, np.full(7, value), method=method, resamples=99)
    assert found == pytest.approx((value, value), rel=1e-12)
