"""What a `config.json` says of the architecture."""

import json

import pytest

from ee_jax.errors import UserError
from ee_jax.models.architecture import Rope
from ee_jax.models.huggingface import read_architecture, write_config
from tests.models.folders import LLAMA3, changed, copy_golden


@pytest.mark.parametrize(
    ("older", "wanted"),
    [
        ({"rope_theta": 77.0}, Rope(77.0)),
        ({"rope_theta": 77.0, "rope_scaling": None}, Rope(77.0)),
        ({}, Rope(10_000.0)),
        ({"rope_scaling": {"type": "linear", "factor": 2.0}}, Rope(scaling="linear", factor=2)),
        (
            {"rope_theta": 5e5, "rope_scaling": {"rope_type": "llama3", **LLAMA3}},
            Rope(5e5, "llama3", 8, 1, 4, 8192),
        ),
    ],
)
def test_the_older_spelling_of_rotary_positions(tmp_path, older, wanted):
    assert changed("llama", tmp_path, rope_parameters=None, **older).rope == wanted


def test_of_both_spellings_the_older_one_counts(tmp_path):
    """As `transformers` reads it, whose own files have one of them."""
    newer = {"rope_type": "default", "rope_theta": 77.0}
    older = {"rope_scaling": {"type": "linear", "factor": 2.0}, "rope_theta": 5e5}
    rope = changed("llama", tmp_path, rope_parameters=newer, **older).rope
    assert rope == Rope(5e5, "linear", 2.0)


def test_a_mistral_that_says_nothing_of_its_window_has_one(tmp_path):
    """4096, the default of `transformers`."""
    folder = copy_golden("mistral", tmp_path)
    path = folder / "config.json"
    given = json.loads(path.read_text())
    del given["sliding_window"]
    path.write_text(json.dumps(given))
    assert read_architecture(folder).window == 4096


def test_a_llama_of_2023_says_nothing_of_groups_heads_and_ties(tmp_path):
    config = changed("llama", tmp_path, num_key_value_heads=None, head_dim=None)
    assert (config.kv_heads, config.head_size) == (4, 8)
    assert not config.tied_output


@pytest.mark.parametrize("window", [None, 100, 20])
def test_a_window_is_read_and_written(tmp_path, window):
    config = changed("mistral", tmp_path, sliding_window=window)
    assert (config.window, config.max_length) == (window, 40)
    assert write_config(config)["sliding_window"] == window


def test_a_qwen_has_a_window_only_where_it_uses_it(tmp_path):
    config = changed("qwen2", tmp_path, sliding_window=20, use_sliding_window=False)
    assert config.window is None


@pytest.mark.parametrize(
    ("name", "older", "wanted"),
    [
        (
            "gpt_neox",
            {"rotary_emb_base": 77.0, "rotary_pct": 0.5},
            (Rope(77.0, share=0.5), None),
        ),
        ("gpt_neox", {}, (Rope(share=0.25), None)),
        ("phi3", {"partial_rotary_factor": 0.75}, (Rope(share=0.75), None)),
        (
            "gemma3",
            {"rope_theta": 77.0, "rope_scaling": {"rope_type": "linear", "factor": 8.0},
             "rope_local_base_freq": 7.0},
            (Rope(77.0, "linear", 8.0), Rope(7.0)),
        ),
        ("gemma3", {}, (Rope(1e6), Rope(1e4))),
        (
            "modernbert",
            {"global_rope_theta": 77.0, "local_rope_theta": 7.0},
            (Rope(77.0), Rope(7.0)),
        ),
        ("modernbert", {}, (Rope(160_000.0), Rope(10_000.0))),
    ],
)  # fmt: skip
def test_the_older_spelling_of_positions_by_family(tmp_path, name, older, wanted):
    config = changed(name, tmp_path, rope_parameters=None, **older)
    assert (config.rope, config.local_rope) == wanted


@pytest.mark.parametrize(
    ("name", "older", "local"),
    [
        ("gemma2", {}, (True, False, True, False)),
        ("gemma3", {"sliding_window_pattern": None}, None),
        ("gemma3", {"sliding_window_pattern": 2}, (True, False, True, False)),
        ("modernbert", {}, (False, True, True, False)),
        ("modernbert", {"global_attn_every_n_layers": 2}, (False, True, False, True)),
    ],
)
def test_configs_of_the_hub_say_local_blocks_by_a_pattern(tmp_path, name, older, local):
    if local is None:
        with pytest.raises(UserError, match="sliding_window_pattern is None, not a whole"):
            changed(name, tmp_path, layer_types=None, **older)
    else:
        assert changed(name, tmp_path, layer_types=None, **older).local == local


@pytest.mark.parametrize(("size", "width"), [(16, None), (12, 12)])
def test_an_electra_as_wide_as_its_embedding_has_no_projection(tmp_path, size, width):
    assert changed("electra", tmp_path, embedding_size=size).embedding_width == width


@pytest.mark.parametrize("name", ["gemma2", "gemma3"])
def test_a_gemma_that_says_nothing_is_as_published(tmp_path, name):
    """The defaults of `transformers`."""
    folder = copy_golden(name, tmp_path)
    given = json.loads((folder / "config.json").read_text())
    for field in (
        "tie_word_embeddings", "head_dim", "sliding_window", "query_pre_attn_scalar",
        "attn_logit_softcapping", "final_logit_softcapping", "hidden_activation",
    ):  # fmt: skip
        del given[field]
    (folder / "config.json").write_text(json.dumps(given))
    config = read_architecture(folder)
    assert (config.tied_output, config.head_size, config.window) == (True, 256, 4096)
    caps = (50.0, 30.0) if name == "gemma2" else (None, None)
    assert (config.score_size, config.score_cap, config.logit_cap) == (256, *caps)


def test_a_gpt_neox_whose_parts_follow_each_other(tmp_path):
    config = changed("gpt_neox", tmp_path, use_parallel_residual=False)
    assert config.norm_place == "pre"
    assert write_config(config)["use_parallel_residual"] is False


def test_positions_begin_after_the_paddings(tmp_path):
    config = changed("roberta", tmp_path, max_position_embeddings=514)
    assert (config.first_position, config.max_length) == (2, 512)


def test_a_gpt2_is_four_times_as_wide_inside_and_tied(tmp_path):
    config = changed("gpt2", tmp_path, n_inner=None)
    assert config.hidden == 64
    assert config.tied_output
