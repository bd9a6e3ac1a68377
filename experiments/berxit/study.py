"""BERxiT: ways of training exits against each other; a learned score says when to stop.

Paper:     Xin et al. 2021, EACL. Figure 2 compares two stages, joint and alternating training;
           only numbers of the plain backbone are at hand, see its `paper.json`.
Recipe:    not in the sources at hand; DeeBERT's learning rate and epochs, batch 32.
Rule:      stop where the learned uncertainty u is below a threshold (LTE), in regression too.
Command:   ee-jax reproduce experiments/berxit --backbone DIR --tasks sst2 --manual-dir DIR
"""

from pathlib import Path

from ee_jax.config import (
    Alternating,
    Calibration,
    Evaluation,
    Exits,
    Experiment,
    Joint,
    Learned,
    Model,
    OptimizerConfig,
    TwoStage,
)
from ee_jax.exits.thresholds import uncertainty_threshold
from ee_jax.reproduce.claims import Claim
from ee_jax.reproduce.measures import AtEqualDepth, AtEqualTime, AtFullDepth
from ee_jax.reproduce.paper import BASELINE
from ee_jax.reproduce.study import TASKS, Study, glue_data, static_baselines

UNCERTAINTY = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5)


def experiment(task: str, weights: str) -> Experiment:
    """The experiment of a task, all strategies on the same exits and rule."""
    fit = OptimizerConfig(epochs=3.0, batch=32, learning_rate=2e-5, head_learning_rate=2e-5)
    lte = Learned(target="correct", loss="squared", shared=True)
    return Experiment(
        name=f"berxit_{task}",
        data=glue_data(task),
        model=Model(weights),
        exits=Exits(head="pooler", pooling="first", confidence="learned", learned=lte),
        strategies=(
            TwoStage(first=fit, fit=fit),
            Joint(weights="uniform", fit=fit),
            Alternating(fit=fit),
            Alternating("alternating_code", variant="code_lte", fit=fit),
            *static_baselines(weights, fit),
        ),
        calibration=Calibration(temperature=False),
        evaluation=Evaluation(
            thresholds=tuple(map(uncertainty_threshold, UNCERTAINTY)), rounds=1
        ),
    )


STUDY = Study(
    name="berxit",
    title="BERxiT",
    tasks=tuple(TASKS),
    experiment=experiment,
    paper=Path(__file__).with_name("paper.json"),
    methods={BASELINE: "single"},
    claims=(
        Claim(
            "Alternating training keeps the last exit's quality, within 1 point",
            "its reason for alternating",
            AtFullDepth("alternating"),
            -0.01,
        ),
        Claim(
            "Alternating training has a better last exit than joint training",
            "fig. 2",
            AtFullDepth("alternating", "joint"),
        ),
        Claim(
            "Alternating training has better exits than two stages, at equal depth",
            "fig. 2",
            AtEqualDepth("alternating", "two_stage"),
        ),
        Claim(
            "Early exit is better than a model without exits that takes as long",
            "ours",
            AtEqualTime("alternating"),
        ),
    ),
)
