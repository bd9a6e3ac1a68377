"""Exits on a pretrained language model whose training text is not at hand.

Model:     stories260K of llama2.c, a Llama of 5 blocks and width 64 trained on TinyStories.
Data:      text that the model writes itself, sampled at temperature 1 from the start token.
Question:  perplexity and agreement with the full model against mean depth, for each confidence
           and for each policy of what later tokens see of skipped blocks.
Paper:     CALM (Schuster et al. 2022): copying keys and values instead of propagating the
           hidden state lost 15 points of ROUGE-L, so `copy` should be worse than `propagate`.
Hardware:  2 CPU cores, an hour.
Result:    at a mean depth of 4 of 5 blocks `copy` has 1.8 to 5.5 times the perplexity of
           `propagate`; the tables are in README.md.
Command:   ee-jax run experiments/stories260k/config.py --model.weights PATH/stories260K.bin
"""

from ee_jax.config import (
    Calibration,
    Decoding,
    DistillTrained,
    Evaluation,
    Exits,
    Experiment,
    Joint,
    Learned,
    Model,
    OptimizerConfig,
    SelfGenerated,
)


def get_config() -> Experiment:
    """The experiment."""
    fit = OptimizerConfig(epochs=3.0, batch=16, learning_rate=1e-3, head_learning_rate=3e-3)
    return Experiment(
        name="stories260k",
        task="language_modeling",
        data=SelfGenerated(train=4096, test=64, calibration=128, length=255),
        model=Model("stories260K.bin", dropout=0.0),
        exits=Exits(token_head="norm", learned=Learned(target="consistent")),
        strategies=(
            DistillTrained("frozen", fit=fit),
            DistillTrained("distill", backbone=True, fit=fit),
            Joint("joint", weights="linear", fit=fit),
        ),
        calibration=Calibration(tolerances=(), methods=("ltt",), levels=(0.05, 0.1)),
        evaluation=Evaluation(
            confidences=("max_prob", "margin", "entropy", "saturation", "learned"),
            thresholds=(0.1, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0),
            policies=("propagate", "recompute", "copy"),
            batches=(1, 8),
            decoding=Decoding(prompts=8, prompt=64, tokens=64),
        ),
    )
