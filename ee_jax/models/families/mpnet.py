"""MPNet (Song et al. 2020): a RoBERTa whose heads also weigh how far a token is."""

from dataclasses import replace

from ee_jax.models.architecture import Architecture
from ee_jax.models.families import bert, roberta
from ee_jax.models.families.family import Config, Family, refuse_others

BUCKETS = 32


def mpnet(config: Architecture) -> Architecture:
    """An MPNet of the sizes of the RoBERTa `config`."""
    return replace(config, family="mpnet", token_types=0, relative_buckets=BUCKETS)


def read(given: Config) -> Architecture:
    """The architecture of an MPNet's config."""
    refuse_others(given, relative_attention_num_buckets=BUCKETS)
    return mpnet(roberta.read({**given, "type_vocab_size": 0}))


def write(config: Architecture) -> Config:
    """The config of an MPNet."""
    return {**roberta.write(config), "relative_attention_num_buckets": BUCKETS}


MODULES = {**bert.MODULES, "relative": "encoder.relative_attention_bias"}
BLOCK = {
    **bert.BLOCK,
    "attention.query": "attention.attn.q",
    "attention.key": "attention.attn.k",
    "attention.value": "attention.attn.v",
    "attention.out": "attention.attn.o",
    "attention_norm": "attention.LayerNorm",
}

MPNET = Family("mpnet.", MODULES, bert.STEM, BLOCK, read, write, bert.unpack)
