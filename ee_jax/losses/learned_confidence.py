"""How a learned confidence learns: its targets and its losses.

A score is the logit of "stopping here is right". Its gradient reaches nothing but itself: heads
stop that of what a score reads, and targets carry none. Arrays are [E, ...], an exit first and
then examples, or rows and their tokens.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Num

Scores = Float[Array, "E ..."]
Rights = Num[Array, "E ..."]  # 1 where stopping is right, 0 where it is wrong
# From numbers [E, ...] to their means over the examples or tokens that count, [E].
Mean = Callable[[Float[Array, "E ..."]], Float[Array, " E"]]
# From scores, predictions, what is right, and how to average, to a number.
ScoreLoss = Callable[[Scores, Num[Array, "E ..."], Num[Array, "..."], Mean], Float[Array, ""]]


def correct(prediction_E: Num[Array, "E ..."], target: Num[Array, "..."]) -> Rights:
    """1 where an exit's own answer is right; in a regression 1 - |tanh(answer - label)|.

    BERxiT's targets for its LTE, which learns the opposite (Xin et al. 2021).

    Args:
      prediction_E: every exit's answers.
      target: labels or tokens.

    Returns:
      What each exit's score is to learn, in [0, 1].
    """
    answer_E = jax.lax.stop_gradient(prediction_E)
    if jnp.issubdtype(answer_E.dtype, jnp.floating):
        return 1.0 - jnp.abs(jnp.tanh(answer_E - target[None]))
    return (answer_E == target[None]).astype(jnp.float32)


def consistent(prediction_E: Num[Array, "E ..."], target: Num[Array, "..."]) -> Rights:
    """1 where an exit answers like the last one (CALM's meta classifier, sec. 3.5).

    Args:
      prediction_E: every exit's answers.
      target: labels or tokens, which this target does not read.

    Returns:
      What each exit's score is to learn: 0 or 1.
    """
    return (prediction_E == prediction_E[-1:]).astype(jnp.float32)


def cross_entropy(score_E: Scores, right_E: Rights, mean: Mean) -> Float[Array, " E"]:
    """Binary cross-entropy, in nats (CALM, sec. 3.5).

    Args:
      score_E: every exit's logits of "stopping here is right".
      right_E: what they are to learn.
      mean: over the examples or tokens that count.

    Returns:
      The loss of each exit.
    """
    return mean(optax.losses.sigmoid_binary_cross_entropy(score_E, right_E))


def balanced(score_E: Scores, right_E: Rights, mean: Mean) -> Float[Array, " E"]:
    """Binary cross-entropy in which, at each exit, either class weighs the other's share.

    As in CALM's released code (t5x): 1 - P for those who are right, P the share of them in the
    batch, and P for the others.

    Args:
      score_E: every exit's logits of "stopping here is right".
      right_E: what they are to learn.
      mean: over the examples or tokens that count.

    Returns:
      The loss of each exit.
    """
    share_E = mean(right_E).reshape(-1, *[1] * (right_E.ndim - 1))
    weight_E = jnp.where(right_E > 0.5, 1.0 - share_E, share_E)
    return mean(weight_E * optax.losses.sigmoid_binary_cross_entropy(score_E, right_E))


def squared(score_E: Scores, right_E: Rights, mean: Mean) -> Float[Array, " E"]:
    """Mean squared error of the probability, as BERxiT's LTE learns (Xin et al. 2021).

    Its u = 1 - sigmoid(score) and its target 1 - right: the same differences.

    Args:
      score_E: every exit's logits of "stopping here is right".
      right_E: what they are to learn.
      mean: over the examples or tokens that count.

    Returns:
      The loss of each exit.
    """
    return mean(jnp.square(jax.nn.sigmoid(score_E) - right_E))


def geometric(score_E: Scores, right_E: Rights, mean: Mean) -> Float[Array, ""]:
    """-log p(stop at the first exit that is right), in nats.

    p(stop at i) = q_i prod_(j < i) (1 - q_j), and the last exit stops for certain (Elbayad et
    al. 2020, geometric-like; CALM, app. D). In CALM's released code the last has a score too.

    Args:
      score_E: every exit's logits of "stopping here is right".
      right_E: 1 where stopping is right, else 0.
      mean: over the examples or tokens that count.

    Returns:
      One loss for all exits together.
    """
    right_E = right_E.at[-1].set(1.0)
    first_1 = right_E.argmax(0, keepdims=True)
    number_E = jnp.arange(len(right_E)).reshape(-1, *[1] * (right_E.ndim - 1))
    go_E = jax.nn.log_sigmoid(-score_E)
    stop_E = jax.nn.log_sigmoid(score_E).at[-1].set(0.0)
    path_E = jnp.where(number_E < first_1, go_E, 0.0)
    path_E += jnp.where(number_E == first_1, stop_E, 0.0)
    return -mean(path_E.sum(0, keepdims=True))[0]


TARGETS = {"correct": correct, "consistent": consistent}
LOSSES = {"cross_entropy": cross_entropy, "balanced": balanced, "squared": squared}


def score_loss(target: str, loss: str) -> ScoreLoss:
    """The loss of all scores: for the target `consistent` the mean over the first E - 1 exits,
    whose scores decide; for `correct`, as in BERxiT, over all.

    Args:
      target: a name in TARGETS, what a score foretells.
      loss: a name in LOSSES, or `geometric`.
    """

    def of(score_E: Scores, prediction_E: Array, right: Array, mean: Mean) -> Array:
        right_E = TARGETS[target](prediction_E, right)
        if loss == "geometric":
            return geometric(score_E, right_E, mean)
        loss_E = LOSSES[loss](score_E, right_E, mean)
        if target == "correct":
            return loss_E.mean()
        return loss_E[:-1].sum() / max(len(loss_E) - 1, 1)

    return of
