import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ee_jax.calibration.scores import fit_isotonic


def test_a_fit_by_hand():
    # 0.1 and 0.2 are out of order and share a mean; the two at 0.3 are one score.
    score_N = np.array([0.2, 0.1, 0.3, 0.3, 0.9])
    fit = fit_isotonic(score_N, np.array([False, True, True, False, True]))
    assert fit.score_K.tolist() == [0.1, 0.2, 0.3, 0.9]
    assert fit.value_K.tolist() == [0.5, 0.5, 0.5, 1]
    # 1e-12: one interpolation.
    np.testing.assert_allclose(fit(np.array([0.0, 0.6, 1.0])), [0.5, 0.75, 1], rtol=1e-12)


def test_one_example_and_one_answer():
    assert fit_isotonic(np.array([0.5]), np.array([True]))(np.array([0.1, 0.9])).tolist() == [
        1,
        1,
    ]


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=1, max_size=12))
def test_no_rising_function_on_a_grid_fits_better(pairs):
    score_N, correct_N = (np.array(column) for column in zip(*pairs, strict=True))
    fit = fit_isotonic(score_N, correct_N)
    assert (np.diff(fit.value_K) >= 0).all()
    scores, index_N = np.unique(score_N, return_inverse=True)
    rising = itertools.combinations_with_replacement(np.linspace(0, 1, 7), len(scores))
    least = min(np.sum((np.array(values)[index_N] - correct_N) ** 2) for values in rising)
    # 1e-9: sums of at most twelve squares.
    assert np.sum((fit(score_N) - correct_N) ** 2) <= least + 1e-9
