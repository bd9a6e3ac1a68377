"""Exit rules: which of the confident examples stop.

An example may stop at an exit where its confidence is above the threshold, enough blocks have
run and enough exits in a row have given the same answer. A rule may hold it back: it never lets
anyone stop who is not confident, so that a threshold of 1 is the full model under every rule,
and what calibration promises holds for all of them. The compiled loops and calibration ask the
same function, `decide`.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Bool, Float, Int, Num, Shaped

from ee_jax.errors import UserError
from ee_jax.exits.output import Streak, extend_streak, no_streak
from ee_jax.exits.protocol import check_step
from ee_jax.registry import Registry

Memory = Any  # a pytree: what a rule remembers of the exits before


class Evidence(NamedTuple):
    """What a rule reads of one example at one exit."""

    exit: Int[Array, ""]  # 0 is the first
    confidence: Float[Array, ""]
    threshold: Float[Array, ""]
    prediction: Num[Array, ""]  # a class, a token, or in a regression a number


class ExitRule(NamedTuple):
    """`init(prediction)` makes one example's memory; `step(evidence, memory)` stops it or not.

    `init` may read only shape and type of the prediction. Both are batched with `jax.vmap`.
    """

    init: Callable[[Num[Array, ""]], Memory]
    step: Callable[[Evidence, Memory], tuple[Bool[Array, ""], Memory]]
    reads_predictions: bool = False  # else an exit of a language model may leave logits out


def _all(evidence: Evidence, memory: Memory) -> tuple[Bool[Array, ""], Memory]:
    return jnp.bool_(True), memory


# What `exits.rule` may name. `threshold`: all who are confident stop.
RULES: Registry[ExitRule] = Registry("exit rule", threshold=ExitRule(lambda _: (), _all))


class Stopping(NamedTuple):
    """Who may stop, but for the thresholds: fixed when a program is compiled."""

    rule: str = "threshold"  # a name in RULES
    min_depth: int = 1  # blocks that always run
    patience: int = 0  # exits in a row that must answer like the one before them
    tolerance: float = 0.1  # in a regression, answers that are closer are the same

    @property
    def reads_predictions(self) -> bool:
        """Whether an exit's answer is needed to say who stops."""
        return self.patience > 0 or RULES[self.rule].reads_predictions


PLAIN = Stopping()


def check_rule(name: str) -> None:
    """Raises the UserError of a registered rule that is none, before anything is compiled."""
    rule = RULES[name]
    if not isinstance(rule, ExitRule):
        raise UserError(f"exit rule `{name}` must be an ExitRule(init, step), not {rule!r}")
    number: Any = jax.ShapeDtypeStruct((), jnp.float32)
    whole: Any = jax.ShapeDtypeStruct((), jnp.int32)
    evidence = Evidence(whole, number, number, whole)
    check_step(f"exit rule `{name}`", rule, whole, evidence, jnp.bool_)


class Limits(NamedTuple):
    """What may change from call to call of a compiled program."""

    threshold_E: Float[Array, "E ..."]  # an example may stop where confidence > threshold
    depth_E: Int[Array, " E"]  # blocks run at each exit
    temperature_E: Float[Array, " E"]  # divides the logits before the confidence is taken


def make_limits(
    threshold: ArrayLike | Sequence[float],
    exit_layers: Sequence[int],
    temperature: ArrayLike | Sequence[float] = 1.0,
) -> Limits:
    """Limits from one threshold and temperature an exit, or one for all.

    Args:
      threshold: from 0 to 1; at 1 nobody stops before the last exit. Of two axes, those of
        each example at each exit.
      exit_layers: blocks run at each exit.
      temperature: above 0.

    Raises:
      ValueError: thresholds or temperatures of another number of exits.
    """
    exits = (len(exit_layers),)
    threshold_E = jnp.asarray(threshold, jnp.float32)
    if threshold_E.ndim < 2:
        threshold_E = jnp.broadcast_to(threshold_E, exits)
    temperature_E = jnp.broadcast_to(jnp.asarray(temperature, jnp.float32), exits)
    return Limits(threshold_E, jnp.asarray(exit_layers, jnp.int32), temperature_E)


class Progress(NamedTuple):
    """What follows each example from exit to exit; B leads every array."""

    streak: Streak
    memory: Memory


def begin(
    stopping: Stopping, prediction_B: Shaped[Array, " B"] | jax.ShapeDtypeStruct
) -> Progress:
    """The progress before the first exit.

    Args:
      stopping: who may stop.
      prediction_B: only shape and type are read.
    """
    memory = jax.tree.map(
        lambda part: jnp.broadcast_to(part, (*prediction_B.shape, *jnp.shape(part))),
        RULES[stopping.rule].init(jnp.zeros((), prediction_B.dtype)),
    )
    return Progress(no_streak(prediction_B), memory)


def decide(
    stopping: Stopping,
    limits: Limits,
    exit: Int[Array, ""],
    confidence_B: Float[Array, " B"],
    prediction_B: Num[Array, " B"],
    progress: Progress,
) -> tuple[Bool[Array, " B"], Progress]:
    """Who stops at an exit, of those who have come so far.

    Args:
      stopping: who may stop.
      limits: thresholds and depths.
      exit: the number of the exit.
      confidence_B: the exit's confidence in each example.
      prediction_B: the exit's answers; anything where `stopping` reads none.
      progress: what the exits before have left.

    Returns:
      Whether each example stops, and the progress after this exit.
    """
    threshold_B = jnp.broadcast_to(limits.threshold_E[exit], confidence_B.shape)
    exit_B = jnp.broadcast_to(exit, confidence_B.shape)
    evidence = Evidence(exit_B, confidence_B, threshold_B, prediction_B)
    ruled_B, memory = jax.vmap(RULES[stopping.rule].step)(evidence, progress.memory)
    streak = extend_streak(progress.streak, prediction_B, stopping.tolerance)
    stop_B = ruled_B & (confidence_B > threshold_B)
    stop_B &= limits.depth_E[exit] >= stopping.min_depth
    return stop_B & (streak.length >= stopping.patience), Progress(streak, memory)
