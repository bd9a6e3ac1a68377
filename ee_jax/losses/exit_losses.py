"""Losses of one exit on one example or token, and their means at every exit.

E leads every array of an `ExitOutput` here. A target is a class or the next token; in a
regression (heads of one output) a number.

Losses by which an exit learns the last exit's distribution, without labels.
"""

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

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
    """-log p(target), nats; (answer - target)^2 in a regression, which has one output.

    Args:
      logits_C: the exit's logits.
      last_C: the last exit's, which this loss does not read.
      target: a class or a token; in a regression a number.

    Returns:
      The loss of one exit on one example or token.
    """
    if logits_C.shape[-1] == 1:
        return jnp.square(logits_C[0] - target)
    return optax.losses.softmax_cross_entropy_with_integer_labels(logits_C, target)


def confidence_weighted(
    logits_C: Float[Array, " C"], last_C: Float[Array, " C"], target: Array
) -> Float[Array, ""]:
    """-log p(target) times the largest probability, which carries no gradient.

    EE-LLM's option that an exit learns most from what it is sure of (Chen et al. 2024).

    Args:
      logits_C: the exit's logits.
      last_C: the last exit's, which this loss does not read.
      target: a class or a token.

    Returns:
      The loss of one exit on one example or token, in nats.
    """
    top = jax.lax.stop_gradient(jax.nn.softmax(logits_C).max())
    return top * negative_log_likelihood(logits_C, last_C, target)


def label_smoothed(smoothing: float) -> Loss:
    """Cross-entropy with smoothed labels (Szegedy et al. 2016): a share goes to all alike.

    (1 - s) (-log p(target)) + s mean_c(-log p(c)), in nats; the target is one of the classes of
    the mean (arXiv:1512.00567, sec. 7, with a uniform u). Transformers take s = 0.1 (Vaswani et
    al. 2017, sec. 5.4). A class that cannot be, of probability 0, makes it infinite.

    Args:
      smoothing: s, from 0, which is `NLL`, to below 1.

    Returns:
      A loss of classes or tokens.
    """

    def of(logits_C: Array, last_C: Array, target: Array) -> Array:
        log_p_C = jax.nn.log_softmax(logits_C)
        return -(1 - smoothing) * log_p_C[target] - smoothing * log_p_C.mean()

    return Loss(of, needs_classes=True)


NLL = Loss(negative_log_likelihood)
# What exits may learn from labels, or from the text; the field `loss` of a strategy.
LOSSES: Registry[Loss] = Registry(
    "loss",
    nll=NLL,
    confidence_weighted=Loss(confidence_weighted, needs_classes=True),
    label_smoothed=label_smoothed(0.1),
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


Direction = Literal["paper", "code"]


def distillation_kl(
    teacher_V: Float[Array, "*B V"], student_V: Float[Array, "*B V"], temperature: float
) -> Float[Array, "*B"]:
    """KL(teacher || student) at a temperature t, times t^2 (Hinton et al. 2015, sec. 2), nats.

    The teacher learns nothing from it.

    Args:
      teacher_V: logits that are learned from.
      student_V: logits that learn.
      temperature: t, above 0.

    Returns:
      The divergence, at least 0.
    """
    teacher = jax.nn.log_softmax(jax.lax.stop_gradient(teacher_V) / temperature)
    student = jax.nn.log_softmax(student_V / temperature)
    return temperature**2 * jnp.sum(jnp.exp(teacher) * (teacher - student), -1)


def reverse_kl(
    teacher_V: Float[Array, "*B V"], student_V: Float[Array, "*B V"], temperature: float
) -> Float[Array, "*B"]:
    """KL(student || teacher) at a temperature t, times t^2, in nats (FastBERT, eq. 5).

    Args:
      teacher_V: logits that are learned from.
      student_V: logits that learn.
      temperature: t, above 0.

    Returns:
      The divergence, at least 0.
    """
    teacher = jax.nn.log_softmax(jax.lax.stop_gradient(teacher_V) / temperature)
    student = jax.nn.log_softmax(student_V / temperature)
    kl = optax.losses.kl_divergence_with_log_targets  # (log q, log p) -> KL(p || q)
    return temperature**2 * kl(teacher, student)


def kl_to_last(temperature: float, direction: Direction) -> Loss:
    """How far an exit's distribution is from the last exit's, in nats.

    FastBERT (Liu et al. 2020). Its eq. 5 is KL(student || teacher), `paper`; its released code
    computes KL(teacher || student), `code`, as is usual. Both distributions are
    softmax(logits / T), and the loss is multiplied by T^2, which keeps the size of its gradient
    (Hinton et al. 2015); the paper's T is 1.

    Args:
      temperature: T, above 0.
      direction: `paper` or `code`.

    Returns:
      A loss that compares an exit with the last one.
    """
    divergence = reverse_kl if direction == "paper" else distillation_kl

    def of(logits_C: Array, last_C: Array, target: Array) -> Array:
        return divergence(last_C, logits_C, temperature)

    return Loss(of, needs_classes=True, reads_last=True)


def soft_cross_entropy(temperature: float, direction: Direction) -> Loss:
    """The cross-entropy of an exit's distribution against the last exit's (BERxiT, 2021).

    As distillation is written (`paper`, Hinton et al. 2015) the logits are divided by T, and
    the mean over the batch is multiplied by T^2. BERxiT's released code (`code`) divides the
    probabilities by T, those in the logarithm too, and sums over the batch.

    Args:
      temperature: T, above 0.
      direction: `paper` or `code`.

    Returns:
      A loss that compares an exit with the last one.
    """

    def paper(logits_C: Array, last_C: Array, target: Array) -> Array:
        teacher_C = jnp.exp(jax.nn.log_softmax(last_C / temperature))
        student_C = jax.nn.log_softmax(logits_C / temperature)
        return -(temperature**2) * jnp.sum(teacher_C * student_C)

    def code(logits_C: Array, last_C: Array, target: Array) -> Array:
        teacher_C = jax.nn.softmax(last_C) / temperature
        student_C = jax.nn.log_softmax(logits_C) - jnp.log(temperature)
        return -(temperature**2) * jnp.sum(teacher_C * student_C)

    of, sums = {"paper": (paper, False), "code": (code, True)}[direction]
    return Loss(of, needs_classes=True, reads_last=True, sums=sums)
