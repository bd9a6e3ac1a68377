"""Tensors of a checkpoint as parameters, and those that do not fit."""

import re

import ml_dtypes
import numpy as np
import pytest

from ee_jax.errors import UserError
from ee_jax.models.huggingface import load_backbone
from ee_jax.models.transformer import parameters
from tests.models.folders import change_config, change_tensors, copy_golden
from tests.models.golden_models import golden_backbone


@pytest.fixture
def folder(tmp_path):
    return copy_golden("bert", tmp_path)


def same(folder, name):
    got, wanted = parameters(load_backbone(folder)), parameters(golden_backbone(name))
    return all(np.array_equal(got[path], wanted[path]) for path in wanted)


@pytest.mark.parametrize(
    ("name", "prefix"),
    [
        ("bert", "bert."),
        ("roberta", "roberta."),
        ("albert", "albert."),
        ("gpt2", ""),
        ("electra", "electra."),
        ("modernbert", "model."),
        ("mpnet", "mpnet."),
    ],  # fmt: skip,
)
def test_a_backbone_may_be_saved_with_its_prefix_or_without(tmp_path, name, prefix):
    """Saved alone by Hugging Face, an encoder has none and our GPT-2, with its head, has."""
    folder = copy_golden(name, tmp_path)

    def change(tensors):
        return {prefix + key.removeprefix("transformer."): v for key, v in tensors.items()}

    change_tensors(folder, change)
    assert same(folder, name)


def test_norms_of_2018_have_gamma_and_beta(folder):
    def change(tensors):
        pairs = [("LayerNorm.weight", "LayerNorm.gamma"), ("LayerNorm.bias", "LayerNorm.beta")]
        for new, old in pairs:
            tensors = {name.replace(new, old): tensor for name, tensor in tensors.items()}
        return tensors

    change_tensors(folder, change)
    assert same(folder, "bert")


def test_half_precision_becomes_float32(tmp_path):
    folder = copy_golden("llama", tmp_path)
    change_tensors(
        folder, lambda tensors: {k: v.astype(ml_dtypes.bfloat16) for k, v in tensors.items()}
    )
    wanted = parameters(golden_backbone("llama"))
    for path, value in parameters(load_backbone(folder)).items():
        assert value.dtype == np.float32
        np.testing.assert_array_equal(value, wanted[path].astype(ml_dtypes.bfloat16))


# Up and down projection and one bias, of each block: as many are named as fit in a line.
@pytest.mark.parametrize(
    ("name", "change", "said", "more"),
    [
        (
            "bert",
            {"intermediate_size": 64},
            "encoder.layer.0.intermediate.dense.weight ((32, 48), not (32, 64))",
            9,
        ),
        (
            "albert",
            {"embedding_size": 8},
            "embeddings.position_embeddings.weight",
            3,
        ),
        ("roberta", {"max_position_embeddings": 50}, "position_embeddings.weight", 0),
        ("qwen3", {"head_dim": 4}, "layers.0.self_attn.k_norm.weight", 21),
        ("gpt2", {"n_inner": 96}, "h.0.mlp.c_fc.weight ((16, 64), not (16, 96))", 9),
        ("phi3", {"num_key_value_heads": 4}, "layers.0.self_attn.k.weight (missing)", 13),
        ("gpt2", {"vocab_size": 70}, "wte.weight ((64, 16), not (70, 16))", 0),
    ],
)
def test_tensors_of_another_shape_are_named(tmp_path, name, change, said, more):
    folder = copy_golden(name, tmp_path)
    change_config(folder, **change)
    with pytest.raises(UserError, match=r"do not fit its config\.json") as error:
        load_backbone(folder)
    assert said in str(error.value)
    assert re.findall(r"and (\d+) more;", str(error.value)) == [str(more)] * (more > 0)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "lost"),
    [
        ("bert", "encoder.layer.2.output.LayerNorm.weight"),
        ("albert", "encoder.embedding_hidden_mapping_in.bias"),
        ("qwen2", "model.layers.3.self_attn.k_proj.bias"),
        ("gemma2", "model.layers.1.pre_feedforward_layernorm.weight"),
    ],
)
def test_a_tensor_that_is_missing_is_named(tmp_path, name, lost):
    folder = copy_golden(name, tmp_path)

    def change(tensors):
        del tensors[lost]
        return tensors

    change_tensors(folder, change)
    with pytest.raises(UserError) as error:
        load_backbone(folder)
    assert f"{lost.removeprefix('model.')} (missing);" in str(error.value)


@pytest.mark.parametrize(
    ("name", "change", "surplus", "said"),
    [
        ("llama", {}, "model.layers.0.self_attn.q_proj.bias", ""),
        ("gpt2", {}, "transformer.h.1.crossattention.c_attn.weight", ""),
        ("llama", {"num_hidden_layers": 3}, None, "layers.3.input_layernorm.weight (surplus)"),
        ("bert", {}, "encoder.layer.1.adapter.weight", ""),
    ],
)
def test_a_tensor_that_no_block_reads_is_named(tmp_path, name, change, surplus, said):
    """Left out, it would make other logits than the model's."""
    folder = copy_golden(name, tmp_path)
    change_config(folder, **change)
    if surplus:
        said = f"{surplus.removeprefix('model.').removeprefix('transformer.')} (surplus);"
        change_tensors(folder, lambda tensors: tensors | {surplus: np.zeros(2, np.float32)})
    with pytest.raises(UserError) as error:
        load_backbone(folder)
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("name", "buffer"),
    [
        ("gpt2", "transformer.h.0.attn.bias"),
        ("gpt2", "transformer.h.0.attn.masked_bias"),
        ("llama", "model.layers.0.self_attn.rotary_emb.inv_freq"),
        ("bert", "pooler.dense.weight"),
        ("electra", "discriminator_predictions.dense.weight"),
        ("electra", "classifier.out_proj.weight"),
        ("gpt_neox", "gpt_neox.layers.0.attention.bias"),
        ("gpt_neox", "gpt_neox.layers.0.attention.rotary_emb.inv_freq"),
    ],
)
def test_what_nothing_learns_or_stands_after_the_blocks_may_be_there(tmp_path, name, buffer):
    folder = copy_golden(name, tmp_path)
    change_tensors(folder, lambda tensors: tensors | {buffer: np.zeros(2, np.float32)})
    assert same(folder, name)


def test_whole_numbers_are_no_weights(tmp_path):
    """Quantised ones would need scales."""
    folder = copy_golden("llama", tmp_path)

    def change(tensors):
        return {k: v.astype(np.int8) if "q_proj" in k else v for k, v in tensors.items()}

    change_tensors(folder, change)
    with pytest.raises(UserError, match=r"layers\.0\.self_attn\.q_proj\.weight \(int8, no f"):
        load_backbone(folder)


def test_a_fused_projection_that_is_missing_is_named_by_its_parts(tmp_path):
    folder = copy_golden("gpt2", tmp_path)

    def change(tensors):
        del tensors["transformer.h.1.attn.c_attn.weight"]
        return tensors

    change_tensors(folder, change)
    with pytest.raises(UserError, match=r"h\.1\.attn\.k\.weight \(missing\)"):
        load_backbone(folder)
