"""A model of two blocks with an exit after each, and 32 short rows of tokens."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from flax import nnx

from ee_jax.compilation import data_mesh
from ee_jax.models.exit_model import ExitModel
from ee_jax.models.families.bert import bert
from ee_jax.models.heads import ExitDesign
from ee_jax.models.transformer import Parameters, Transformer, bind, parameters
from ee_jax.tokens import Tokens
from ee_jax.training.fit import Examples

CLASSES = 3


@pytest.fixture(scope="session")
def model() -> ExitModel:
    rngs = nnx.Rngs(0)
    backbone = Transformer(bert(20, 8, 2, 2, 16, 8), rngs=rngs)
    return ExitModel(backbone, ExitDesign((1, 2), CLASSES, learned=True), rngs=rngs)


@pytest.fixture(scope="session")
def values(model) -> Parameters:
    """The model's parameters, a -0.0 among them, which adding 0.0 would turn into 0.0."""
    values = parameters(model)
    bias = values["backbone.blocks.0.mlp.up.bias"]
    return values | {"backbone.blocks.0.mlp.up.bias": bias.at[0].set(-0.0)}


@pytest.fixture(scope="session")
def examples() -> Examples:
    """The label is that of the first token."""
    draw = np.random.default_rng(0)
    lengths = draw.integers(2, 9, size=32)
    rows = [draw.integers(20, size=length, dtype=np.int32) for length in lengths]
    label_N = np.array([row[0] % CLASSES for row in rows], np.int32)
    return Examples(rows, label_N, (8,))


@pytest.fixture(scope="session")
def features(model, values, examples) -> Examples:
    """The examples as the untrained backbone's features."""
    tokens_NT = np.array([np.pad(row, (0, 8 - len(row))) for row in examples.rows])
    mask_NT = np.array([np.arange(8) < len(row) for row in examples.rows])
    read = jax.jit(lambda values: bind(model, values).features(Tokens(tokens_NT, mask_NT)))
    return replace(examples, feature_END=np.asarray(read(values)))


@pytest.fixture(scope="session")
def mesh() -> jax.sharding.Mesh:
    return data_mesh()
