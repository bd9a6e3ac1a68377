"""Confidences: how sure an exit is of its answer; in [0, 1], larger is surer.

Each is a function of one example, to be batched with `jax.vmap`. None exceeds 1, so that a
threshold of 1 never stops, whatever is rounded.
"""

from collections.abc import Callable

import chex
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ee_jax.models.heads import Answer

Scalar = Float[Array, ""]


def max_prob(logits_C: Float[Array, " C"]) -> Scalar:
    """The largest probability (Schuster et al. 2022, CALM, sec. 3.5)."""
    chex.assert_rank(logits_C, 1)
    return jnp.minimum(jax.nn.softmax(logits_C).max(), 1.0)


def margin(logits_C: Float[Array, " C"]) -> Scalar:
    """The difference of the two largest probabilities (CALM, sec. 3.5)."""
    chex.assert_rank(logits_C, 1)
    top, second = jax.lax.top_k(jax.nn.softmax(logits_C), 2)[0]
    return jnp.minimum(top - second, 1.0)


def entropy(logits_C: Float[Array, " C"]) -> Scalar:
    """1 - H / log C: FastBERT's uncertainty (Liu et al. 2020, eq. 6) turned round.

    A probability that underflows to 0 adds nothing, as p log p does in the limit.
    """
    chex.assert_rank(logits_C, 1)
    log_p = jax.nn.log_softmax(logits_C)
    p = jnp.exp(log_p)
    nats = -jnp.sum(jnp.where(p > 0, p * log_p, 0.0))
    return jnp.clip(1.0 - nats / jnp.log(logits_C.size), 0.0, 1.0)


def saturation(feature_D: Float[Array, " D"], previous_D: Float[Array, " D"]) -> Scalar:
    """Cosine of two exits' hidden states (CALM, sec. 3.5), negative ones as 0.

    Before the first exit there is nothing to compare with: `previous_D` is zero there, and
    so is the confidence.
    """
    chex.assert_equal_shape([feature_D, previous_D])
    lengths = jnp.linalg.norm(feature_D) * jnp.linalg.norm(previous_D)
    cosine = jnp.vdot(feature_D, previous_D) / jnp.where(lengths > 0, lengths, 1.0)
    return jnp.clip(cosine, 0.0, 1.0)


def learned(score: Scalar) -> Scalar:
    """A trained head's probability that stopping here is right."""
    chex.assert_rank(score, 0)
    return jax.nn.sigmoid(score)


def _given(part: Array | None) -> Array:
    assert part is not None, "this confidence reads a part that the head's Answer lacks"
    return part


Measure = Callable[[Answer, Float[Array, " D"]], Scalar]

# From an answer, and what the head of the exit before read, to a confidence.
CONFIDENCES: dict[str, Measure] = {
    "max_prob": lambda answer, previous: max_prob(answer.logits),
    "margin": lambda answer, previous: margin(answer.logits),
    "entropy": lambda answer, previous: entropy(answer.logits),
    "saturation": lambda answer, previous: saturation(_given(answer.feature), previous),
    "learned": lambda answer, previous: learned(_given(answer.score)),
}


def confidences(
    kind: str, answer: Answer, temperature_E: Float[Array, " E"]
) -> Float[Array, "E N"]:
    """The confidences of all exits of a full forward pass; [E, N] leads every array."""
    answer = answer._replace(logits=answer.logits / temperature_E[:, None, None])
    feature_END = _given(answer.feature)
    previous_END = jnp.concatenate([jnp.zeros_like(feature_END[:1]), feature_END[:-1]])
    return jax.vmap(jax.vmap(CONFIDENCES[kind]))(answer, previous_END)
