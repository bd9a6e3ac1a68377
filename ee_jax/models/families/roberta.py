"""RoBERTa (Liu et al. 2019) and its kin: a BERT whose positions begin after the padding's.

XLM-R (Conneau et al. 2020) and CamemBERT (Martin et al. 2020) differ in their texts alone.
"""

from dataclasses import replace

from ee_jax.models.architecture import Architecture
from ee_jax.models.families import bert
from ee_jax.models.families.family import Config, Family


def roberta(config: Architecture, padding: int = 1) -> Architecture:
    """A RoBERTa of the sizes of the BERT `config`; `padding` is the id of its padding token."""
    return replace(config, family="roberta", first_position=padding + 1)


def read(given: Config) -> Architecture:
    """The architecture of a RoBERTa's config, which counts positions that no token has."""
    if given.get("pad_token_id", 1) is None:
        raise ValueError("pad_token_id is null, but positions are counted from it")
    config = roberta(bert.read(given), given.get("pad_token_id", 1))
    left = config.max_length - config.first_position
    return replace(config, family=given["model_type"], max_length=left)


def write(config: Architecture) -> Config:
    """The config of a RoBERTa."""
    return {
        **bert.write(config),
        "max_position_embeddings": config.max_length + config.first_position,
        "pad_token_id": config.first_position - 1,
    }


ROBERTA = Family("roberta.", bert.MODULES, bert.STEM, bert.BLOCK, read, write, bert.unpack)
