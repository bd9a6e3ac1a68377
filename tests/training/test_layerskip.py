"""LayerSkip's rates, weights and curricula, against numbers worked out by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ee_jax.training.strategies.layerskip import (
    SCALES,
    curriculum_weights,
    drop_rates,
    early_exit_scale,
    exponential_ramp,
    gradual,
    rotational,
)
from ee_jax.training.train_step import kept_blocks

EVERY = tuple(range(1, 33))


@pytest.mark.parametrize(
    ("scheme", "shares"),
    [
        # With e_scale 0.1: (31 + 46.5) / (0.1 * 4960 + 77.5), and so on.
        ("layerskip", (0.135, 0.111, 0.091)),
        ("torchtune_sum_l", (0.492, 0.326, 0.088)),
        ("torchtune_linear_l", (0.392, 0.244, 0.061)),
    ],
)
def test_share_of_the_last_of_32_layers(scheme, shares):
    for e_scale, share in zip((0.1, 0.2, 1.0), shares, strict=True):
        weight_E = curriculum_weights(SCALES[scheme](EVERY, 32, e_scale), jnp.ones(32, bool))
        assert round(float(weight_E[-1]), 3) == share
        np.testing.assert_allclose(weight_E.sum(), 1, rtol=1e-6)  # fp32


def test_scale_of_four_layers():
    np.testing.assert_allclose(early_exit_scale((1, 2, 3, 4), 4, 0.5), [0, 0.5, 1.5, 3 + 1.5])
    np.testing.assert_allclose(early_exit_scale((2, 4), 4, 0.5), [0.5, 4.5])
    np.testing.assert_allclose(SCALES["torchtune_sum_l"]((2, 4), 4, 0.5), [1.5, 10])


def test_drop_rates_grow_with_depth_and_with_time():
    # 2^(l/4) - 1 at five blocks.
    expected = 0.2 * np.array([0, 0.189207, 0.414214, 0.681793, 1])
    np.testing.assert_allclose(drop_rates(5, 0.2), expected, rtol=1e-5)  # six digits given
    ramps = [float(exponential_ramp(step, 9)) for step in (0, 4, 8)]
    np.testing.assert_allclose(ramps, [0, 0.414214, 1], rtol=1e-5)
    np.testing.assert_allclose(drop_rates(5, 0.2, ramps[1]), 0.414214 * expected, rtol=1e-5)
    assert drop_rates(1, 0.5).tolist() == [0.0]
    assert float(exponential_ramp(0, 1)) == 0.0


def test_each_row_drops_each_block_by_its_own_draw_and_nothing_is_dropped_at_rate_0():
    rate_L = drop_rates(3, 0.6)
    kept_LB = np.asarray(kept_blocks(jax.random.key(0), rate_L, 20_000))
    # Four standard deviations of a share of 20,000 draws.
    np.testing.assert_allclose(1 - kept_LB.mean(1), rate_L, atol=4 * 0.5 / np.sqrt(20_000))
    assert kept_LB[0].all()
    both = (~kept_LB[1] & ~kept_LB[2]).mean()
    np.testing.assert_allclose(both, rate_L[1] * rate_L[2], atol=4 * 0.5 / np.sqrt(20_000))


def test_rotation_shifts_by_one_a_step_and_comes_round():
    turns = [np.flatnonzero(rotational(7, 3, step)).tolist() for step in range(4)]
    assert turns == [[0, 3, 6], [1, 4, 6], [2, 5, 6], [0, 3, 6]]
    assert np.asarray(rotational(7, 1, 5)).all()


def test_gradual_comes_down_from_the_last_exit_by_half_time():
    # 4 exits, 80 steps: one more every 10 steps.
    counts = [int(gradual(4, step, 80).sum()) for step in (0, 9, 10, 19, 20, 29, 30, 79)]
    assert counts == [1, 1, 2, 2, 3, 3, 4, 4]
    assert np.flatnonzero(gradual(4, 10, 80)).tolist() == [2, 3]


def test_the_curriculum_divides_among_those_that_count():
    weight_E = curriculum_weights(np.array([1.0, 2.0, 5.0]), jnp.array([True, False, True]))
    np.testing.assert_allclose(weight_E, [1 / 6, 0, 5 / 6], rtol=1e-6)  # fp32
