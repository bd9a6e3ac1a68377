"""Exit rules that read no logits.

Where the vocabulary is large, an exit's logits cost as much as several blocks. A program whose
rule does without them computes them once a token, where it stops.
"""

from collections.abc import Sequence

import chex
import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from ee_jax.exits.confidence import CONFIDENCES, no_memory
from ee_jax.exits.rules import Limits, Rule, RuleState, Verdict, is_reached, may_stop
from ee_jax.models.heads import ExitOutput

LOGIT_FREE = ("saturation", "learned")  # confidences that read no logits


def feature_rule(confidence: str, limits: Limits) -> Rule:
    """Stops where `saturation` or `learned` is above the threshold; knows no patience."""
    assert confidence in LOGIT_FREE, f"{confidence} reads logits"
    made = CONFIDENCES[confidence](len(limits.threshold_E), limits.tolerance)

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
