"""Losses of one exit on one example or token, and their means at every exit.

E leads every array of an `ExitOutput` here. A target is a class or the next token; in a
regression (heads of one output) a number.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Num

from ee_jax.registry import Registry

Target = Num[Array, " B"]


class Loss(NamedTuple):
    """A loss of one exit on one example or token, and what it needs.

    `of` takes the exit's logits [C], the last exit's, which carry no gradient, and the target,
    and returns a number. It is written for one example: `vmap` makes the batch.
    """

    of: Callable[[Float[Array, " C"], Float[Array, " C"], Array], Float[Array, ""]]
    needs_classes: bool = False  # refused in a regression
    reads_last: bool = False  # compares with the last exit, which then has no such loss
    sums: bool = False  # the sum over the batch in place of its mean


def negative_log_likelihood(
    logits_C: Float[Array, " C"], last_C: Float[Array, " C"], target: Array
) -> Float[Array, ""]:
    """-log p(target), nats; (answer - target)^2 in a regression, which has one output."""
    if logits_C.shape[-1] == 1:
        return jnp.square(logits_C[0] - target)
    return optax.losses.softmax_cross_entropy_with_integer_labels(logits_C, target)


def confidence_weighted(
    logits_C: Float[Array, " C"], last_C: Float[Array, " C"], target: Array
) -> Float[Array, ""]:
    """-log p(target) times the largest probability, which carries no gradient.

    EE-LLM's option that an exit learns most from what it is sure of (Chen et al. 2024).
    """
    top = jax.lax.stop_gradient(jax.nn.softmax(logits_C).max())
    return top * negative_log_likelihood(logits_C, last_C, target)


NLL = Loss(negative_log_likelihood)
# What exits may learn from labels, or from the text; the field `loss` of a strategy.
LOSSES: Registry[Loss] = Registry(
    "loss", nll=NLL, confidence_weighted=Loss(confidence_weighted, needs_classes=True)
)


def exit_losses(
    losses: Sequence[Loss], logits_EBC: Float[Array, "E B C"], target_B: Target
) -> list[Float[Array, " E"]]:
    """Each loss at every exit, its mean (or sum) over the batch.

    Args:
      losses: what to compute.
      logits_EBC: the answers of all exits.
      target_B: what the right answers are.

    Returns:
      For each of `losses` one number an exit; 0 for the last exit where the loss compares an
      exit with the last.
    """
    last_BC = jax.lax.stop_gradient(logits_EBC[-1])
    return [_at_exits(loss, logits_EBC, last_BC, target_B) for loss in losses]


def _at_exits(loss: Loss, logits_EBC: Array, last_BC: Array, target_B: Array) -> Array:
    over_exits = jax.vmap(jax.vmap(loss.of), in_axes=(0, None, None))
    loss_EB = over_exits(logits_EBC, last_BC, target_B)
    loss_E = loss_EB.sum(1) if loss.sums else loss_EB.mean(1)
    # The last exit is its own teacher: a gradient from itself would be noise.
    return loss_E.at[-1].set(0.0) if loss.reads_last else loss_E
