"""CALM on a small T5: which confidence, and which policy, keeps a translation while it exits?

Model:     a T5 (1.1) of 4 encoder and 6 decoder blocks and width 192 from random weights, a BPE
           of 4,096 tokens of both languages.
Data:      10,000 English-German sentence pairs of the WMT's, tokenized, or any pairs.
Training:  all exits jointly, weighted by their depth (CALM, Schuster et al. 2022, sec. 3.1).
Compared:  confidences (the margin of the two likeliest tokens, the saturation of the hidden
           state, a learned one), and what later tokens see of skipped blocks (`propagate`,
           `copy`, `recompute`); thresholds certified for whole texts by LTT (sec. 4).
Paper:     its tables 1 and 2 (paper.json): T5 of 8 blocks, WMT15 English-French.
Hardware:  2 CPU cores, 44 minutes beside other work.
Result:    BLEU 0.3, so nothing of translations; at one threshold the texts of `recompute`,
           `propagate` and `copy` are 0.9, 2.5 and 5.1 % from the full model's (README.md).
Command:   ee-jax run experiments/calm/config.py --data.name DIR
           DIR holds src-train.txt and tgt-train.txt, and so for val and test; or .txt.gz.
"""

from ee_jax.config import (
    Calibration,
    Decoding,
    Evaluation,
    Exits,
    Experiment,
    Joint,
    Learned,
    OptimizerConfig,
    Pairs,
    ScratchT5,
)


def get_config() -> Experiment:
    """The experiment."""
    fit = OptimizerConfig(epochs=6.0, batch=32, learning_rate=1e-3, head_learning_rate=1e-3)
    scores = OptimizerConfig(epochs=0.5, batch=32, learning_rate=1e-3, head_learning_rate=1e-3)
    return Experiment(
        name="calm",
        task="seq2seq",
        data=Pairs("translation", source_length=40, target_length=40, lengths=(40,)),
        model=ScratchT5(
            vocabulary=4096, width=192, blocks=4, decoder_blocks=6, heads=6, hidden=512
        ),
        exits=Exits(confidence="margin", learned=Learned("consistent", "balanced", fit=scores)),
        strategies=(Joint(weights="linear", fit=fit),),
        calibration=Calibration(
            tolerances=(), methods=("ltt",), levels=(0.1, 0.25), rows=300
        ),
        evaluation=Evaluation(
            thresholds=(0.3, 0.6, 0.9, 1.0),
            confidences=("margin", "saturation", "learned"),
            policies=("propagate", "copy", "recompute"),
            rows=300,
            batch=50,
            batches=(1,),
            decoding=Decoding(prompts=16),
        ),
    )  # fmt: skip
