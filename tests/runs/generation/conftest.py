"""A tiny language model with trained exits in a folder, as a run exports it."""

import shutil

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ee_jax.data.bpe import train_bpe
from ee_jax.models.export import export_model
from ee_jax.models.families.llama import llama
from ee_jax.models.language import LanguageDesign, LanguageModel
from ee_jax.models.transformer import Transformer

LAYERS, VOCABULARY, CONTEXT = (1, 2, 3), 280, 48


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    config = llama(VOCABULARY, 16, 3, 2, 1, 16, CONTEXT)
    rngs = nnx.Rngs(0)
    model = LanguageModel(Transformer(config, rngs=rngs), LanguageDesign(LAYERS), rngs=rngs)
    assert model.output is not None
    shape = model.output.kernel.get_value().shape
    noise = np.random.default_rng(0).normal(size=shape)
    model.output.kernel.set_value(jnp.asarray(noise, jnp.float32))  # now and then it is sure
    folder = tmp_path_factory.mktemp("exported")
    export_model(model, folder)
    train_bpe(["a cat sat on a mat, a hat on a cat"] * 3, VOCABULARY).save(
        str(folder / "tokenizer.json")
    )
    return folder


@pytest.fixture
def copied(exported, tmp_path):
    """To be broken."""
    folder = shutil.copytree(exported, tmp_path / "model")
    (folder / "manifest.json").unlink()
    return folder
