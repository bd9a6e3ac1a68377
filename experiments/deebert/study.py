"""DeeBERT: fine-tune, freeze, then train the exits; stop where the entropy is low.

Paper:     Xin et al. 2020, arXiv:2004.12993. Table 1: BERT-base on SST-2 loses 0.6 points at
           40 % less time, on the test server, at batch 1 on a P100.
Recipe:    learning rate 2e-5, batch 8, 128 tokens, 3 epochs a stage (RoBERTa 10).
Rule:      stop where H < S nats, for the 13 S that the released scripts sweep.
Command:   ee-jax reproduce experiments/deebert --backbone DIR --tasks sst2 --manual-dir DIR
"""

from pathlib import Path

from ee_jax.config import (
    Calibration,
    Evaluation,
    Exits,
    Experiment,
    Model,
    OptimizerConfig,
    TwoStage,
)
from ee_jax.exits.thresholds import entropy_threshold
from ee_jax.reproduce.claims import Claim
from ee_jax.reproduce.measures import AtEqualTime, AtFullDepth, AtSaving
from ee_jax.reproduce.paper import BASELINE
from ee_jax.reproduce.study import CLASSIFICATION, TASKS, Study, glue_data, static_baselines

NATS = (0, 0.001, 0.005, 0.01, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)


def experiment(task: str, weights: str) -> Experiment:
    """The experiment of a task."""
    epochs = 10.0 if "roberta" in weights.lower() else 3.0
    stage = OptimizerConfig(epochs, batch=8, learning_rate=2e-5, head_learning_rate=2e-5)
    return Experiment(
        name=f"deebert_{task}",
        data=glue_data(task),
        model=Model(weights),
        exits=Exits(head="pooler", pooling="first", confidence="entropy"),
        strategies=(TwoStage(first=stage, fit=stage), *static_baselines(weights, stage)),
        calibration=Calibration(temperature=False),
        evaluation=Evaluation(thresholds=thresholds(TASKS[task].classes), rounds=1),
    )


def thresholds(classes: int) -> tuple[float, ...]:
    """Those of S = 0, which never stops, to 0.7."""
    return tuple(entropy_threshold(nats, classes) for nats in NATS)


STUDY = Study(
    name="deebert",
    title="DeeBERT",
    tasks=CLASSIFICATION,
    experiment=experiment,
    paper=Path(__file__).with_name("paper.json"),
    methods={BASELINE: "single", "DeeBERT": "two_stage"},
    claims=(
        Claim(
            "The last exit is as good as the model without exits, within 1 point",
            "sec. 3.1",
            AtFullDepth("two_stage"),
            -0.01,
        ),
        Claim(
            "40 % of the time at batch 1 is saved within 1 point",
            "table 1, SST-2",
            AtSaving("two_stage", 0.4, "time"),
            -0.01,
        ),
        Claim(
            "Early exit is better than a model without exits that takes as long",
            "table 1, against DistilBERT",
            AtEqualTime("two_stage"),
        ),
    ),
)
