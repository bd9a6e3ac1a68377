"""Targets and losses of learned confidences, by hand and against plain Python."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit

from ee_jax.exits.output import prediction
from ee_jax.losses.learned_confidence import (
    balanced,
    consistent,
    correct,
    cross_entropy,
    geometric,
    score_loss,
    squared,
)

# fp32 keeps 24 bits; the sums here are over a few numbers of size 1.
RTOL = 1e-6
PREDICTION_EB = np.array([[0, 1, 2, 0], [0, 1, 1, 2], [0, 2, 1, 1]])
LABEL_B = jnp.array([0, 1, 1, 0])
CORRECT = [[1, 1, 0, 1], [1, 1, 1, 0], [1, 0, 1, 0]]
CONSISTENT = [[1, 0, 0, 0], [1, 0, 1, 0], [1, 1, 1, 1]]


def mean(value_EB: jax.Array) -> jax.Array:
    return value_EB.mean(1)


def random_scores() -> tuple[jax.Array, np.ndarray]:
    """Scores of three exits on four examples, and their probabilities."""
    score_EB = np.random.default_rng(0).normal(size=(3, 4), scale=2).astype(np.float32)
    return jnp.asarray(score_EB), expit(score_EB.astype(np.float64))


def test_each_exit_is_held_to_its_own_answer():
    """No exit's target is that of the exit beside it."""
    assert correct(jnp.asarray(PREDICTION_EB), LABEL_B).tolist() == CORRECT
    assert consistent(jnp.asarray(PREDICTION_EB), LABEL_B).tolist() == CONSISTENT


def test_a_regressions_target_falls_with_the_error():
    answer_EB = jnp.array([[1.0, 2.0], [1.5, 9.0]])
    right_EB = correct(answer_EB, jnp.array([1.0, 3.0]))
    expected = [[1.0, 1 - np.tanh(1.0)], [1 - np.tanh(0.5), 1 - np.tanh(6.0)]]
    np.testing.assert_allclose(right_EB, expected, atol=1e-6)


def test_cross_entropy_of_each_exit():
    score_EB, p_EB = random_scores()
    right_EB = np.array(CORRECT)
    expected_E = -np.where(right_EB, np.log(p_EB), np.log(1 - p_EB)).mean(1)
    np.testing.assert_allclose(
        cross_entropy(score_EB, jnp.array(CORRECT), mean), expected_E, rtol=RTOL
    )


def test_either_class_weighs_the_share_of_the_other():
    score_EB, p_EB = random_scores()
    expected_E = []
    for p_B, right_B in zip(p_EB, CORRECT, strict=True):
        share, pairs = sum(right_B) / 4, zip(p_B, right_B, strict=True)
        terms = [(1 - share) * np.log(p) if r else share * np.log(1 - p) for p, r in pairs]
        expected_E.append(-np.mean(terms))
    right_EB = jnp.array(CORRECT, jnp.float32)
    np.testing.assert_allclose(balanced(score_EB, right_EB, mean), expected_E, rtol=1e-5)


def test_the_squared_error_is_that_of_the_uncertainty():
    """BERxiT's LTE learns u = 1 - p distillation_kl 1 where the answer is wrong."""
    score_EB, p_EB = random_scores()
    wrong_EB, u_EB = 1 - np.array(CORRECT), 1 - p_EB
    expected_E = ((u_EB - wrong_EB) ** 2).mean(1)
    np.testing.assert_allclose(
        squared(score_EB, jnp.array(CORRECT), mean), expected_E, rtol=RTOL
    )


def first_right(right_EB) -> list[int]:
    return [next(e for e in range(3) if e == 2 or right[e]) for right in np.transpose(right_EB)]


@pytest.mark.parametrize("right", [CORRECT, CONSISTENT, [[0] * 4] * 3])
def test_geometric_is_the_chance_of_the_first_right_exit(right):
    score_EB, p_EB = random_scores()
    chances = []
    for b, exit in enumerate(first_right(right)):
        go = np.prod(1 - p_EB[:exit, b])
        chances.append(go * (1.0 if exit == 2 else p_EB[exit, b]))
    loss = geometric(score_EB, jnp.array(right, jnp.float32), mean)
    np.testing.assert_allclose(loss, -np.log(chances).mean(), rtol=RTOL)


def test_the_chances_of_all_exits_sum_to_one():
    score_EB, _ = random_scores()
    chances = [
        jnp.exp(-geometric(score_EB[:, :1], jnp.eye(3)[:, exit : exit + 1], mean))
        for exit in range(3)
    ]
    assert sum(chances) == pytest.approx(1, rel=RTOL)


@pytest.mark.parametrize("loss", ["cross_entropy", "balanced", "squared"])
def test_consistency_means_over_the_first_exits_and_correctness_over_all(loss):
    score_EB, _ = random_scores()
    of_exit, said_EB = globals()[loss], jnp.asarray(PREDICTION_EB)
    cases = (("consistent", CONSISTENT, slice(-1)), ("correct", CORRECT, slice(None)))
    for target, right, kept in cases:
        right_EB = jnp.array(right, jnp.float32)
        found = score_loss(target, loss)(score_EB, said_EB, LABEL_B, mean)
        expected = of_exit(score_EB, right_EB, mean)[kept].mean()
        np.testing.assert_allclose(found, expected, rtol=RTOL)


@pytest.mark.parametrize("loss", ["cross_entropy", "balanced", "squared", "geometric"])
def test_only_what_counts_has_a_part_in_the_loss(loss):
    """Rows and their tokens, one of them padding: the loss is that of the others."""
    score_EB, _ = random_scores()
    keep_B = jnp.array([1.0, 1.0, 0.0, 1.0])

    def over_kept(value_EBT: jax.Array) -> jax.Array:
        return (value_EBT * keep_B[None, :, None]).sum((1, 2)) / 3

    said_EB, of = jnp.asarray(PREDICTION_EB), score_loss("correct", loss)
    found = of(score_EB[..., None], said_EB[..., None], LABEL_B[:, None], over_kept)
    kept = jnp.array([0, 1, 3])
    expected = of(score_EB[:, kept], said_EB[:, kept], LABEL_B[kept], mean)
    np.testing.assert_allclose(found, expected, rtol=RTOL)


@pytest.mark.parametrize("loss", ["cross_entropy", "balanced", "squared", "geometric"])
def test_large_scores_give_finite_losses_and_gradients(loss):
    score_EB = jnp.tile(jnp.array([200.0, -200.0, 1e30, -1e30]), (3, 1))
    value, gradient = jax.value_and_grad(
        lambda score: score_loss("correct", loss)(
            score, jnp.asarray(PREDICTION_EB), LABEL_B, mean
        )
    )(score_EB)
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()


def test_a_regressions_target_carries_no_gradient():
    loss, target_B = score_loss("correct", "squared"), jnp.array([1.5, 0.0])

    def of(score_EB, logits_EBC):
        return loss(score_EB, prediction(logits_EBC), target_B, mean)

    given = jnp.array([[0.5, -0.5]]), jnp.array([[[1.0], [2.0]]])
    of_score, of_logits = jax.grad(of, (0, 1))(*given)
    assert not of_logits.any()
    assert of_score.all()


def test_one_exit_has_no_score_that_decides():
    for loss in ("cross_entropy", "geometric"):
        of = score_loss("consistent", loss)
        assert of(jnp.ones((1, 2)), jnp.zeros((1, 2), int), LABEL_B[:2], mean) == 0
