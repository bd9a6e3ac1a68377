"""A model family of one's own: DistilBERT's checkpoints, read and written.

A family is a table of names and two functions, to `Architecture` and back. DistilBERT (Sanh et
al. 2019) is a BERT without token types whose checkpoints name everything otherwise.

Task:      that of configs/quickstart.py, on fewer exits.
Hardware:  2 CPU cores, some 15 minutes with distilbert-base-uncased.
Command:   ee-jax run examples/own_family.py --model.weights FOLDER
           FOLDER is a Hugging Face folder of a DistilBERT with its tokenizer.json, or a name on
           the Hub.
"""

from dataclasses import replace

from ee_jax.config import Data, Evaluation, Exits, Experiment, Frozen, Model, OptimizerConfig
from ee_jax.models.architecture import Architecture
from ee_jax.models.families import FAMILIES
from ee_jax.models.families.bert import bert
from ee_jax.models.families.family import (
    Config,
    Family,
    read_activation,
    refuse_others,
    write_activation,
)


def read(given: Config) -> Architecture:
    """The architecture of a DistilBERT's config."""
    refuse_others(given, sinusoidal_pos_embds=False)
    base = bert(
        given["vocab_size"],
        given["dim"],
        given["n_layers"],
        given["n_heads"],
        given["hidden_dim"],
        given["max_position_embeddings"],
        token_types=0,
        activation=read_activation(given["activation"]),
    )
    return replace(base, family="distilbert")


def write(config: Architecture) -> Config:
    """The config of a DistilBERT."""
    return {
        "vocab_size": config.vocabulary,
        "dim": config.width,
        "n_layers": config.blocks,
        "n_heads": config.heads,
        "hidden_dim": config.hidden,
        "max_position_embeddings": config.max_length,
        "activation": write_activation(config.activation),
        "sinusoidal_pos_embds": False,
    }


MODULES = {
    "embedding.tokens": "embeddings.word_embeddings",
    "embedding.positions": "embeddings.position_embeddings",
    "embedding.norm": "embeddings.LayerNorm",
}
BLOCK = {
    "attention.query": "attention.q_lin",
    "attention.key": "attention.k_lin",
    "attention.value": "attention.v_lin",
    "attention.out": "attention.out_lin",
    "attention_norm": "sa_layer_norm",
    "mlp.up": "ffn.lin1",
    "mlp.down": "ffn.lin2",
    "mlp_norm": "output_layer_norm",
}

FAMILIES.register(
    "distilbert", Family("distilbert.", MODULES, "transformer.layer.{}", BLOCK, read, write)
)


def get_config() -> Experiment:
    """The experiment, whose weights are of that family."""
    return Experiment(
        name="own_family",
        data=Data("stdlib_docstrings", lengths=(16, 32, 64, 96)),
        model=Model("distilbert/distilbert-base-uncased"),
        exits=Exits(layers=(2, 4, 6)),
        strategies=(Frozen(fit=OptimizerConfig(5.0, head_learning_rate=1e-2)),),
        evaluation=Evaluation(thresholds=(0.7, 0.8, 0.9, 1.0), rounds=1),
    )
