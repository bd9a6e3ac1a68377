"""The metrics by hand, and against numbers of scikit-learn 1.9.1 and SciPy 1.17.1."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ee_jax.evaluation.metrics import METRICS, accuracy, f1, matthews, pearson, spearman

# Made with
#   draw = np.random.default_rng(7)
#   label = draw.integers(3, size=30)
#   answer = np.where(draw.random(30) < 0.6, label, draw.integers(3, size=30))
#   score = (label + draw.normal(size=30)).round(1)
# and, where there are two classes, np.minimum(label, 1) and np.minimum(answer, 1).
LABEL = np.array(list("212212200002201202012010202111"), int)
ANSWER = np.array(list("221002210002111202002012201111"), int)
SCORE = np.array([
    1.3, 1.2, 1.5, 2.1, -0.2, 1.4, 1.8, 0.9, 1.1, -1.3, -0.8, 2.6, 0.0, -0.5, 0.9, 3.3, 0.7,
    1.7, -0.4, 0.7, 3.5, -0.4, 0.7, 0.4, 1.9, -0.2, 0.9, 1.0, 0.6, 2.2,
])  # fmt: skip


def two(column):
    return np.minimum(column, 1)


@pytest.mark.parametrize(
    ("found", "golden"),
    [
        # sklearn.metrics: accuracy_score, f1_score, matthews_corrcoef
        (accuracy(ANSWER, LABEL), 0.6666666666666666),
        (f1(two(ANSWER), two(LABEL)), 0.85),
        (matthews(two(ANSWER), two(LABEL)), 0.55),
        (matthews(ANSWER, LABEL), 0.5033670414105182),
        # scipy.stats: pearsonr, spearmanr
        (pearson(SCORE, LABEL), 0.7090620892196431),
        (spearman(SCORE, LABEL), 0.7429408716043755),
    ],
)
def test_the_numbers_of_others(found, golden):
    assert found == pytest.approx(golden, rel=1e-12)  # a few roundings in float64


def test_by_hand():
    answer, label = np.array([1, 1, 1, 0, 0]), np.array([1, 1, 0, 1, 0])
    assert accuracy(answer, label) == 0.6
    # TP 2, FP 1, FN 1, TN 1.
    assert f1(answer, label) == pytest.approx(4 / 6, rel=1e-15)
    assert matthews(answer, label) == pytest.approx((2 * 1 - 1 * 1) / 6, rel=1e-15)
    # Deviations -1, 0, 1 and -2, 1, 1.
    assert pearson(np.array([1.0, 2.0, 3.0]), np.array([0, 3, 3])) == pytest.approx(3 / 12**0.5)
    assert spearman(np.array([1.0, 8.0, 27.0]), np.array([-5, 2, 3])) == pytest.approx(1)


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1))
def test_of_two_classes_matthews_is_pearson(pairs):
    answer, label = np.array(pairs).T
    expected = np.nan_to_num(pearson(answer, label))  # 0 where one is constant
    assert matthews(answer, label) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("answer", [np.zeros(3), np.full(3, 1)])
def test_the_same_answer_for_all_is_worth_what_glue_s_scorer_says(answer):
    answer, label = answer.astype(int), np.array([0, 0, 1])
    assert matthews(answer, label) == matthews(label, answer) == 0
    assert math.isnan(pearson(answer, label))
    assert math.isnan(spearman(label, answer))


def test_nobody_said_or_is_class_1():
    assert f1(np.array([0, 2]), np.array([0, 0])) == 0
    assert f1(np.array([0, 1]), np.array([1, 0])) == 0


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_labels_of_other_examples_are_refused(metric):
    with pytest.raises(AssertionError):
        metric(np.zeros(2, int), np.zeros(3, int))
