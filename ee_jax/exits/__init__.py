"""Confidences, exit rules, and the compiled loop that puts them to work; no Flax, no model."""

from ee_jax.exits.confidence import CONFIDENCES, Confidence, confidences, memoryless
from ee_jax.exits.loop import Stopped, run_exits
from ee_jax.exits.output import ExitOutput
from ee_jax.exits.rules import (
    Limits,
    Rule,
    Verdict,
    first_exit,
    forced_rule,
    make_limits,
    threshold_rule,
)

__all__ = [
    "CONFIDENCES",
    "Confidence",
    "ExitOutput",
    "Limits",
    "Rule",
    "Stopped",
    "Verdict",
    "confidences",
    "first_exit",
    "forced_rule",
    "make_limits",
    "memoryless",
    "run_exits",
    "threshold_rule",
]
