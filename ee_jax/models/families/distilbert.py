"""DistilBERT (Sanh et al. 2019): a BERT without token types, in other words."""

from dataclasses import replace

from ee_jax.models.architecture import Architecture
from ee_jax.models.families import bert
from ee_jax.models.families.family import (
    Config,
    Family,
    read_activation,
    write_activation,
)

EPSILON = 1e-12  # which no config says


def distilbert(config: Architecture) -> Architecture:
    """A DistilBERT of the sizes and the activation of the BERT `config`."""
    return replace(config, family="distilbert", token_types=0, norm_eps=EPSILON)


def read(given: Config) -> Architecture:
    """The architecture of a DistilBERT's config, whose positions may have begun as sines."""
    return distilbert(
        bert.bert(
            given["vocab_size"],
            given["dim"],
            given["n_layers"],
            given["n_heads"],
            given["hidden_dim"],
            given["max_position_embeddings"],
            activation=read_activation(given["activation"], "activation"),
        )
    )


def write(config: Architecture) -> Config:
    """The config of a DistilBERT."""
    return {
        "vocab_size": config.vocabulary,
        "dim": config.width,
        "n_layers": config.blocks,
        "n_heads": config.heads,
        "hidden_dim": config.hidden,
        "activation": write_activation(config.activation),
        "max_position_embeddings": config.max_length,
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
STEM = "transformer.layer.{}"

DISTILBERT = Family("distilbert.", bert.MODULES, STEM, BLOCK, read, write, bert.unpack)
