"""Confidences, exit rules, costs, and the compiled loop that puts them to work."""

from ee_jax.exits.confidence import CONFIDENCES, confidences
from ee_jax.exits.loop import Stopped, run_exits
from ee_jax.exits.program import compaction_sizes, early_exit
from ee_jax.exits.rules import (
    Limits,
    Rule,
    Verdict,
    first_exit,
    forced_rule,
    make_limits,
    threshold_rule,
)
from ee_jax.models.heads import ExitOutput

__all__ = [
    "CONFIDENCES",
    "ExitOutput",
    "Limits",
    "Rule",
    "Stopped",
    "Verdict",
    "compaction_sizes",
    "confidences",
    "early_exit",
    "first_exit",
    "forced_rule",
    "make_limits",
    "run_exits",
    "threshold_rule",
]
