"""A model family of one's own: Splinter's checkpoints, read and written.

A family is a table of names and two functions, to `Architecture` and back. Splinter (Ram et al.
2021) is a BERT that was trained to find spans which recur; its checkpoints name what a BERT's
do, but for their prefix. Where a family names its parts otherwise, its own tables stand here:
`ee_jax/models/families/distilbert.py` is one.

Task:      that of configs/quickstart.py, on fewer exits.
Hardware:  2 CPU cores, some 30 minutes with splinter-base.
Command:   ee-jax run examples/own_family.py --model.weights FOLDER
           FOLDER is a Hugging Face folder of a Splinter with its vocab.txt, or a name on the
           Hub.
"""

from dataclasses import replace

from ee_jax.config import Data, Evaluation, Exits, Experiment, Frozen, Model, OptimizerConfig
from ee_jax.models.architecture import Architecture
from ee_jax.models.families import FAMILIES, bert
from ee_jax.models.families.family import Config, Family, refuse_others


def read(given: Config) -> Architecture:
    """The architecture of a Splinter's config."""
    refuse_others(given, position_embedding_type="absolute")
    return replace(bert.read(given), family="splinter")


def write(config: Architecture) -> Config:
    """The config of a Splinter."""
    return {**bert.write(config), "question_token_id": 104}


FAMILIES.register(
    "splinter", Family("splinter.", bert.MODULES, bert.STEM, bert.BLOCK, read, write)
)


def get_config() -> Experiment:
    """The experiment, whose weights are of that family."""
    return Experiment(
        name="own_family",
        data=Data("stdlib_docstrings", lengths=(16, 32, 64, 96)),
        model=Model("tau/splinter-base"),
        exits=Exits(layers=(4, 8, 12)),
        strategies=(Frozen(fit=OptimizerConfig(5.0, head_learning_rate=1e-2)),),
        evaluation=Evaluation(thresholds=(0.7, 0.8, 0.9, 1.0), rounds=1),
    )
