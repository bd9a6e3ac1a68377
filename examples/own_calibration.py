"""A metric, a risk and a method of calibration of one's own, in a config that uses them.

Task:      that of configs/quickstart.py, on fewer exits.
Hardware:  2 CPU cores, a few minutes.
Command:   ee-jax run examples/own_calibration.py
"""

import numpy as np
from jaxtyping import Bool, Float, Int

from ee_jax.calibration.methods import HIGH_PROBABILITY, METHODS, Method
from ee_jax.calibration.risks import RISKS, Risk
from ee_jax.calibration.trace import Trace
from ee_jax.config import (
    Calibration,
    Data,
    Evaluation,
    Exits,
    Experiment,
    Frozen,
    OptimizerConfig,
)
from ee_jax.evaluation.metrics import METRICS


def worst_class(prediction_N: Int[np.ndarray, " N"], label_N: Int[np.ndarray, " N"]) -> float:
    """The accuracy on the class that is answered worst."""
    classes = np.unique(label_N)
    return min(float(np.mean(prediction_N[label_N == c] == c)) for c in classes)


def harm(trace: Trace) -> Float[np.ndarray, "N E"]:
    """1 where an exit is wrong and the full model right; 0 where the exit is no worse."""
    assert trace.prediction_NE is not None
    assert trace.label_N is not None
    right_NE = trace.prediction_NE == trace.label_N[:, None]
    return (~right_NE & right_NE[:, -1:]).astype(float)


def empirical_bernstein(
    risk_KN: Float[np.ndarray, "K N"], level: float, delta: float
) -> Bool[np.ndarray, " K"]:
    """mean + sqrt(2 var log(2/delta) / n) + 7 log(2/delta) / (3 (n - 1)) <= level.

    Maurer & Pontil (2009), theorem 4: where losses are rare it is tighter than Hoeffding.
    """
    n, log = risk_KN.shape[1], np.log(2 / delta)
    if n < 2:  # no variance, so nothing can be said
        return np.zeros(len(risk_KN), bool)
    spread_K = np.sqrt(2 * risk_KN.var(1, ddof=1) * log / n)
    return risk_KN.mean(1) + spread_K + 7 * log / (3 * (n - 1)) <= level


METRICS.register("worst_class", worst_class)
RISKS.register("harm", Risk(harm, "right answers that became wrong"))
METHODS.register("bernstein", Method(HIGH_PROBABILITY, of_losses=empirical_bernstein))


def get_config() -> Experiment:
    """The experiment, which names all three."""
    return Experiment(
        name="own_calibration",
        data=Data("stdlib_docstrings", lengths=(16, 32, 64, 96)),
        exits=Exits(layers=(2, 4, 6)),
        strategies=(Frozen(fit=OptimizerConfig(10.0, head_learning_rate=1e-2)),),
        calibration=Calibration(methods=("bernstein",), risk="harm", levels=(0.05,)),
        evaluation=Evaluation(
            thresholds=(0.7, 0.9, 1.0), metrics=("worst_class", "accuracy"), rounds=1
        ),
    )
