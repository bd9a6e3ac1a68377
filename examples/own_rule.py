"""An exit rule of one's own: an example stops where two exits in a row were confident.

After PCEE-BERT (Zhang et al. 2022, NAACL Findings), which counts the exits in a row whose
confidence passes, whatever they answer. Runs, traces and calibration use the same rule.

Task:      that of configs/quickstart.py, on fewer exits.
Hardware:  2 CPU cores, a few minutes.
Command:   ee-jax run examples/own_rule.py
"""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from ee_jax.config import Data, Evaluation, Exits, Experiment, Frozen, OptimizerConfig
from ee_jax.exits import RULES, Evidence, ExitRule

IN_A_ROW = 2


def no_exits(prediction: Array) -> Int[Array, ""]:
    """Confident exits in a row before the first one."""
    return jnp.int32(0)


def patient(evidence: Evidence, count: Int[Array, ""]) -> tuple[Bool[Array, ""], Array]:
    """Counts the confident exits in a row, of one example; stops it where there are enough."""
    confident = evidence.confidence > evidence.threshold
    count = jnp.where(confident, count + 1, 0)
    return count >= IN_A_ROW, count


RULES.register("patient_and_confident", ExitRule(no_exits, patient))


def get_config() -> Experiment:
    """The experiment, which names it."""
    return Experiment(
        name="own_rule",
        data=Data("stdlib_docstrings", lengths=(16, 32, 64, 96)),
        exits=Exits(layers=(1, 2, 3, 4, 5, 6), rule="patient_and_confident"),
        strategies=(Frozen(fit=OptimizerConfig(10.0, head_learning_rate=1e-2)),),
        evaluation=Evaluation(thresholds=(0.7, 0.8, 0.9, 1.0), rounds=1),
    )
