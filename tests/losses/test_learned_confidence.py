"""Targets and losses of learned confidences, by hand and against plain Python."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit

from ee_jax.config import Learned
from ee_jax.exits.output import ExitOutput
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
ANSWER = ExitOutput(jax.nn.one_hot(PREDICTION_EB, 3))
CORRECT = [[1, 1, 0, 1], [1, 1, 1, 0], [1, 0, 1, 0]]
CONSISTENT = [[1, 0, 0, 0], [1, 0, 1, 0], [1, 1, 1, 1]]


def random_scores() -> tuple[jax.Array, np.ndarray]:
    """Scores of three exits on four examples, and their probabilities."""
    score_EB = np.random.default_rng(0).normal(size=(3, 4), scale=2).astype(np.float32)
    return jnp.asarray(score_EB), expit(score_EB.astype(np.float64))


def test_each_exit_is_held_to_its_own_answer():
    """No exit's target is that of the exit beside it."""
    assert correct(ANSWER, LABEL_B).tolist() == CORRECT
    assert consistent(ANSWER, LABEL_B).tolist() == CONSISTENT


def test_a_regressions_target_falls_with_the_error():
    answer = ExitOutput(jnp.array([[[1.0], [2.0]], [[1.5], [9.0]]]))
    right_EB = correct(answer, jnp.array([1.0, 3.0]))
    expected = [[1.0, 1 - np.tanh(1.0)], [1 - np.tanh(0.5), 1 - np.tanh(6.0)]]
    np.testing.assert_allclose(right_EB, expected, atol=1e-6)


def test_cross_entropy_of_each_exit():
    score_EB, p_EB = random_scores()
    right_EB = np.array(CORRECT)
    expected_E = -np.where(right_EB, np.log(p_EB), np.log(1 - p_EB)).mean(1)
    np.testing.assert_allclose(
        cross_entropy(score_EB, jnp.array(CORRECT)), expected_E, rtol=RTOL
    )


def test_either_class_weighs_the_share_of_the_other():
    score_EB, p_EB = random_scores()
    expected_E = []
    for p_B, right_B in zip(p_EB, CORRECT, strict=True):
        share, pairs = sum(right_B) / 4, zip(p_B, right_B, strict=True)
        terms = [(1 - share) * np.log(p) if r else share * np.log(1 - p) for p, r in pairs]
        expected_E.append(-np.mean(terms))
    right_EB = jnp.array(CORRECT, jnp.float32)
    np.testing.assert_allclose(balanced(score_EB, right_EB), expected_E, rtol=1e-5)


def test_the_squared_error_is_that_of_the_uncertainty():
    """BERxiT's LTE learns u = 1 - p distillation_kl 1 where the answer is wrong."""
    score_EB, p_EB = random_scores()
    wrong_EB, u_EB = 1 - np.array(CORRECT), 1 - p_EB
    expected_E = ((u_EB - wrong_EB) ** 2).mean(1)
    np.testing.assert_allclose(squared(score_EB, jnp.array(CORRECT)), expected_E, rtol=RTOL)


def first_right(right_EB) -> list[int]:
    return [next(e for e in range(3) if e == 2 or right[e]) for right in np.transpose(right_EB)]


@pytest.mark.parametrize("right", [CORRECT, CONSISTENT, [[0] * 4] * 3])
def test_geometric_is_the_chance_of_the_first_right_exit(right):
    score_EB, p_EB = random_scores()
    chances = []
    for b, exit in enumerate(first_right(right)):
        go = np.prod(1 - p_EB[:exit, b])
        chances.append(go * (1.0 if exit == 2 else p_EB[exit, b]))
    loss = geometric(score_EB, jnp.array(right, jnp.float32))
    np.testing.assert_allclose(loss, -np.log(chances).mean(), rtol=RTOL)


def test_the_chances_of_all_exits_sum_to_one():
    score_EB, _ = random_scores()
    chances = [
        jnp.exp(-geometric(score_EB[:, :1], jnp.eye(3)[:, exit : exit + 1]))
        for exit in range(3)
    ]
    assert sum(chances) == pytest.approx(1, rel=RTOL)


@pytest.mark.parametrize("loss", ["cross_entropy", "balanced", "squared"])
def test_consistency_means_over_the_first_exits_and_correctness_over_all(loss):
    score_EB, _ = random_scores()
    answer, of_exit = ANSWER._replace(score=score_EB), globals()[loss]
    cases = (
        (Learned("consistent", loss), CONSISTENT, slice(-1)),
        (Learned("correct", loss), CORRECT, slice(None)),
    )
    for learned, right, kept in cases:
        right_EB = jnp.array(right, jnp.float32)
        found = score_loss(learned)(answer, LABEL_B)
        np.testing.assert_allclose(found, of_exit(score_EB, right_EB)[kept].mean(), rtol=RTOL)


@pytest.mark.parametrize("loss", ["cross_entropy", "balanced", "squared", "geometric"])
def test_large_scores_give_finite_losses_and_gradients(loss):
    answer = ANSWER._replace(score=jnp.tile(jnp.array([200.0, -200.0, 1e30, -1e30]), (3, 1)))
    value, gradient = jax.value_and_grad(
        lambda answer: score_loss(Learned("correct", loss))(answer, LABEL_B)
    )(answer)
    assert np.isfinite(value)
    assert np.isfinite(gradient.score).all()
    assert not gradient.logits.any()


def test_a_regressions_target_carries_no_gradient():
    answer = ExitOutput(jnp.array([[[1.0], [2.0]]]), None, jnp.array([[0.5, -0.5]]))
    loss = score_loss(Learned("correct", "squared"))
    gradient = jax.grad(lambda answer: loss(answer, jnp.array([1.5, 0.0])))(answer)
    assert not gradient.logits.any()
    assert gradient.score.all()


def test_one_exit_has_no_score_that_decides():
    answer = ExitOutput(jnp.zeros((1, 2, 3)), None, jnp.ones((1, 2)))
    for loss in ("cross_entropy", "geometric"):
        assert score_loss(Learned("consistent", loss))(answer, LABEL_B[:2]) == 0
