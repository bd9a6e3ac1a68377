"""Checkpoints of decoders with an encoder: what they may leave out, and out and back again."""

import json
import warnings
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import load_file

from ee_jax.errors import UserError
from ee_jax.models.attention import MASKED, sinusoids
from ee_jax.models.export import export_model, import_language, with_exits
from ee_jax.models.families.bart import bart
from ee_jax.models.families.t5 import t5
from ee_jax.models.files import WEIGHTS
from ee_jax.models.huggingface import load_backbone, read_architecture, write_config
from ee_jax.models.kv_cache import DecodeLayout, in_decode_layout
from ee_jax.models.language import LanguageDesign
from ee_jax.models.transformer import looking_at, parameters
from ee_jax.tokens import Tokens
from tests.models.folders import change_tensors, changed, copy_golden
from tests.models.golden_models import (
    FOLDER,
    SOURCED,
    golden_inputs,
    load_golden,
    read_sourced,
)
from tests.models.test_export import same_bits

DESIGN = LanguageDesign((1, 2, 4), "adapter", 3, learned=True)


@pytest.mark.parametrize("name", SOURCED)
def test_out_and_back_is_bit_identical(tmp_path, name):
    model = with_exits(*read_sourced(FOLDER / name), DESIGN)
    export_model(model, tmp_path)
    back = import_language(tmp_path)
    assert back.design == model.design
    assert back.backbone.config == model.backbone.config
    assert same_bits(parameters(back), parameters(model))
    ours, theirs = (load_file(folder / WEIGHTS) for folder in (tmp_path, FOLDER / name))
    names = {name for name in ours if not name.startswith(("heads.", "scores."))}
    assert names == theirs.keys()
    assert same_bits({name: ours[name] for name in names}, theirs)


def small(family, **own):
    """Of this family, the encoder's sizes other than the decoder's."""
    config = bart(family, 50, 24, (2, 3), (4, 3), (40, 30), 20)
    assert config.encoder is not None
    return replace(config, encoder=replace(config.encoder, **own), **own)


@pytest.mark.parametrize(
    "config",
    [
        small("bart"),
        small("mbart", activation="relu", embedding_scale=24**0.5),
        replace(small("marian", activation="silu"), unsaid=(49,)),
        t5(50, 24, 2, 3, 6, 40, 3, 20),
    ],
)
def test_a_config_out_and_back(tmp_path, config):
    (tmp_path / "config.json").write_text(json.dumps(write_config(config)))
    assert read_architecture(tmp_path) == config


@pytest.mark.parametrize("name", SOURCED)
def test_hugging_face_reads_the_folder(tmp_path, name):
    torch = pytest.importorskip("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        transformers = pytest.importorskip("transformers")
    model = with_exits(*read_sourced(FOLDER / name), DESIGN)
    export_model(model, tmp_path, ends=[3], opening=[5, 7])
    theirs = transformers.AutoModelForSeq2SeqLM.from_pretrained(
        tmp_path, attn_implementation="eager"
    )
    writes = theirs.generation_config
    assert (writes.decoder_start_token_id, writes.forced_bos_token_id) == (5, 7)
    arrays = load_golden(name)
    parts = {"input_ids": "tokens_BT", "attention_mask": "mask_BT",
             "decoder_input_ids": "target_BT"}  # fmt: skip
    inputs = {key: torch.tensor(arrays[part]).long() for key, part in parts.items()}
    with torch.no_grad():
        logits_BTV = theirs.eval()(**inputs).logits.numpy()
    # Sums in the order of another machine.
    atol = 5e-5 * np.abs(arrays["logits_BTV"]).max()
    np.testing.assert_allclose(logits_BTV, arrays["logits_BTV"], rtol=0, atol=atol)


def test_tables_of_tokens_under_the_names_of_older_checkpoints(tmp_path):
    """Saved by `transformers` 4, which has the same table up to four times."""
    wanted = read_sourced(FOLDER / "bart")[1]
    names = ["model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight"]
    for kept in ([], names, ["lm_head.weight"], [*names, "lm_head.weight"]):
        folder = copy_golden("bart", tmp_path / str(len(kept)) / str(kept[-1:]))

        def rename(tensors, kept=kept):
            table = tensors["model.shared.weight"]
            if kept:
                del tensors["model.shared.weight"]
            return {**tensors, **{name: table.copy() for name in kept}}

        change_tensors(folder, rename)
        config, values = read_sourced(folder)
        assert config.tied_output
        assert same_bits(values, wanted)


@pytest.mark.parametrize("prefix", ["", "model."])
def test_a_bart_without_a_bias_of_its_logits_has_zeros(tmp_path, prefix):
    """And one saved without its head has no prefix."""
    folder = copy_golden("bart", tmp_path)

    def without(tensors):
        del tensors["final_logits_bias"]
        return {prefix + name.removeprefix("model."): own for name, own in tensors.items()}

    change_tensors(folder, without)
    bias_V = read_sourced(folder)[1]["output_bias"]
    np.testing.assert_array_equal(bias_V, np.zeros(64))


def test_positions_that_a_marian_checkpoint_holds_are_those_that_are_computed(tmp_path):
    """Numbers of the first Transformer's formula; the checkpoint's table is not read."""
    table_TD = np.zeros((40, 16), np.float32)
    for position in range(40):
        for pair in range(8):
            angle = position / 10_000 ** (2 * pair / 16)
            table_TD[position, pair] = np.sin(angle)
            table_TD[position, 8 + pair] = np.cos(angle)
    got_TD = sinusoids(jnp.arange(40)[None], 16)[0]
    np.testing.assert_allclose(got_TD, table_TD, atol=2e-6)
    folder = copy_golden("marian", tmp_path)
    names = ["model.encoder.embed_positions.weight", "model.decoder.embed_positions.weight"]
    change_tensors(folder, lambda tensors: {**tensors, **{n: table_TD.copy() for n in names}})
    assert same_bits(read_sourced(folder)[1], read_sourced(FOLDER / "marian")[1])
    np.testing.assert_array_equal(sinusoids(jnp.arange(4)[None], 5).shape, (1, 4, 5))


def test_a_marian_never_says_its_padding():
    config, values = read_sourced(FOLDER / "marian")
    assert config.unsaid == (63,)
    values["output_bias"] = values["output_bias"].at[63].set(1e6)
    logits_BV = with_exits(config, values, DESIGN).logits(jnp.ones((2, 16)))
    assert (logits_BV[:, 63] == MASKED).all()
    assert (logits_BV.argmax(-1) != 63).all()


def test_sizes_and_scale_of_either_part(tmp_path):
    config = changed("marian", tmp_path)
    assert config.encoder is not None
    assert config.embedding_scale == config.encoder.embedding_scale == 4.0
    sizes = [(part.blocks, part.heads, part.hidden) for part in (config.encoder, config)]
    assert sizes == [(3, 4, 24), (4, 2, 20)]
    assert changed("bart", tmp_path / "own", scale_embedding=True).embedding_scale == 4.0


@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_a_block_more_than_the_config_says_is_surplus(tmp_path, part):
    folder = copy_golden("bart", tmp_path)
    (folder / "config.json").write_text(
        json.dumps(json.loads((folder / "config.json").read_text()) | {f"{part}_layers": 1})
    )
    with pytest.raises(UserError, match=rf"{part}\.layers\.\d\.\S* \(surplus\)"):
        load_backbone(folder)


def test_what_reads_the_other_text_keeps_its_layout_in_decoding():
    """All of that text's tokens come at once, and the decode layout is for few."""
    model = with_exits(*read_sourced(FOLDER / "bart"), LanguageDesign((2, 4)))
    ours, source = in_decode_layout(model), golden_inputs("bart")
    linear = [node for _, node in nnx.iter_graph(ours.backbone.encoder)]
    assert not any(isinstance(node, DecodeLayout) for node in linear)
    cross = ours.backbone.block(0).cross
    assert cross is not None
    kinds = [type(part) for part in (cross.key, cross.value, cross.query, cross.out)]
    assert kinds == [nnx.Linear, nnx.Linear, DecodeLayout, DecodeLayout]
    ids_BT = jnp.asarray(load_golden("bart")["target_BT"])
    tokens = Tokens(ids_BT, jnp.ones(ids_BT.shape, bool))

    def logits(model):
        memory = model.backbone.remember(source)
        seeing = looking_at(model, lambda model: model.backbone, memory)
        return seeing.logits(seeing.features(tokens))

    np.testing.assert_allclose(logits(ours), logits(model), rtol=0, atol=1e-5)
