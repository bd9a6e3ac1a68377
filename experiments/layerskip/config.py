"""LayerSkip on a small model: does training for early exits make drafts that are accepted?

Model:     a Llama of 8 blocks and width 192 from random weights, a BPE of 1,024 tokens.
Data:      the works of Shakespeare, 1.1 MB, or any folder of text.
Compared:  `plain` trains the last exit alone, `layerskip` with layer dropout and early-exit
           losses (Elhoushi et al. 2024, whose models from scratch have p_max 0.1, e_scale 0.2
           and a rotational curriculum too).
Paper:     its model of 1.5 billion parameters from scratch: 77 % of drafts accepted, 1.76 times
           as fast (paper.json).
Hardware:  2 CPU cores, about an hour.
Result:    with the same perplexity, 66.7 % of two drafts by 4 of 8 blocks are accepted instead
           of 30.5 %; at this size and on a CPU nothing gets faster by it (README.md).
Command:   ee-jax run experiments/layerskip/config.py --data.manual-dir DIR
           DIR holds .txt or .txt.gz files.
"""

from ee_jax.config import (
    Calibration,
    Decoding,
    Evaluation,
    Exits,
    Experiment,
    Joint,
    LayerSkip,
    OptimizerConfig,
    Scratch,
    Speculation,
    Text,
)

EXITS = (1, 2, 4, 8)  # blocks


def get_config() -> Experiment:
    """The experiment."""
    fit = OptimizerConfig(epochs=6.0, batch=16, learning_rate=2e-3, head_learning_rate=2e-3)
    last = (0.0,) * (len(EXITS) - 1) + (1.0,)
    return Experiment(
        name="layerskip",
        task="language_modeling",
        data=Text("text/shakespeare", length=128),
        model=Scratch(
            vocabulary=1024, width=192, blocks=EXITS[-1], heads=6, kv_heads=6, hidden=512,
            dropout=0.1,
        ),
        exits=Exits(layers=EXITS),
        strategies=(
            Joint("plain", weights=last, fit=fit),
            LayerSkip("layerskip", p_max=0.1, e_scale=0.2, interval=2, fit=fit),
        ),
        calibration=Calibration(
            tolerances=(0.02, 0.05), methods=("ltt",), levels=(0.02, 0.05)
        ),
        evaluation=Evaluation(
            thresholds=(0.3, 0.5, 0.7, 0.9, 1.0),
            batches=(1, 8),
            decoding=Decoding(prompts=8, prompt=64, tokens=64),
            speculation=Speculation(depths=(1, 2, 4), drafted=(2, 4, 6)),
        ),
    )  # fmt: skip
