"""Exit rules: who stops here.

A rule is a pair of pure functions, as Optax's transformations are: `init` makes the state that
follows each example from exit to exit, `step` reads an exit's answers and says who stops. What
may change without compiling again (thresholds, depths) is an array in the functions' closure or
in the state.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Bool, Float, Int, Num

from ee_jax.exits.confidence import CONFIDENCES, Memory, no_memory
from ee_jax.exits.output import ExitOutput, prediction
from ee_jax.exits.streaks import Streak, extend_streak, no_streak

RuleState = Any  # a pytree in which B leads every array


class Verdict(NamedTuple):
    """What a rule says of each example at an exit."""

    stop_B: Bool[Array, " B"]
    confidence_B: Float[Array, " B"]


class Rule(NamedTuple):
    """`init(answer)` gives the state; `step(exit, answer, state)` a verdict and a state.

    `init` may read only the shapes of the answer. `exit` is a traced number. A rule that reads
    no logits may be given none: an array [B, 0].
    """

    init: Callable[[ExitOutput], RuleState]
    step: Callable[[Array, ExitOutput, RuleState], tuple[Verdict, RuleState]]
    reads_logits: bool = True


class Limits(NamedTuple):
    """When a confident example may stop."""

    threshold_E: Float[Array, " E"]  # stops where confidence > threshold
    depth_E: Int[Array, " E"]  # blocks run at each exit
    temperature_E: Float[Array, " E"]  # divides the logits before the confidence is taken
    min_depth: Int[Array, ""]
    patience: Int[Array, ""]
    tolerance: Float[Array, ""]  # in a regression, answers that are closer are the same


def may_stop(
    limits: Limits, exit: Array, confidence_B: Float[Array, " B"], length_B: Int[Array, " B"]
) -> Bool[Array, " B"]:
    """Confidence above the exit's threshold, deep enough, and agreed long enough."""
    sure_B = confidence_B > limits.threshold_E[exit]
    deep = limits.depth_E[exit] >= limits.min_depth
    return sure_B & deep & (length_B >= limits.patience)


def make_limits(
    threshold: ArrayLike,
    exit_layers: Sequence[int],
    temperature: ArrayLike = 1.0,
    min_depth: int = 1,
    patience: int = 0,
    tolerance: float = 0.1,
) -> Limits:
    """Limits from one threshold and temperature an exit, or one for all."""
    exits = (len(exit_layers),)
    threshold_E = jnp.broadcast_to(jnp.asarray(threshold, jnp.float32), exits)
    temperature_E = jnp.broadcast_to(jnp.asarray(temperature, jnp.float32), exits)
    depth_E = jnp.asarray(exit_layers, jnp.int32)
    least, streak = jnp.int32(min_depth), jnp.int32(patience)
    near = jnp.float32(tolerance)
    return Limits(threshold_E, depth_E, temperature_E, least, streak, near)


def threshold_rule(confidence: str, limits: Limits) -> Rule:
    """Stops where `confidence` is above the threshold, within `limits`."""
    made = CONFIDENCES[confidence](len(limits.threshold_E), limits.tolerance)
    measure = jax.vmap(made.step)

    def init(answer: ExitOutput) -> tuple[Streak, Memory]:
        streak = no_streak(jax.eval_shape(prediction, answer.logits))
        return streak, no_memory(made, answer)

    def step(exit: Array, answer: ExitOutput, state: RuleState) -> tuple[Verdict, RuleState]:
        streak, memory = state
        cooled = answer._replace(logits=answer.logits / limits.temperature_E[exit])
        confidence_B, memory = measure(cooled, memory)
        streak = extend_streak(streak, prediction(answer.logits), limits.tolerance)
        stop_B = may_stop(limits, exit, confidence_B, streak.length)
        return Verdict(stop_B, confidence_B), (streak, memory)

    return Rule(init, step)


def is_reached(
    depth_B: Int[Array, " B"], exit: Array, exit_layers: Sequence[int]
) -> Bool[Array, " B"]:
    """Is this exit at or beyond each example's given depth, in blocks?"""
    return jnp.asarray(exit_layers)[exit] >= depth_B


def forced_rule(confidence: str, depth_B: Int[Array, " B"], exit_layers: Sequence[int]) -> Rule:
    """Stops each example at the first exit at or beyond its given depth.

    For oracles and benchmarks: the confidence is computed all the same, so that the program
    costs what it costs in use.
    """
    never = threshold_rule(confidence, make_limits(1.0, exit_layers))

    def init(answer: ExitOutput) -> RuleState:
        chex.assert_equal_shape_prefix([answer.logits, depth_B], 1)
        return depth_B, never.init(answer)

    def step(exit: Array, answer: ExitOutput, state: RuleState) -> tuple[Verdict, RuleState]:
        wanted_B, inner = state
        verdict, inner = never.step(exit, answer, inner)
        stop_B = is_reached(wanted_B, exit, exit_layers)
        return verdict._replace(stop_B=stop_B), (wanted_B, inner)

    return Rule(init, step)


def feature_rule(confidence: str, limits: Limits) -> Rule:
    """Stops where a confidence that reads no logits is above the threshold.

    Where the vocabulary is large, an exit's logits cost as much as several blocks: a program
    with this rule computes them once a token, where it stops. It knows no patience, which
    compares answers.
    """
    made = CONFIDENCES[confidence](len(limits.threshold_E), limits.tolerance)
    assert not made.reads_logits, f"{confidence} reads logits"

    def init(answer: ExitOutput) -> RuleState:
        return no_memory(made, answer)

    def step(exit: Array, answer: ExitOutput, memory: RuleState) -> tuple[Verdict, RuleState]:
        confidence_B, memory = jax.vmap(made.step)(answer, memory)
        patient_B = jnp.broadcast_to(limits.patience, confidence_B.shape)
        stop_B = may_stop(limits, exit, confidence_B, patient_B)
        return Verdict(stop_B, confidence_B), memory

    return Rule(init, step, reads_logits=False)


def depth_rule(depth_B: Int[Array, " B"], exit_layers: Sequence[int]) -> Rule:
    """Stops each row at the first exit at or beyond its given depth; no confidence: 0."""

    def init(answer: ExitOutput) -> RuleState:
        chex.assert_equal_shape_prefix([answer.logits, depth_B], 1)
        return depth_B

    def step(exit: Array, answer: ExitOutput, wanted_B: RuleState) -> tuple[Verdict, RuleState]:
        stop_B = is_reached(wanted_B, exit, exit_layers)
        return Verdict(stop_B, jnp.zeros(stop_B.shape)), wanted_B

    return Rule(init, step, reads_logits=False)


def first_exit(
    limits: Limits, confidence_EN: Float[Array, "E N"], prediction_EN: Num[Array, "E N"]
) -> Int[Array, " N"]:
    """Where each example of a trace stops: the number of its exit; the last always answers.

    The same decisions as the compiled loop's, without the model.
    """
    chex.assert_equal_shape([confidence_EN, prediction_EN])

    def step(streak: Streak, at: tuple[Array, Array, Array]) -> tuple[Streak, Array]:
        exit, confidence_N, prediction_N = at
        streak = extend_streak(streak, prediction_N, limits.tolerance)
        return streak, may_stop(limits, exit, confidence_N, streak.length)

    numbers = jnp.arange(len(confidence_EN))
    columns = (numbers, confidence_EN, prediction_EN)
    _, stop_EN = jax.lax.scan(step, no_streak(prediction_EN[0]), columns)
    return stop_EN.at[-1].set(True).argmax(0)
