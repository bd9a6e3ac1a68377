"""Losses by which an exit learns the last exit's distribution, without labels."""

from typing import Literal

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from ee_jax.losses.exit_losses import Loss

Direction = Literal["paper", "code"]


def distillation_kl(
    teacher_V: Float[Array, "*B V"], student_V: Float[Array, "*B V"], temperature: float
) -> Float[Array, "*B"]:
    """KL(teacher || student) at a temperature t, times t^2 (Hinton et al. 2015, sec. 2), nats.

    The teacher learns nothing from it.
    """
    teacher = jax.nn.log_softmax(jax.lax.stop_gradient(teacher_V) / temperature)
    student = jax.nn.log_softmax(student_V / temperature)
    return temperature**2 * jnp.sum(jnp.exp(teacher) * (teacher - student), -1)


def reverse_kl(
    teacher_V: Float[Array, "*B V"], student_V: Float[Array, "*B V"], temperature: float
) -> Float[Array, "*B"]:
    """KL(student || teacher) at a temperature t, times t^2, in nats (FastBERT, eq. 5)."""
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
