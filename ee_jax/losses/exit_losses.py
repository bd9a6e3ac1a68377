"""Losses of many exits, and how they are weighted against each other.

E leads every array of an `ExitOutput` here. A target is a class, or in a regression (heads of
one output) a number.
"""

from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Num

from ee_jax.errors import UserError
from ee_jax.exits.output import ExitOutput
from ee_jax.losses.next_token import distillation_kl

Target = Num[Array, " B"]
# From the answers of all exits, the target and the weight of each exit to a number.
Loss = Callable[[ExitOutput, Target, Float[Array, " E"]], Float[Array, ""]]


def exit_weights(scheme: str | tuple[float, ...], exits: int, stride: int = 1) -> np.ndarray:
    """The weight of each exit's loss; they sum to 1.

    `uniform` 1 / E, up to scale the plain sum of BERxiT and DeeBERT; AdamW knows no scale,
    unless the gradient is clipped. `linear` i / sum i, as in CALM and PABEE. `geometric`
    2^(i-1) / (2^E - 1). `strided` 1, 1 + k, 1 + 2k, ... (t5x) over their sum, k the stride.
    Or E numbers of one's own, over their sum.
    """
    number_E = np.arange(1, exits + 1)
    schemes = {
        "uniform": np.ones(exits),
        "linear": number_E.astype(float),
        "geometric": 2.0 ** (number_E - 1),
        "strided": 1.0 + stride * (number_E - 1),
    }
    weight_E = schemes[scheme] if isinstance(scheme, str) else np.asarray(scheme, float)
    if len(weight_E) != exits or not (weight_E.min() >= 0 and 0 < weight_E.sum() < np.inf):
        raise UserError(
            f"config field `strategies.weights` must hold {exits} numbers, one an exit, none "
            f"negative and not all 0, not {scheme}"
        )
    return weight_E / weight_E.sum()


def exit_losses(logits_EBC: Float[Array, "E B C"], target_B: Target) -> Float[Array, " E"]:
    """The mean cross-entropy of each exit, in nats; the mean squared error of a regression."""
    target_EB = jnp.broadcast_to(target_B, logits_EBC.shape[:2])
    if logits_EBC.shape[-1] == 1:
        return jnp.square(logits_EBC[..., 0] - target_EB).mean(1)
    cross_entropy = optax.losses.softmax_cross_entropy_with_integer_labels
    return cross_entropy(logits_EBC, target_EB).mean(1)


def weighted_loss(
    answer: ExitOutput, target_B: Target, weight_E: Float[Array, " E"]
) -> Float[Array, ""]:
    """sum_i w_i L_i (Kaya et al. 2019; CALM eq. 3)."""
    return jnp.vdot(weight_E, exit_losses(answer.logits, target_B))


Direction = Literal["paper", "code"]


def distillation_losses(
    logits_EBC: Float[Array, "E B C"], temperature: float, direction: Direction
) -> Float[Array, " E"]:
    """How far each exit's distribution is from the last exit's, in nats; 0 for the last.

    FastBERT (Liu et al. 2020). Its eq. 5 is KL(student || teacher), `paper`; its released code
    computes KL(teacher || student), `code`. Both distributions are softmax(logits / T), and the
    loss is multiplied by T^2, which keeps the size of its gradient (Hinton et al. 2015); the
    paper's T is 1. The teacher learns nothing from it.
    """
    teacher_EBC = jnp.broadcast_to(logits_EBC[-1], logits_EBC.shape)
    way = _towards_paper if direction == "paper" else distillation_kl
    divergence_EB = way(teacher_EBC, logits_EBC, temperature)
    # The last exit is its own teacher: a gradient of its KL would be noise.
    return divergence_EB.mean(1).at[-1].set(0.0)


def _towards_paper(
    teacher_EBC: Float[Array, "E B C"], student_EBC: Float[Array, "E B C"], temperature: float
) -> Float[Array, "E B"]:
    """`distillation_kl` with KL(student || teacher) in place of KL(teacher || student)."""
    teacher_EBC = jax.nn.log_softmax(jax.lax.stop_gradient(teacher_EBC) / temperature)
    student_EBC = jax.nn.log_softmax(student_EBC / temperature)
    kl = optax.losses.kl_divergence_with_log_targets  # (log q, log p) -> KL(p || q)
    return temperature**2 * kl(teacher_EBC, student_EBC)


def distill_loss(temperature: float, direction: Direction) -> Loss:
    """FastBERT's second stage: the weighted sum of the lower exits' distillation losses."""

    def loss(answer: ExitOutput, target_B: Target, weight_E: Array) -> Array:
        return jnp.vdot(weight_E, distillation_losses(answer.logits, temperature, direction))

    return loss


def self_distill_loss(temperature: float, direction: Direction) -> Loss:
    """BERxiT's self-distillation (Xin et al. 2021): all exits' losses and, for each lower exit,
    the cross-entropy of its distribution against the last exit's.

    As distillation is written (`paper`, Hinton et al. 2015) the logits are divided by T, and
    the mean over the batch is multiplied by T^2. BERxiT's released code (`code`) divides the
    probabilities by T, those in the logarithm too, and sums over the batch.
    """
    soft = {"paper": _soft_cross_entropy, "code": _soft_cross_entropy_of_code}[direction]

    def loss(answer: ExitOutput, target_B: Target, weight_E: Array) -> Array:
        lower_E = soft(answer.logits, temperature).at[-1].set(0.0)
        return jnp.vdot(weight_E, exit_losses(answer.logits, target_B) + lower_E)

    return loss


def _soft_cross_entropy(logits_EBC: Array, temperature: float) -> Array:
    student_EBC = jax.nn.log_softmax(logits_EBC / temperature)
    teacher_1BC = jax.lax.stop_gradient(jnp.exp(student_EBC[-1:]))
    return -(temperature**2) * jnp.sum(teacher_1BC * student_EBC, -1).mean(1)


def _soft_cross_entropy_of_code(logits_EBC: Array, temperature: float) -> Array:
    student_EBC = jax.nn.log_softmax(logits_EBC) - jnp.log(temperature)
    teacher_1BC = jax.lax.stop_gradient(jax.nn.softmax(logits_EBC[-1:])) / temperature
    return -(temperature**2) * jnp.sum(teacher_1BC * student_EBC, (-2, -1))
