"""How a learned confidence learns: its targets and its losses.

A score is the logit of "stopping here is right". Its gradient reaches nothing but itself: heads
stop that of what a score reads, and targets carry none.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from ee_jax.config import Learned
from ee_jax.exits.output import ExitOutput, prediction
from ee_jax.losses.exit_losses import Target

# From the answers of all exits and the target to a number.
ScoreLoss = Callable[[ExitOutput, Target], Float[Array, ""]]
Rights = Float[Array, "E B"]  # 1 where stopping is right, 0 where it is wrong


def correct(answer: ExitOutput, target_B: Target) -> Rights:
    """1 where an exit's own answer is right; in a regression 1 - |tanh(answer - label)|.

    BERxiT's targets for its LTE, which learns the opposite (Xin et al. 2021).
    """
    answer_EB = jax.lax.stop_gradient(prediction(answer.logits))
    if answer.logits.shape[-1] == 1:
        return 1.0 - jnp.abs(jnp.tanh(answer_EB - target_B[None]))
    return (answer_EB == target_B[None]).astype(jnp.float32)


def consistent(answer: ExitOutput, target_B: Target) -> Rights:
    """1 where an exit answers like the last one (CALM's meta classifier, sec. 3.5)."""
    answer_EB = prediction(answer.logits)
    return (answer_EB == answer_EB[-1:]).astype(jnp.float32)


def cross_entropy(score_EB: Float[Array, "E B"], right_EB: Rights) -> Float[Array, " E"]:
    """Binary cross-entropy, in nats (CALM, sec. 3.5)."""
    return optax.losses.sigmoid_binary_cross_entropy(score_EB, right_EB).mean(1)


def balanced(score_EB: Float[Array, "E B"], right_EB: Rights) -> Float[Array, " E"]:
    """Binary cross-entropy in which, at each exit, either class weighs the other's share.

    As in CALM's released code (t5x): 1 - P for those who are right, P the share of them in the
    batch, and P for the others.
    """
    share_E1 = right_EB.mean(1, keepdims=True)
    weight_EB = jnp.where(right_EB > 0.5, 1.0 - share_E1, share_E1)
    loss_EB = optax.losses.sigmoid_binary_cross_entropy(score_EB, right_EB)
    return (weight_EB * loss_EB).mean(1)


def squared(score_EB: Float[Array, "E B"], right_EB: Rights) -> Float[Array, " E"]:
    """Mean squared error of the probability, as BERxiT's LTE learns (Xin et al. 2021).

    Its u = 1 - sigmoid(score) and its target 1 - right: the same differences.
    """
    return jnp.square(jax.nn.sigmoid(score_EB) - right_EB).mean(1)


def geometric(score_EB: Float[Array, "E B"], right_EB: Rights) -> Float[Array, ""]:
    """-log p(stop at the first exit that is right), in nats.

    p(stop at i) = q_i prod_(j < i) (1 - q_j), and the last exit stops for certain (Elbayad et
    al. 2020, geometric-like; CALM, app. D). In CALM's released code the last has a score too.
    """
    right_EB = right_EB.at[-1].set(1.0)
    first_1B = right_EB.argmax(0, keepdims=True)
    number_E1 = jnp.arange(len(right_EB))[:, None]
    go_EB = jax.nn.log_sigmoid(-score_EB)
    stop_EB = jax.nn.log_sigmoid(score_EB).at[-1].set(0.0)
    path_EB = jnp.where(number_E1 < first_1B, go_EB, 0.0)
    return -(path_EB + jnp.where(number_E1 == first_1B, stop_EB, 0.0)).sum(0).mean()


TARGETS = {"correct": correct, "consistent": consistent}
LOSSES = {"cross_entropy": cross_entropy, "balanced": balanced, "squared": squared}


def score_loss(learned: Learned) -> ScoreLoss:
    """The loss of all scores: for the target `consistent` the mean over the first E - 1 exits,
    whose scores decide; for `correct`, as in BERxiT, over all."""
    target = TARGETS[learned.target]

    def loss(answer: ExitOutput, target_B: Target) -> Array:
        assert answer.score is not None, "the model has no learned confidence"
        right_EB = target(answer, target_B)
        if learned.loss == "geometric":
            return geometric(answer.score, right_EB)
        loss_E = LOSSES[learned.loss](answer.score, right_EB)
        if learned.target == "correct":
            return loss_E.mean()
        return loss_E[:-1].sum() / max(len(loss_E) - 1, 1)

    return loss
