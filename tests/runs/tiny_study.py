"""A study of the tiny data set, and of a task whose data set nobody has."""

from dataclasses import replace

from ee_jax.config import (
    Calibration,
    Data,
    Evaluation,
    Experiment,
    Frozen,
    Joint,
    Model,
    OptimizerConfig,
)
from ee_jax.reproduce.claims import Claim
from ee_jax.reproduce.measures import AtEqualDepth
from ee_jax.reproduce.study import Study


def experiment(task: str, weights: str) -> Experiment:
    """Two blocks, an exit after each, trained by both strategies."""
    fit = OptimizerConfig(epochs=6.0, batch=16, learning_rate=1e-3, head_learning_rate=1e-2)
    return Experiment(
        "tiny",
        data=Data(task, lengths=(8,)),
        model=Model(weights),
        strategies=(Joint(fit=fit), Frozen(fit=replace(fit, head_learning_rate=5e-2))),
        calibration=Calibration(tolerances=(0.05,)),
        evaluation=Evaluation(thresholds=(0.4, 0.6, 1.0), rounds=1),
    )


STUDY = Study(
    "tiny",
    "Tiny",
    ("sentences", "missing"),
    experiment,
    claims=(Claim("Joint is better", "ours", AtEqualDepth("joint", "frozen")),),
)
