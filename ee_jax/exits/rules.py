"""Who stops here: rules over an exit's outputs, for the compiled loops and for traces.

A rule is a pair of pure functions, as Optax's transformations are: `init` makes the state that
follows each example from exit to exit, `step` reads an exit's outputs and says who stops. What
may change without compiling again (thresholds, depths) is an array in the functions' closure or
in the state. `exit_update` is the one place where a verdict makes an example stop.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Bool, Float, Int, Num

from ee_jax.exits.confidence import CONFIDENCES, no_memory
from ee_jax.exits.output import ExitOutput, prediction
from ee_jax.exits.stopping import PLAIN, Limits, Progress, Stopping, begin, decide, make_limits

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


class Update(NamedTuple):
    """What an exit changes for each example."""

    here_B: Bool[Array, " B"]  # stops at this exit
    done_B: Bool[Array, " B"]  # has stopped, here or before
    confidence_B: Float[Array, " B"]
    rule_state: RuleState


def exit_update(
    rule: Rule,
    exit: Int[Array, ""],
    is_last: ArrayLike,
    answer: ExitOutput,
    done_B: Bool[Array, " B"],
    state: RuleState,
) -> Update:
    """Who stops at this exit; whoever is left at the last exit stops there.

    Args:
      rule: who stops where.
      exit: the number of the exit.
      is_last: whether it is the last.
      answer: what the exit puts out; that of examples that have stopped means nothing.
      done_B: who has stopped before, whose state stays as it was.
      state: the rule's.
    """
    verdict, after = rule.step(exit, answer, state)
    here_B = ~done_B & (verdict.stop_B | is_last)
    return Update(here_B, done_B | here_B, verdict.confidence_B, choose(done_B, state, after))


def choose(yes_B: Bool[Array, " B"], yes: Any, no: Any) -> Any:
    """Row by row, one or the other of two pytrees of arrays that B leads."""

    def pick(yes: Array, no: Array) -> Array:
        return jnp.where(yes_B.reshape(-1, *[1] * (yes.ndim - 1)), yes, no)

    return jax.tree.map(pick, yes, no)


def threshold_rule(confidence: str, limits: Limits, stopping: Stopping = PLAIN) -> Rule:
    """Stops where `confidence` is above the threshold and `stopping` lets it.

    Where neither the confidence nor `stopping` reads what the exit answers, the rule reads no
    logits: in a large vocabulary an exit's logits cost as much as several blocks, and a program
    with such a rule computes them once a token, where it stops.

    Args:
      confidence: a name in CONFIDENCES.
      limits: thresholds, depths and temperatures.
      stopping: exit rule, least depth, patience and tolerance.

    Raises:
      UserError: a confidence or an exit rule that is not registered.
    """
    made = CONFIDENCES[confidence](len(limits.threshold_E), stopping.tolerance)
    measure = jax.vmap(made.step)
    reads_logits = made.reads_logits or stopping.reads_predictions

    def answers(answer: ExitOutput) -> Array:
        if reads_logits:
            return prediction(answer.logits)
        return jnp.zeros(answer.logits.shape[:1], jnp.int32)

    def init(answer: ExitOutput) -> tuple[Progress, Any]:
        return begin(stopping, jax.eval_shape(answers, answer)), no_memory(made, answer)

    def step(exit: Array, answer: ExitOutput, state: RuleState) -> tuple[Verdict, RuleState]:
        progress, memory = state
        cooled = answer._replace(logits=answer.logits / limits.temperature_E[exit])
        confidence_B, memory = measure(cooled, memory)
        decided = decide(stopping, limits, exit, confidence_B, answers(answer), progress)
        return Verdict(decided[0], confidence_B), (decided[1], memory)

    return Rule(init, step, reads_logits)


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

    return Rule(init, step, never.reads_logits)


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
    limits: Limits,
    confidence_EN: Float[Array, "E N"],
    prediction_EN: Num[Array, "E N"],
    stopping: Stopping = PLAIN,
) -> Int[Array, " N"]:
    """Where each example of a trace stops: the number of its exit; the last always answers.

    The same decisions as the compiled loop's, without the model.

    Args:
      limits: thresholds and depths.
      confidence_EN: every exit's confidence in every example.
      prediction_EN: every exit's answers.
      stopping: exit rule, least depth, patience and tolerance.
    """
    chex.assert_equal_shape([confidence_EN, prediction_EN])

    def step(progress: Progress, at: tuple[Array, Array, Array]) -> tuple[Progress, Array]:
        stop_N, progress = decide(stopping, limits, *at, progress)
        return progress, stop_N

    columns = (jnp.arange(len(confidence_EN)), confidence_EN, prediction_EN)
    _, stop_EN = jax.lax.scan(step, begin(stopping, prediction_EN[0]), columns)
    return stop_EN.at[-1].set(True).argmax(0)
