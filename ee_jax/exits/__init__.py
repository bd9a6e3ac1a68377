"""Confidences, exit rules, and the compiled loop that puts them to work; no Flax, no model."""

from ee_jax.exits.confidence import CONFIDENCES, Confidence, confidences, memoryless
from ee_jax.exits.loop import Stopped, run_exits
from ee_jax.exits.output import ExitOutput
from ee_jax.exits.rules import (
    Rule,
    Verdict,
    first_exit,
    forced_rule,
    threshold_rule,
)
from ee_jax.exits.stopping import (
    RULES,
    Evidence,
    ExitRule,
    Limits,
    Stopping,
    make_limits,
)

__all__ = [
    "CONFIDENCES",
    "RULES",
    "Confidence",
    "Evidence",
    "ExitOutput",
    "ExitRule",
    "Limits",
    "Rule",
    "Stopped",
    "Stopping",
    "Verdict",
    "confidences",
    "first_exit",
    "forced_rule",
    "make_limits",
    "memoryless",
    "run_exits",
    "threshold_rule",
]
