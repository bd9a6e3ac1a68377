"""Confidences: how sure an exit is of its answer; in [0, 1], larger is surer.

None exceeds 1, so that a threshold of 1 never stops, whatever is rounded. The scores of one
answer are plain functions; a `Confidence` makes each of them, and those that follow an example
from exit to exit, a pair of functions of one example, to be batched with `jax.vmap`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from ee_jax.errors import UserError
from ee_jax.exits.output import ExitOutput, Streak, extend_streak, no_streak, prediction
from ee_jax.exits.protocol import check_step
from ee_jax.registry import Registry

Scalar = Float[Array, ""]
Memory = Any  # a pytree: what a confidence remembers of the exits before


def max_prob(logits_C: Float[Array, " C"]) -> Scalar:
    """The largest probability (Schuster et al. 2022, CALM, sec. 3.5).

    Args:
      logits_C: one example's logits over C classes.

    Returns:
      A number in [0, 1].
    """
    chex.assert_rank(logits_C, 1)
    return jnp.minimum(jax.nn.softmax(logits_C).max(), 1.0)


def margin(logits_C: Float[Array, " C"]) -> Scalar:
    """The difference of the two largest probabilities (CALM, sec. 3.5).

    Args:
      logits_C: one example's logits over C classes.

    Returns:
      A number in [0, 1]; 0 where two classes are equally likely.
    """
    chex.assert_rank(logits_C, 1)
    p_C = jax.nn.softmax(logits_C)
    # `top_k` sorts on CPUs: over a vocabulary that takes some twenty times as long.
    others_C = jnp.where(jnp.arange(p_C.size) == p_C.argmax(), -jnp.inf, p_C)
    return jnp.minimum(p_C.max() - others_C.max(), 1.0)


def entropy(logits_C: Float[Array, " C"]) -> Scalar:
    """1 - H / log C: FastBERT's uncertainty (Liu et al. 2020, eq. 6) turned round.

    A probability that underflows to 0 adds nothing, as p log p does in the limit; logits that
    are no numbers have no confidence, and stop nobody.

    Args:
      logits_C: one example's logits over C classes.

    Returns:
      A number in [0, 1]; 0 where all classes are equally likely.
    """
    chex.assert_rank(logits_C, 1)
    log_p = jax.nn.log_softmax(logits_C)
    p = jnp.exp(log_p)
    nats = -jnp.sum(jnp.where(p == 0, 0.0, p * log_p))
    return jnp.clip(1.0 - nats / jnp.log(logits_C.size), 0.0, 1.0)


def saturation(feature_D: Float[Array, " D"], previous_D: Float[Array, " D"]) -> Scalar:
    """Cosine of two exits' hidden states (CALM, sec. 3.5), negative ones as 0.

    Before the first exit there is nothing to compare with: `previous_D` is zero there, and
    so is the confidence.

    Args:
      feature_D: what the exit's head reads of one example.
      previous_D: what the head of the exit before read of it; zeros before the first.

    Returns:
      A number in [0, 1].
    """
    chex.assert_equal_shape([feature_D, previous_D])
    lengths = jnp.linalg.norm(feature_D) * jnp.linalg.norm(previous_D)
    cosine = jnp.vdot(feature_D, previous_D) / jnp.where(lengths > 0, lengths, 1.0)
    return jnp.clip(cosine, 0.0, 1.0)


def learned(score: Scalar) -> Scalar:
    """A trained head's probability that stopping here is right.

    Args:
      score: logit of "stopping here is right", of one example.

    Returns:
      A number in [0, 1].
    """
    chex.assert_rank(score, 0)
    return jax.nn.sigmoid(score)


class Confidence(NamedTuple):
    """`init(answer)` makes one example's memory; `step(answer, memory)` a score and a memory.

    `init` may read only the shapes of the answer. What a confidence needs stands here and
    nowhere else: programs, configs and commands ask it.
    """

    init: Callable[[ExitOutput], Memory]
    step: Callable[[ExitOutput, Memory], tuple[Scalar, Memory]]
    reads_logits: bool = True  # else an exit may leave its logits out
    needs_classes: bool = True  # else it serves regressions too
    compares_exits: bool = False  # so that a single exit cannot have it
    counts_classes: bool = False  # with a number for each in its memory: too many for tokens


def memoryless(
    measure: Callable[[ExitOutput], Scalar],
    reads_logits: bool = True,
    needs_classes: bool = True,
) -> Confidence:
    """The confidence that reads nothing but the answer itself.

    Args:
      measure: from what one exit puts out of one example to a number in [0, 1].
      reads_logits: whether it needs the logits.
      needs_classes: whether it makes no sense of a regression's single output.

    Returns:
      A confidence, to be registered in `CONFIDENCES` under a name of one's own.
    """

    def step(answer: ExitOutput, memory: Memory) -> tuple[Any, Memory]:
        return measure(answer), memory

    return Confidence(lambda answer: (), step, reads_logits, needs_classes)


def saturating() -> Confidence:
    """`saturation`, against what the head of the exit before read.

    Returns:
      A confidence with a memory: what the head of the exit before read.
    """

    def init(answer: ExitOutput) -> Memory:
        feature_D = _given(answer.feature)
        return jnp.zeros(feature_D.shape, feature_D.dtype)

    def step(answer: ExitOutput, previous_D: Memory) -> tuple[Scalar, Memory]:
        feature_D = _given(answer.feature)
        return saturation(feature_D, previous_D), feature_D

    return Confidence(init, step, reads_logits=False, needs_classes=False, compares_exits=True)


def patience(exits: int, tolerance: ArrayLike) -> Confidence:
    """The streak of equal answers that ends here / E (PABEE, Zhou et al. 2020, sec. 3.2).

    The streak counts the exits in a row that answered like the exit before them, E - 1 at
    most; in a regression two answers are the same where they are closer than `tolerance`.

    Args:
      exits: E, the number of exits.
      tolerance: in a regression, answers that are closer are the same.

    Returns:
      A confidence with a memory: the answer before, and the streak.
    """

    def init(answer: ExitOutput) -> Streak:
        return no_streak(jax.eval_shape(prediction, answer.logits))

    def step(answer: ExitOutput, streak: Streak) -> tuple[Scalar, Streak]:
        streak = extend_streak(streak, prediction(answer.logits), tolerance)
        return streak.length / exits, streak

    return Confidence(init, step, needs_classes=False, compares_exits=True)


def voting(exits: int) -> Confidence:
    """The exits so far that gave this exit's answer, itself among them, / E.

    After the voting of Sun et al. 2021 (arXiv:2105.13792), where all internal classifiers so
    far decide together whether to stop and what to answer; their formula was not at hand. Here
    votes are counted plainly, and the answer is the exit's own: whoever stops before the last
    exit at a threshold of a half or more answers like most exits so far.

    Args:
      exits: E, the number of exits.

    Returns:
      A confidence with a memory: the votes for each class.
    """

    def init(answer: ExitOutput) -> Memory:
        return jnp.zeros(answer.logits.shape, jnp.int32)

    def step(answer: ExitOutput, votes_C: Memory) -> tuple[Scalar, Memory]:
        chosen = answer.logits.argmax(-1)
        votes_C = votes_C + jax.nn.one_hot(chosen, votes_C.size, dtype=jnp.int32)
        return votes_C[chosen] / exits, votes_C

    return Confidence(init, step, compares_exits=True, counts_classes=True)


def _given(part: Any) -> Any:
    assert part is not None, "this confidence reads a part that the head's ExitOutput lacks"
    return part


def _score(answer: ExitOutput) -> Scalar:
    return learned(_given(answer.score))


# From the number of exits, and when two answers of a regression are the same.
CONFIDENCES: Registry[Callable[[int, ArrayLike], Confidence]] = Registry(
    "confidence",
    max_prob=lambda exits, tolerance: memoryless(lambda a: max_prob(a.logits)),
    margin=lambda exits, tolerance: memoryless(lambda a: margin(a.logits)),
    entropy=lambda exits, tolerance: memoryless(lambda a: entropy(a.logits)),
    saturation=lambda exits, tolerance: saturating(),
    patience=patience,
    voting=lambda exits, tolerance: voting(exits),
    learned=lambda exits, tolerance: memoryless(_score, False, False),
)


def traits(name: str) -> Confidence:
    """The confidence of a name, to be asked what it needs.

    Args:
      name: of a confidence in CONFIDENCES.

    Returns:
      The confidence, made for one exit.

    Raises:
      UserError: none is registered under this name.
    """
    return CONFIDENCES[name](1, 0.1)


def check_confidence(name: str) -> None:
    """Raises the UserError of a registered confidence that is none, before it is compiled."""
    what = f"confidence `{name}`"
    numbers: Any = jax.ShapeDtypeStruct((3,), jnp.float32)  # arrays would start a device
    score: Any = jax.ShapeDtypeStruct((), jnp.float32)
    try:
        made = CONFIDENCES[name](2, 0.1)
    except TypeError as error:
        raise UserError(f"{what} must be made of (exits, tolerance): {error}") from None
    if not isinstance(made, Confidence):
        raise UserError(f"{what} must make a Confidence(init, step), not {made!r}")
    answer = ExitOutput(numbers, numbers, score)
    check_step(what, made, answer, answer, jnp.floating)


def no_memory(confidence: Confidence, answer: ExitOutput) -> Memory:
    """The memories of a batch before the first exit; B leads, reads only shapes.

    Args:
      confidence: whose memory.
      answer: a batch of outputs, of which only the shapes are read.

    Returns:
      The memory, with B leading every array.
    """
    one = jax.tree.map(lambda part: jax.ShapeDtypeStruct(part.shape[1:], part.dtype), answer)
    batch = answer.logits.shape[:1]
    return jax.tree.map(
        lambda part: jnp.broadcast_to(part, batch + part.shape), confidence.init(one)
    )


def confidences(
    kind: str, answer: ExitOutput, temperature_E: Float[Array, " E"], tolerance: ArrayLike = 0.1
) -> Float[Array, "E N"]:
    """The confidences of all exits of a full forward pass; [E, N] leads every array.

    Args:
      kind: a name in CONFIDENCES.
      answer: the outputs of all exits; [E, N] leads every array.
      temperature_E: above 0; divides the logits before the confidence is taken.
      tolerance: in a regression, answers that are closer are the same.

    Returns:
      Every exit's confidence in every example, in [0, 1].
    """
    cooled = answer._replace(logits=answer.logits / temperature_E[:, None, None])
    confidence = CONFIDENCES[kind](len(answer.logits), tolerance)
    step = jax.vmap(confidence.step)

    def at(memory: Memory, answer: ExitOutput) -> tuple[Memory, Array]:
        confidence_N, memory = step(answer, memory)
        return memory, confidence_N

    first = jax.tree.map(lambda part: part[0], cooled)
    return jax.lax.scan(at, no_memory(confidence, first), cooled)[1]
