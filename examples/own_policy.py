"""What later tokens see of skipped blocks, by a policy of one's own, on a small language model.

Data:      any text: a file, a folder, or JSON lines with a `text`.
Hardware:  2 CPU cores, a few minutes on a megabyte.
Command:   ee-jax run examples/own_policy.py --data.name PATH
"""

from jaxtyping import Array

from ee_jax.config import (
    Calibration,
    Decoding,
    Evaluation,
    Experiment,
    LayerSkip,
    OptimizerConfig,
    Scratch,
    Text,
)
from ee_jax.inference.kv_policies import POLICIES, Policy
from ee_jax.models.flops import kv_flops
from ee_jax.models.kv_cache import KV, make_kv
from ee_jax.models.layers import Block


def halved(block: Block, hidden_BTD: Array, position_BT: Array, below: KV) -> KV:
    """The block's own keys of the exit's hidden state, and half of its values.

    A later token finds the skipped token, and takes less from it.
    """
    made = make_kv(block, hidden_BTD, position_BT)
    return made._replace(value_BKSH=0.5 * made.value_BKSH)


POLICIES.register(
    "halved", Policy(halved, runs_on=False, flops=lambda config, *_: kv_flops(config))
)


def get_config() -> Experiment:
    """The experiment, which compares it with CALM's."""
    fit = OptimizerConfig(2.0, batch=16, learning_rate=2e-3, head_learning_rate=2e-3)
    return Experiment(
        name="own_policy",
        task="language_modeling",
        data=Text("text.txt", length=128),
        model=Scratch(vocabulary=512, width=96, blocks=4, heads=4, kv_heads=4, hidden=256),
        strategies=(LayerSkip(interval=2, fit=fit),),
        calibration=Calibration(tolerances=(0.05,)),
        evaluation=Evaluation(
            thresholds=(0.5, 0.9, 1.0),
            policies=("propagate", "halved"),
            batches=(1,),
            decoding=Decoding(prompts=4, prompt=32, tokens=32),
        ),
    )
