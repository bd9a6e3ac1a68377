"""FastBERT: fine-tune, freeze, then distil the last exit into the others; stop by `speed`.

Paper:     Liu et al. 2020, arXiv:2004.02178. Table 2: Chinese and English tasks outside GLUE, 1
           to 12 times fewer FLOPs. Beside GLUE's tasks there is no number of the paper's.
Recipe:    5 epochs of distillation, KL(student || teacher) as the paper writes it; the rest is
           not in the sources at hand, and DeeBERT's.
Rule:      stop where H / log C < speed.
Command:   ee-jax reproduce experiments/fastbert --backbone DIR --tasks sst2 --manual-dir DIR
"""

from dataclasses import replace
from pathlib import Path

from ee_jax.config import (
    Calibration,
    Distill,
    Evaluation,
    Exits,
    Experiment,
    Model,
    OptimizerConfig,
)
from ee_jax.exits.thresholds import speed_threshold
from ee_jax.reproduce.claims import Claim
from ee_jax.reproduce.measures import AtEqualDepth, AtEqualTime, AtSaving
from ee_jax.reproduce.paper import BASELINE
from ee_jax.reproduce.study import CLASSIFICATION, Study, glue_data, static_baselines

SPEEDS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


def experiment(task: str, weights: str) -> Experiment:
    """The experiment of a task, distilled in both directions of the divergence."""
    first = OptimizerConfig(epochs=3.0, batch=32, learning_rate=2e-5, head_learning_rate=2e-5)
    fit = replace(first, epochs=5.0)
    return Experiment(
        name=f"fastbert_{task}",
        data=glue_data(task),
        model=Model(weights),
        exits=Exits(head="mlp", pooling="first", confidence="entropy"),
        strategies=(
            Distill(direction="paper", first=first, fit=fit),
            Distill("distill_code", direction="code", first=first, fit=fit),
            *static_baselines(weights, first),
        ),
        calibration=Calibration(temperature=False),
        evaluation=Evaluation(thresholds=tuple(map(speed_threshold, SPEEDS)), rounds=1),
    )


STUDY = Study(
    name="fastbert",
    title="FastBERT",
    tasks=CLASSIFICATION,
    experiment=experiment,
    paper=Path(__file__).with_name("paper.json"),
    methods={BASELINE: "single", "FastBERT": "distill"},
    claims=(
        Claim(
            "Half of the FLOPs are saved within 1 point",
            "table 2",
            AtSaving("distill", 0.5, "FLOPs"),
            -0.01,
        ),
        Claim(
            "Early exit is better than a model without exits that takes as long",
            "ours",
            AtEqualTime("distill"),
        ),
        Claim(
            "The paper's divergence makes better exits than its code's, at equal depth",
            "ours",
            AtEqualDepth("distill", "distill_code"),
        ),
    ),
    notes=("Heads: two layers on the first token here; the paper's have attention too.",),
)
