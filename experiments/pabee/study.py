"""PABEE: all exits together, deeper ones weighing more; stop when answers agree in a row.

Paper:     Zhou et al. 2020, arXiv:2006.04152. Table 1: ALBERT-base gains 0.2 to 2.3 points on
           GLUE's dev sets at 1.57 times the speed, at batch 1.
Recipe:    learning rate 2e-5, batch 32, 128 tokens, 5 epochs, losses weighted by depth.
Rule:      stop when t answers in a row are the one before them, t from 3 to 8; in a regression
           answers closer than 0.1 agree.
Command:   ee-jax reproduce experiments/pabee --backbone DIR --tasks sst2 --manual-dir DIR
"""

from pathlib import Path

from ee_jax.config import (
    Calibration,
    Evaluation,
    Exits,
    Experiment,
    Joint,
    Model,
    OptimizerConfig,
    baselines,
)
from ee_jax.exits.thresholds import patience_threshold
from ee_jax.models.files import find_weights
from ee_jax.models.huggingface import read_architecture
from ee_jax.reproduce.claims import Claim
from ee_jax.reproduce.measures import AtEqualTime, AtFullDepth, AtSaving
from ee_jax.reproduce.paper import BASELINE
from ee_jax.reproduce.study import TASKS, Study, glue_data

PATIENCE = (3, 4, 5, 6, 7, 8)


def experiment(task: str, weights: str) -> Experiment:
    """The experiment of a task, with an exit after every block."""
    blocks = read_architecture(find_weights(weights)).blocks
    fit = OptimizerConfig(epochs=5.0, batch=32, learning_rate=2e-5, head_learning_rate=2e-5)
    return Experiment(
        name=f"pabee_{task}",
        data=glue_data(task),
        model=Model(weights),
        exits=Exits(head="pooler", pooling="first", confidence="patience", tolerance=0.1),
        strategies=(Joint(weights="linear", fit=fit), *baselines(blocks, fit)),
        calibration=Calibration(temperature=False),
        evaluation=Evaluation(thresholds=thresholds(blocks), rounds=1),
    )


def thresholds(exits: int) -> tuple[float, ...]:
    """A threshold for each patience that so many exits can reach, and 1."""
    reached = [count for count in PATIENCE if count < exits]
    return (*(patience_threshold(count, exits) for count in reached), 1.0)


STUDY = Study(
    name="pabee",
    title="PABEE",
    tasks=tuple(TASKS),
    experiment=experiment,
    paper=Path(__file__).with_name("paper.json"),
    backbone="albert-base",
    methods={BASELINE: "single", "PABEE": "joint"},
    claims=(
        Claim(
            "At 1.57 times the speed patience is better than the model without exits",
            "table 1",
            AtSaving("joint", 1 - 1 / 1.57),
        ),
        Claim(
            "All exits together do not cost the last one anything, within 1 point",
            "ours",
            AtFullDepth("joint"),
            -0.01,
        ),
        Claim(
            "Early exit is better than a model without exits that takes as long",
            "ours",
            AtEqualTime("joint"),
        ),
    ),
    notes=("Heads: each exit has a pooler of its own here; the paper's share one.",),
)
