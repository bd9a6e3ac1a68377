"""Checkpoints that load but would compute something else: outputs that are tied, NaN."""

import json
from dataclasses import replace

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file

from ee_jax.errors import UserError
from ee_jax.models.export import export_model, import_language, shapes_of
from ee_jax.models.files import WEIGHTS
from ee_jax.models.huggingface import load_backbone
from ee_jax.models.language import LanguageDesign
from ee_jax.models.language_source import find_language
from ee_jax.models.llama2c import read_llama2c
from ee_jax.models.transformer import bind, parameters
from ee_jax.tokens import Tokens
from tests.models.folders import change_tensors, copy_golden
from tests.models.golden_models import FOLDER, golden_backbone, load_golden
from tests.models.test_llama2c import write_llama2c

# The token embedding of the two golden decoders whose output it is.
TABLES = {"llama3": "model.embed_tokens.weight", "gpt2": "transformer.wte.weight"}
HEAD = "lm_head.weight"


def logits_of(folder):
    config, values = find_language(str(folder)).weights()
    model = bind(shapes_of(config, LanguageDesign((config.blocks,))), values)
    ids_BT = jnp.asarray(load_golden("llama")["tokens_BT"])
    tokens = Tokens(ids_BT, jnp.ones(ids_BT.shape, bool))
    return model, np.asarray(jax.jit(lambda: model.logits(model.features(tokens)[-1]))())


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("saved", ["both", "the output alone"])
def test_a_tied_output_may_be_saved_under_either_name(tmp_path, name, saved):
    folder, table = copy_golden(name, tmp_path), TABLES[name]

    def change(tensors):
        tensors = tensors | {HEAD: tensors[table]}
        return tensors if saved == "both" else {n: t for n, t in tensors.items() if n != table}

    change_tensors(folder, change)
    model, logits_BTV = logits_of(folder)
    assert model.output is None
    np.testing.assert_array_equal(logits_BTV, logits_of(FOLDER / name)[1])
    assert parameters(load_backbone(folder)).keys() == parameters(model.backbone).keys()


@pytest.mark.parametrize("name", TABLES)
def test_an_output_of_its_own_is_not_tied_whatever_the_config_says(tmp_path, name):
    """As in transformers 5, which warns; and as export writes it, it loads again."""
    folder = copy_golden(name, tmp_path)
    assert json.loads((folder / "config.json").read_text()).get("tie_word_embeddings", True)
    change_tensors(folder, lambda tensors: tensors | {HEAD: tensors[TABLES[name]][::-1].copy()})
    model, logits_BTV = logits_of(folder)
    # The same logits, in the order of the output's rows.
    np.testing.assert_array_equal(logits_BTV[..., ::-1], logits_of(FOLDER / name)[1])
    export_model(model, tmp_path / "out")
    again = import_language(tmp_path / "out")
    assert again.backbone.config == replace(model.backbone.config, tied_output=False)
    np.testing.assert_array_equal(logits_of(tmp_path / "out")[1], logits_BTV)


def spoil(tensor, number):
    tensor = tensor.copy()
    tensor.flat[tensor.size // 2] = number
    return tensor


@pytest.mark.parametrize(
    ("name", "tensor", "number"),
    [
        ("llama", "model.layers.2.mlp.down_proj.weight", np.nan),
        ("gpt2", "transformer.h.1.attn.c_attn.weight", np.inf),
        ("bert", "encoder.layer.0.output.LayerNorm.bias", -np.inf),
        ("albert", "embeddings.word_embeddings.weight", np.nan),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float16", ml_dtypes.bfloat16])
def test_a_tensor_that_holds_no_number_is_named(tmp_path, name, tensor, number, dtype):
    folder = copy_golden(name, tmp_path)

    def change(tensors):
        tensors[tensor] = spoil(tensors[tensor].astype(dtype), number)
        return tensors

    change_tensors(folder, change)
    with pytest.raises(UserError) as error:
        load_backbone(folder)
    size = load_file(folder / WEIGHTS)[tensor].size
    said = f"{tensor} in {folder} holds 1 numbers that are NaN or infinite, of {size}:"
    assert str(error.value).startswith(said)
    assert "\n" not in str(error.value)


def test_a_number_that_float32_does_not_hold_is_infinite(tmp_path):
    folder, name = copy_golden("llama", tmp_path), "model.norm.weight"
    change_tensors(folder, lambda tensors: tensors | {name: np.full(32, 1e300)})
    with pytest.raises(UserError, match=rf"{name} in .* holds 32 numbers that are NaN or inf"):
        load_backbone(folder)


def test_what_an_export_wrote_is_looked_through_too(tmp_path):
    model, _ = logits_of(FOLDER / "llama")
    export_model(model, tmp_path)
    (tmp_path / "manifest.json").unlink()
    change_tensors(tmp_path, lambda tensors: tensors | {HEAD: spoil(tensors[HEAD], np.nan)})
    with pytest.raises(UserError, match=rf"{HEAD} in .* holds 1 numbers"):
        import_language(tmp_path)


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_a_file_of_llama2c_is_looked_through_but_for_what_is_computed_here(tmp_path, number):
    """Its rotations are NaN in the file that the other tests write."""
    path, backbone = tmp_path / "model.bin", golden_backbone("llama")
    content = bytearray(write_llama2c(backbone))
    read_llama2c(_written(path, content))
    last = len(content) - 4 * (2 * backbone.config.max_length * 4 + 1)  # of the final norm
    content[last : last + 4] = np.float32(number).tobytes()
    with pytest.raises(UserError, match=r"final_norm\.scale in .*model\.bin holds 1 numbers"):
        read_llama2c(_written(path, content))


def _written(path, content):
    path.write_bytes(content)
    return path
