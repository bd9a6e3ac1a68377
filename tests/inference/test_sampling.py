import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ee_jax.errors import UserError
from ee_jax.inference.sampling import Sampling, draw, keys_at, log_probabilities, row_keys

P = np.array([0.1, 0.4, 0.05, 0.25, 0.2])
LOGITS = jnp.log(jnp.asarray(P)) + 3.0


@pytest.mark.parametrize(
    ("sampling", "wanted"),
    [
        (Sampling(1.0), P),
        (Sampling(0.5), P**2 / (P**2).sum()),
        (Sampling(1.0, top_k=2), np.array([0, 0.4, 0, 0.25, 0]) / 0.65),
        (Sampling(1.0, top_k=9), P),
        # 0.4 + 0.25 is below 0.7: the third likeliest passes it and is kept, no other.
        (Sampling(1.0, top_p=0.7), np.array([0, 0.4, 0, 0.25, 0.2]) / 0.85),
        (Sampling(1.0, top_p=0.01), np.array([0, 1.0, 0, 0, 0])),
        # Of the three likeliest, two thirds of the rest's mass.
        (Sampling(1.0, top_k=3, top_p=0.7), np.array([0, 0.4, 0, 0.25, 0]) / 0.65),
        (Sampling(), np.array([0, 1.0, 0, 0, 0])),
    ],
)
def test_probabilities_by_hand(sampling, wanted):
    got = np.exp(log_probabilities(LOGITS, sampling))
    np.testing.assert_allclose(got, wanted, atol=1e-6)
    np.testing.assert_array_equal(got > 0, wanted > 0)


def test_a_row_draws_the_same_in_any_batch_and_anew_at_any_position():
    key = jax.random.key(3)
    one, many = (keys_at(row_keys(key, batch), jnp.full(batch, 5)) for batch in (1, 4))
    tokens = [draw(k, LOGITS, Sampling(1.0)) for k in many]
    assert draw(one[0], LOGITS, Sampling(1.0)) == tokens[0]
    bits = {tuple(jax.random.key_data(k).tolist()) for k in many}
    later = keys_at(row_keys(key, 4), jnp.full(4, 6))
    bits |= {tuple(jax.random.key_data(k).tolist()) for k in later}
    assert len(bits) == 8


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": -1.0},
        {"temperature": math.nan},
        {"temperature": math.inf},
        {"top_k": -1},
        {"top_p": 0.0},
        {"top_p": 1.1},
    ],
)
def test_settings_that_mean_nothing(wrong):
    with pytest.raises(UserError, match=next(iter(wrong))):
        Sampling(**wrong)
