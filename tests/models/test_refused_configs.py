"""Configs that describe no model that is built here, each refused in one line."""

import json

import pytest

from ee_jax.errors import UserError
from ee_jax.models.huggingface import load_backbone, read_architecture
from tests.models.folders import LLAMA3, changed, copy_golden, copy_golden_with
from tests.models.golden_models import DECODERS, ENCODERS

DEEP = "[" * 100_000


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        (
            "bert",
            {"model_type": "gpt_neo"},
            "family 'gpt_neo': did you mean `gpt_neox`?",
        ),
        ("llama", {"model_type": "bloom"}, "no model family 'bloom': there are albert, bart,"),
        ("bert", {"hidden_act": "mish"}, "hidden_act is 'mish', not one of gelu, gelu_new"),
        ("bert", {"position_embedding_type": "relative_key"}, "relative_key"),
        ("bert", {"is_decoder": True}, "is_decoder is True"),
        ("albert", {"num_hidden_groups": 2}, "num_hidden_groups is 2, not 1"),
        ("albert", {"inner_group_num": 3}, "inner_group_num is 3, not 1"),
        ("llama", {"hidden_act": "gelu"}, "hidden_act is 'gelu', not 'silu'"),
        ("llama", {"attention_bias": True}, "attention_bias is True"),
        ("llama", {"mlp_bias": True}, "mlp_bias is True"),
        ("llama", {"rope_parameters": {"rope_type": "yarn"}}, "it has no `factor`"),
        (
            "llama",
            {"rope_parameters": {"rope_type": "yarn", "factor": 2.0, "truncate": False}},
            "truncate is False",
        ),
        (
            "llama",
            {"rope_scaling": {"type": "yarn", "factor": 2.0, "beta_fast": 1, "beta_slow": 2}},
            "beta_slow 2 is not below that of high, 1",
        ),
        ("llama", {"rope_parameters": {"rope_type": "llama3"}}, "it has no `factor`"),
        (
            "llama",
            {"rope_parameters": None, "rope_scaling": {"type": "longrope", "factor": 2.0}},
            "rope scaling 'longrope' is not one of default, linear, llama3, yarn, dynamic",
        ),
        ("llama", {"partial_rotary_factor": 0.5}, "partial_rotary_factor is 0.5"),
        ("qwen2", {"use_sliding_window": True}, "use_sliding_window is True"),
        (
            "qwen3",
            {"layer_types": ["sliding_attention"]},
            "layer_types has 'sliding_attention'",
        ),
        ("llama", {"quantization_config": {"load_in_8bit": True}}, "quantization_config is {"),
        ("llama", {"rope_scaling": "linear"}, "is 'linear', not an object"),
        ("llama", {"rope_scaling": {"type": "linear", "factor": "2"}}, "factor of the rot"),
        ("llama", {"rope_scaling": {"type": "linear", "factor": 0}}, "positions is 0, not a"),
        (
            "llama3",
            {"rope_scaling": {"type": "llama3", **LLAMA3, "low_freq_factor": 4.0}},
            "low_freq_factor 4.0 is not below that of high, 4.0",
        ),
        ("llama", {"rope_parameters": {"full_attention": {}}}, "not the same in all blocks"),
        ("llama", {"num_attention_heads": 0}, "num_attention_heads is 0, not a whole"),
        ("llama", {"num_attention_heads": 64}, "64 heads cannot share a width of 32"),
        ("llama", {"num_hidden_layers": 0}, "num_hidden_layers is 0, not a whole number"),
        ("llama", {"num_hidden_layers": "4"}, "num_hidden_layers is '4', not a whole number"),
        ("llama", {"num_hidden_layers": True}, "num_hidden_layers is True, not a whole"),
        ("albert", {"num_hidden_layers": 10**9}, "is 1000000000, not a whole number from 1 to"),
        ("bert", {"hidden_size": 32.0}, "hidden_size is 32.0, not a whole number from 1 to"),
        ("bert", {"hidden_size": [32]}, "hidden_size is [32], not a whole number from 1 to"),
        ("bert", {"vocab_size": 10**30}, "vocab_size is 10000000000000"),
        ("bert", {"layer_norm_eps": 2}, "layer_norm_eps is 2, not a number above 0 and below"),
        ("roberta", {"pad_token_id": None}, "pad_token_id is null"),
        ("roberta", {"max_position_embeddings": 2}, "0 positions are left for tokens"),
        ("llama", {"rms_norm_eps": float("inf")}, "rms_norm_eps is inf, not a number above 0"),
        ("llama", {"rms_norm_eps": float("nan")}, "rms_norm_eps is nan, not a number above 0"),
        ("llama", {"eos_token_id": [[1]]}, "eos_token_id is [[1]], not a token's id, a list"),
        ("llama", {"model_type": ["llama"]}, "model_type is ['llama'], not a string"),
        ("mistral", {"sliding_window": 0}, "sliding_window is 0, not a whole number from 1"),
        ("llama", {"num_key_value_heads": 3}, "4 heads cannot share 3 of keys evenly"),
        ("llama", {"head_dim": 7}, "a head of 7 does not turn in pairs"),
        ("llama", {"rms_norm_eps": None}, "rms_norm_eps is None, not a number above 0"),
        ("llama", {"tie_word_embeddings": "no"}, "tie_word_embeddings is 'no'"),
        ("gpt2", {"activation_function": "relu"}, "activation_function is 'relu'"),
        ("gpt2", {"scale_attn_by_inverse_layer_idx": True}, "inverse_layer_idx is True"),
        ("camembert", {"pad_token_id": None}, "pad_token_id is null"),
        ("distilbert", {"activation": "mish"}, "activation is 'mish', not one of gelu"),
        ("distilbert", {"n_layers": 0}, "n_layers is 0, not a whole number from 1 to"),
        ("electra", {"position_embedding_type": "relative_key"}, "relative_key"),
        ("electra", {"is_decoder": True}, "is_decoder is True"),
        ("mpnet", {"relative_attention_num_buckets": 16}, "buckets is 16, not 32"),
        ("modernbert", {"norm_bias": True}, "norm_bias is True"),
        ("modernbert", {"hidden_activation": "mish"}, "hidden_activation is 'mish', not one"),
        ("modernbert", {"layer_types": ["full_attention"]}, "layer_types has 1 of 4 blocks"),
        ("modernbert", {"rope_parameters": {"rope_theta": 9.0}}, "are not those of full_att"),
        ("gpt_neox", {"attention_bias": False}, "attention_bias is False, not True"),
        ("gpt_neox", {"rope_parameters": None, "rotary_pct": 1.5}, "rotary_pct is 1.5, not a"),
        (
            "gpt_neox",
            {"rope_parameters": None, "rotary_pct": 0.2},
            "a head of 8 does not turn in pairs, 1 of its numbers",
        ),
        ("olmo2", {"attention_bias": True}, "attention_bias is True"),
        ("olmo2", {"hidden_act": "gelu"}, "hidden_act is 'gelu', not 'silu'"),
        (
            "phi3",
            {"rope_scaling": {"type": "longrope", "short_factor": [1.0], "long_factor": [2.0]}},
            "rope scaling 'longrope' is not one of default",
        ),
        ("phi3", {"rope_scaling": {"type": "linear", "factor": 2.0}}, "rope_type is 'linear'"),
        ("gemma2", {"hidden_activation": "gelu"}, "hidden_activation is 'gelu', not 'gelu_p"),
        ("gemma2", {"attn_logit_softcapping": -1.0}, "softcapping is -1.0, not a finite num"),
        ("gemma2", {"sliding_window": None}, "sliding_window is null, but some blocks have"),
        ("gemma3", {"use_bidirectional_attention": True}, "use_bidirectional_attention is t"),
        ("gemma3", {"layer_types": 4 * ["chunked_attention"]}, "has 'chunked_attention'"),
        ("gemma3", {"rope_parameters": {"rope_type": "default"}}, "are not those of full_att"),
        ("t5", {"feed_forward_proj": "gated-mish"}, "feed_forward_proj is 'gated-mish'"),
        ("bart", {"activation_function": "mish"}, "activation_function is 'mish', not one"),
        ("bart", {"is_encoder_decoder": False}, "is_encoder_decoder is False, not True"),
        ("bart", {"tie_word_embeddings": False}, "tie_word_embeddings is False, not True"),
        ("mbart", {"encoder_attention_heads": 17}, "17 heads cannot share a width of 16"),
        ("mbart", {"decoder_layers": 0}, "decoder_layers is 0, not a whole number from 1"),
        ("marian", {"share_encoder_decoder_embeddings": False}, "r_embeddings is False, not"),
        ("marian", {"scale_embedding": "yes"}, "scale_embedding is 'yes', not true or false"),
        ("marian", {"pad_token_id": 64}, "pad_token_id is 64, no token of 64"),
        ("marian", {"decoder_start_token_id": "<pad>"}, "is '<pad>', not a token's id or null"),
    ],
)
def test_a_variant_that_is_not_built_here(tmp_path, name, change, said):
    with pytest.raises(UserError, match="describes no model that is built here") as error:
        changed(name, tmp_path, **change)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("llama", "num_hidden_layers"),
        ("gpt2", "n_layer"),
        ("bert", "num_hidden_layers"),
        ("t5", "num_layers"),
        ("bart", "encoder_layers"),
        ("bart", "decoder_layers"),
    ],
)
def test_more_blocks_than_tensors_are_refused_before_any_is_made(tmp_path, name, field):
    with pytest.raises(UserError, match=r"describes 4000 blocks, but of \d+ tensors"):
        load_backbone(copy_golden_with(name, tmp_path, **{field: 4000}))


@pytest.mark.parametrize("name", ENCODERS + DECODERS)
def test_a_field_that_is_absent_is_named(tmp_path, name):
    folder = copy_golden(name, tmp_path)
    path = folder / "config.json"
    whole = json.loads(path.read_text())
    size = {"gpt2": "n_layer", "distilbert": "dim"}.get(name, "hidden_size")
    for field in ("model_type", "vocab_size", size):
        path.write_text(json.dumps({key: v for key, v in whole.items() if key != field}))
        with pytest.raises(UserError, match=f"it has no `{field}`"):
            read_architecture(folder)


@pytest.mark.parametrize("content", ["[]", "{}", '{"model_type": "bert"}', "null", DEEP])
def test_a_config_that_is_none(tmp_path, content):
    folder = copy_golden("bert", tmp_path)
    (folder / "config.json").write_text(content)
    with pytest.raises(
        UserError, match=r"config\.json describes no model that is built here: "
    ):
        read_architecture(folder)


@pytest.mark.parametrize("content", [b"", b"{", b'{"a": "\xff"}'])
def test_a_config_that_cannot_be_read(tmp_path, content):
    folder = copy_golden("bert", tmp_path)
    (folder / "config.json").write_bytes(content)
    with pytest.raises(UserError, match=r"config\.json cannot be read \(.*: fetch the file ag"):
        read_architecture(folder)


def test_no_config(tmp_path):
    with pytest.raises(UserError, match=r"config\.json is missing"):
        read_architecture(tmp_path)
