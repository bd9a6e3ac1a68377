"""ALBERT (Lan et al. 2020): a BERT of one shared block, on a narrow embedding."""

from dataclasses import replace

from ee_jax.models.architecture import Architecture
from ee_jax.models.families import bert
from ee_jax.models.families.family import Config, Family, refuse_others


def albert(config: Architecture, embedding_width: int = 128) -> Architecture:
    """An ALBERT of the sizes and the activation of the BERT `config`."""
    return replace(config, family="albert", embedding_width=embedding_width, shared=True)


def read(given: Config) -> Architecture:
    """The architecture of an ALBERT's config."""
    refuse_others(given, num_hidden_groups=1, inner_group_num=1)
    return albert(bert.read(given), given["embedding_size"])


def write(config: Architecture) -> Config:
    """The config of an ALBERT."""
    return {
        **bert.write(config),
        "embedding_size": config.embedding_width,
        "num_hidden_groups": 1,
        "inner_group_num": 1,
    }


MODULES = {**bert.MODULES, "embedding.project": "encoder.embedding_hidden_mapping_in"}
BLOCK = {
    "attention.query": "attention.query",
    "attention.key": "attention.key",
    "attention.value": "attention.value",
    "attention.out": "attention.dense",
    "attention_norm": "attention.LayerNorm",
    "mlp.up": "ffn",
    "mlp.down": "ffn_output",
    "mlp_norm": "full_layer_layer_norm",
}
STEM = "encoder.albert_layer_groups.{}.albert_layers.0"

ALBERT = Family("albert.", MODULES, STEM, BLOCK, read, write, bert.unpack)
