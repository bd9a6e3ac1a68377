import jax
import numpy as np
import pytest

from ee_jax.calibration.decay import DECAYS, paper, released_code

every_decay = pytest.mark.parametrize("decay", DECAYS.values(), ids=DECAYS)
POSITIONS = np.arange(5)


def test_the_two_formulas_differ_as_reported():
    # 1e-6: single precision.
    assert paper(0.5, 0, 100, 4.0) == pytest.approx(0.55, rel=1e-6)
    assert released_code(0.5, 0, 100, 4.0) == pytest.approx(0.5, rel=1e-6)
    fading = np.exp(-4 * 25 / 100)
    assert paper(0.5, 25, 100, 4.0) == pytest.approx(0.45 + 0.1 * fading, rel=1e-6)
    expected = 0.5 * (0.9 + 0.1 * fading)
    assert released_code(0.5, 25, 100, 4.0) == pytest.approx(expected, rel=1e-6)


@every_decay
def test_a_threshold_of_1_stays_the_full_model_at_every_position(decay):
    assert decay(1.0, POSITIONS, 4, 4.0).tolist() == [1] * 5


@every_decay
def test_thresholds_fall_with_position_and_stay_within_0_and_1(decay):
    for threshold in (0.3, 0.999):
        at_T = np.asarray(decay(threshold, POSITIONS, 4, 4.0))
        assert (np.diff(at_T) < 0).all()
        assert (at_T >= 0).all()
        assert (at_T <= 1).all()


@every_decay
def test_decay_compiles_with_threshold_and_position_as_arguments(decay):
    compiled = jax.jit(decay)(np.array([0.5, 1.0]), 2, 4, 4.0)
    np.testing.assert_allclose(compiled, decay(np.array([0.5, 1.0]), 2, 4, 4.0), rtol=1e-6)
