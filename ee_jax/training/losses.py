"""Losses of many exits, and how they are weighted against each other."""

import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int

from ee_jax.errors import UserError
from ee_jax.models.heads import Answer


def exit_weights(scheme: str | tuple[float, ...], exits: int) -> np.ndarray:
    """The weight of each exit's loss; they sum to 1.

    `uniform` 1/E; `linear` i / sum i, as in CALM and PABEE; `geometric` 2^(i-1) / (2^E - 1);
    or E numbers of one's own, divided by their sum.
    """
    number_E = np.arange(1, exits + 1)
    schemes = {
        "uniform": np.ones(exits),
        "linear": number_E.astype(float),
        "geometric": 2.0 ** (number_E - 1),
    }
    weight_E = schemes[scheme] if isinstance(scheme, str) else np.asarray(scheme, float)
    if len(weight_E) != exits or not (weight_E.min() >= 0 and 0 < weight_E.sum() < np.inf):
        raise UserError(
            f"config field `strategies.weights` must hold {exits} numbers, one an exit, none "
            f"negative and not all 0, not {scheme}"
        )
    return weight_E / weight_E.sum()


def exit_losses(
    logits_EBC: Float[Array, "E B C"], label_B: Int[Array, " B"]
) -> Float[Array, " E"]:
    """The mean cross-entropy of each exit, in nats."""
    label_EB = jnp.broadcast_to(label_B, logits_EBC.shape[:2])
    cross_entropy = optax.losses.softmax_cross_entropy_with_integer_labels
    return cross_entropy(logits_EBC, label_EB).mean(1)


def learned_loss(
    score_EB: Float[Array, "E B"], right_EB: Bool[Array, "E B"]
) -> Float[Array, " E"]:
    """How badly each exit's learned confidence foretells that its answer is right, in nats.

    Binary cross-entropy, as CALM's meta classifier (Schuster et al. 2022, sec. 3.5); here the
    target is the label rather than the last exit's answer.
    """
    return optax.losses.sigmoid_binary_cross_entropy(score_EB, right_EB).mean(1)


def multi_exit_loss(
    answer: Answer, label_B: Int[Array, " B"], weight_E: Float[Array, " E"]
) -> tuple[Float[Array, ""], Float[Array, " E"]]:
    """The weighted loss (E leads the answer's arrays), and each exit's cross-entropy.

    L = sum_i w_i L_i / sum_i w_i (Kaya et al. 2019; CALM eq. 3). A learned confidence adds its
    own loss, whose gradient reaches nothing but itself.
    """
    loss_E = exit_losses(answer.logits, label_B)
    loss = jnp.vdot(weight_E, loss_E)
    if answer.score is not None:
        right_EB = answer.logits.argmax(-1) == label_B[None]
        loss += learned_loss(answer.score, right_EB).mean()
    return loss, loss_E
