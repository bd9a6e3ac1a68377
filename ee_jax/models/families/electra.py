"""ELECTRA (Clark et al. 2020): a BERT on an embedding that may be narrower.

Its discriminators are read like encoders alone; what told replaced tokens from others is left.
"""

from dataclasses import replace

from ee_jax.models.architecture import Architecture
from ee_jax.models.families import bert
from ee_jax.models.families.family import Config, Family


def electra(config: Architecture, embedding_width: int) -> Architecture:
    """An ELECTRA of the sizes of the BERT `config`, projected where its embedding is not D."""
    narrow = embedding_width if embedding_width != config.width else None
    return replace(config, family="electra", embedding_width=narrow)


def read(given: Config) -> Architecture:
    """The architecture of an ELECTRA's config."""
    return electra(bert.read(given), given["embedding_size"])


def write(config: Architecture) -> Config:
    """The config of an ELECTRA."""
    return {**bert.write(config), "embedding_size": config.embedding_width or config.width}


MODULES = {**bert.MODULES, "embedding.project": "embeddings_project"}

ELECTRA = Family("electra.", MODULES, bert.STEM, bert.BLOCK, read, write, bert.unpack)
