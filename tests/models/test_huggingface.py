"""Folders and packages of weights, and what is wrong with them."""

import json
import shutil

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from ee_jax.errors import UserError
from ee_jax.models.files import find_weights
from ee_jax.models.huggingface import load_backbone, read_architecture
from ee_jax.models.parameters import parameters
from tests.models.golden_models import FOLDER


@pytest.fixture
def folder(tmp_path):
    return shutil.copytree(FOLDER / "bert", tmp_path / "bert")


@pytest.fixture
def llama_folder(tmp_path):
    return shutil.copytree(FOLDER / "llama", tmp_path / "llama")


def change_config(folder, **change):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))


def change_tensors(folder, change):
    tensors = change(load_file(folder / "model.safetensors"))
    save_file(tensors, folder / "model.safetensors")


def test_a_folder_is_its_own_place(folder):
    assert find_weights(str(folder)) == folder


def test_a_package_is_looked_into_and_not_imported(folder, tmp_path, monkeypatch):
    package = tmp_path / "some_weights"
    shutil.copytree(folder, package / "inner" / "bert")
    (package / "__init__.py").write_text("raise AssertionError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    assert find_weights("some_weights") == package / "inner" / "bert"


@pytest.mark.parametrize(
    "source", ["no_such_package", "json", "no/such/folder", "not-a-package", ""]
)
def test_no_weights(source):
    with pytest.raises(UserError, match="neither a folder with model"):
        find_weights(source)


@pytest.mark.parametrize("prefix", ["bert.", ""])
def test_a_heads_prefix_is_taken_off(folder, prefix):
    wanted = parameters(load_backbone(folder))
    change_tensors(folder, lambda tensors: {prefix + k: v for k, v in tensors.items()})
    got = parameters(load_backbone(folder))
    assert all(np.array_equal(got[path], wanted[path]) for path in wanted)


def test_half_precision_becomes_float32(llama_folder):
    wanted = parameters(load_backbone(llama_folder))
    change_tensors(
        llama_folder,
        lambda tensors: {k: v.astype(ml_dtypes.bfloat16) for k, v in tensors.items()},
    )
    for path, value in parameters(load_backbone(llama_folder)).items():
        assert value.dtype == np.float32
        np.testing.assert_array_equal(value, wanted[path].astype(ml_dtypes.bfloat16))


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_file_that_is_missing(folder, name):
    (folder / name).unlink()
    with pytest.raises(UserError, match=f"{name} is missing"):
        load_backbone(folder)


def cut(content):
    return content[: len(content) // 2]


def empty(content):
    return b""


def garble_header(content):
    return content[:8] + b"\xff" * 100 + content[108:]


def claim_more(content):
    """A header that promises more bytes than there are."""
    return (1 << 40).to_bytes(8, "little") + content[8:]


@pytest.mark.parametrize("damage", [cut, empty, garble_header, claim_more])
def test_a_damaged_file(folder, damage):
    path = folder / "model.safetensors"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match=r"model\.safetensors cannot be read") as error:
        load_backbone(folder)
    assert "\n" not in str(error.value)


def test_tensors_of_another_shape_are_named(folder):
    change_config(folder, intermediate_size=64)
    with pytest.raises(UserError, match=r"does not fit its config\.json") as error:
        load_backbone(folder)
    # Up and down projection and one bias, of each of 4 blocks: 3 are named.
    message = str(error.value)
    assert "encoder.layer.0.intermediate.dense.weight ((32, 48), not (32, 64))" in message
    assert "and 9 more" in message


def test_a_tensor_that_is_missing_is_named(folder):
    def change(tensors):
        del tensors["encoder.layer.2.output.LayerNorm.weight"]
        return tensors

    change_tensors(folder, change)
    with pytest.raises(
        UserError, match=r"encoder\.layer\.2\.output\.LayerNorm\.weight \(missing\);"
    ):
        load_backbone(folder)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model_type": "gpt_neox"}, "gpt_neox"),
        ({"hidden_act": "relu"}, "hidden_act is 'relu', not 'gelu'"),
        ({"position_embedding_type": "relative_key"}, "relative_key"),
        ({"is_decoder": True}, "is_decoder is True"),
    ],
)
def test_a_bert_that_we_cannot_build(folder, change, said):
    change_config(folder, **change)
    with pytest.raises(
        UserError, match=r"does not describe a model of \['bert', 'llama'\]"
    ) as e:
        read_architecture(folder)
    assert said in str(e.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"hidden_act": "gelu"}, "hidden_act is 'gelu', not 'silu'"),
        ({"attention_bias": True}, "attention_bias is True"),
        ({"rope_parameters": {"rope_type": "llama3", "rope_theta": 1e4}}, "'llama3'"),
        ({"rope_parameters": None, "rope_scaling": {"type": "linear"}}, "rope_scaling"),
    ],
)
def test_a_llama_that_we_cannot_build(llama_folder, change, said):
    change_config(llama_folder, **change)
    with pytest.raises(UserError, match="does not describe a model") as error:
        read_architecture(llama_folder)
    assert said in str(error.value)


def test_an_older_config_has_the_ropes_theta_at_the_top(llama_folder):
    change_config(llama_folder, rope_parameters=None, rope_scaling=None, rope_theta=77.0)
    assert read_architecture(llama_folder).rope_theta == 77.0


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"model_type": "bert"}', "null"])
def test_a_config_that_is_none(folder, content):
    (folder / "config.json").write_text(content)
    with pytest.raises(UserError, match=r"config\.json does not describe a model"):
        read_architecture(folder)
