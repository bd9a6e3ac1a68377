"""A model with its exits goes out and comes back as it was, and others can read it."""

import json
import warnings
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from ee_jax.errors import UserError
from ee_jax.models.architecture import Rope
from ee_jax.models.exit_model import static_logits
from ee_jax.models.export import export_model, import_model, read_exits
from ee_jax.models.families import FAMILIES
from ee_jax.models.families.albert import albert
from ee_jax.models.families.bert import bert
from ee_jax.models.families.distilbert import distilbert
from ee_jax.models.families.electra import electra
from ee_jax.models.families.gpt2 import gpt2
from ee_jax.models.families.llama import llama, read_rope
from ee_jax.models.families.mpnet import mpnet
from ee_jax.models.families.olmo2 import olmo2
from ee_jax.models.families.roberta import roberta
from ee_jax.models.files import WEIGHTS
from ee_jax.models.heads import HEADS
from ee_jax.models.huggingface import read_architecture, write_config
from ee_jax.models.presets import PRESETS
from ee_jax.models.transformer import parameters
from tests.models.golden_models import (
    DECODERS,
    ENCODERS,
    FOLDER,
    golden_backbone,
    golden_inputs,
    golden_language,
    load_golden,
    make_model,
)


def same_bits(left, right):
    assert left.keys() == right.keys()
    return all(
        np.asarray(left[path]).tobytes() == np.asarray(right[path]).tobytes() for path in left
    )


@pytest.fixture
def folder(tmp_path):
    export_model(make_model("bert", learned=True), tmp_path)
    (tmp_path / "manifest.json").unlink()  # what is checked without it
    return tmp_path


@pytest.mark.parametrize(
    ("name", "head", "learned"),
    [
        *product(["bert"], HEADS, [False, True]),
        *product([*ENCODERS[1:], *DECODERS], ["linear"], [False]),
    ],
)
def test_out_and_back_is_bit_identical(tmp_path, name, head, learned):
    model = make_model(name, head, learned=learned, pooling="first")
    export_model(model, tmp_path / "new" / "folder")
    back = import_model(tmp_path / "new" / "folder")
    assert back.design == model.design
    assert back.backbone.config == model.backbone.config
    assert same_bits(parameters(back), parameters(model))


def test_the_model_that_came_back_answers_the_same(folder):
    inputs = golden_inputs("bert")
    np.testing.assert_array_equal(
        static_logits(import_model(folder), inputs),
        static_logits(make_model("bert", learned=True), inputs),
    )


@pytest.mark.parametrize("name", ENCODERS + DECODERS)
def test_the_backbone_has_hugging_faces_names_and_values(tmp_path, name):
    export_model(make_model(name), tmp_path)
    ours, theirs = (load_file(path / WEIGHTS) for path in (tmp_path, FOLDER / name))
    prefix = FAMILIES[golden_backbone(name).config.family].prefix
    ours = {n.removeprefix(prefix): tensor for n, tensor in ours.items()}
    theirs = {n.removeprefix(prefix): tensor for n, tensor in theirs.items()}
    assert {n for n in ours if n not in theirs} == {n for n in ours if n.startswith("exits.")}
    left_out = {n for n in theirs if n not in ours}
    assert all(n.startswith(("pooler.", "lm_head.", "embed_out.")) for n in left_out)
    both = ours.keys() & theirs.keys()
    assert same_bits({n: ours[n] for n in both}, {n: theirs[n] for n in both})


@pytest.fixture
def transformers():
    pytest.importorskip("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("transformers")


def theirs_is_golden(model, name, key):
    """Does a model of Hugging Face's compute the golden array `key`, where there are tokens?"""
    from tests.models.golden.recording import run

    golden = load_golden(name)
    mask_BT = golden["mask_BT"]
    got, wanted = (arrays[key][..., mask_BT, :] for arrays in (run(model, golden), golden))
    # Sums in the order of another machine: up to 2e-6 of the largest value, as in parity.
    np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())


@pytest.mark.parametrize("name", ENCODERS + DECODERS)
def test_hugging_face_reads_the_folder(tmp_path, transformers, name):
    export_model(make_model(name, "pooler", learned=True), tmp_path)
    theirs = transformers.AutoModel.from_pretrained(tmp_path, attn_implementation="eager")
    theirs_is_golden(theirs, name, "hidden_LBTD")


@pytest.mark.parametrize("name", ["llama3", "yarn", "qwen2", *DECODERS[6:]])
def test_hugging_face_reads_a_language_model(tmp_path, transformers, name):
    export_model(golden_language(name), tmp_path)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path, attn_implementation="eager"
    )
    theirs_is_golden(theirs, name, "logits_BTV")


def test_notes_lie_beside_the_design(tmp_path):
    model = make_model("bert")
    export_model(model, tmp_path, strategy="joint", classes=["a", "b", "c"])
    given = read_exits(tmp_path)
    assert given == {"design": model.design, "strategy": "joint", "classes": ["a", "b", "c"]}


def test_an_export_replaces_another_and_leaves_nothing_behind(folder):
    model = make_model("bert", "mlp", seed=1)
    export_model(model, folder)
    assert sorted(path.name for path in folder.iterdir()) == [
        "config.json", "exits.json", "manifest.json", "model.safetensors",
    ]  # fmt: skip
    assert same_bits(parameters(import_model(folder)), parameters(model))


BERT = bert(50, 24, 3, 4, 96, 20, token_types=1, norm_eps=1e-6)
LLAMA = llama(50, 24, 3, 4, 2, 40, 20, norm_eps=1e-6, rope_theta=500_000.0)


@pytest.mark.parametrize(
    "config",
    [
        *PRESETS.values(),
        BERT,
        roberta(BERT, padding=3),
        albert(BERT, embedding_width=8),
        LLAMA,
        replace(LLAMA, head_size=10, tied_output=True, rope=Rope(7.0, "linear", factor=3.0)),
        replace(LLAMA, rope=Rope(7.0, "llama3", 3.0, 2.0, 5.0, original_length=12)),
        replace(LLAMA, family="mistral"),
        replace(LLAMA, family="qwen2", bias="qkv"),
        replace(LLAMA, family="qwen3", head_norm=True),
        gpt2(50, 24, 3, 4, 40, 20, norm_eps=1e-6),
        replace(roberta(BERT, padding=3), family="camembert"),
        distilbert(BERT),
        electra(BERT, 8),
        electra(BERT, 24),
        mpnet(roberta(BERT)),
        olmo2(LLAMA),
        replace(LLAMA, family="phi3", head_size=8, rope=Rope(7.0, share=0.5), window=9),
    ],
)
def test_the_architecture_goes_through_config_json(tmp_path, config):
    (tmp_path / "config.json").write_text(json.dumps(write_config(config)))
    assert read_architecture(tmp_path) == config


@pytest.mark.parametrize("name", ["modernbert", "gpt_neox", "gemma2", "gemma3"])
def test_an_architecture_that_was_read_is_written_and_read_again(tmp_path, name):
    config = golden_backbone(name).config
    (tmp_path / "config.json").write_text(json.dumps(write_config(config)))
    assert read_architecture(tmp_path) == config


@pytest.mark.parametrize(
    "rope",
    [
        Rope(7.0),
        Rope(7.0, "linear", factor=3.0),
        Rope(7.0, "llama3", 3.0, 2.0, 5.0, original_length=12),
        Rope(7.0, "yarn", 3.0, 2.0, 5.0, original_length=12, scale=1.25),
        Rope(7.0, "dynamic", 3.0),
    ],
)
def test_the_older_spelling_of_rotary_positions_says_the_same(rope):
    written = write_config(replace(LLAMA, rope=rope))
    del written["rope_parameters"]
    assert written["rope_theta"] == 7.0
    assert (written["rope_scaling"] is None) == (rope.scaling == "default")
    assert read_rope(written) == rope


def test_a_backbone_alone_has_no_exits(tmp_path):
    with pytest.raises(UserError, match=r"exits\.json is missing"):
        import_model(FOLDER / "bert")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"design": {"classes": 3}}',
        '{"design": {"layers": [4]}}',
        '{"design": {"layers": 4, "classes": 3}}',
        '{"design": {"layers": [4], "classes": 3, "colour": "red"}}',
        '{"design": {"layers": [], "classes": 3}}',
        '{"design": {"layers": [3, 2, 4], "classes": 3}}',
    ],
)
def test_exits_that_are_none(folder, content):
    (folder / "exits.json").write_text(content)
    with pytest.raises(UserError, match=r"exits\.json does not describe exits"):
        import_model(folder)


@pytest.mark.parametrize("change", [{"layers": [1, 2]}, {"head": "heart"}])
def test_exits_of_another_model(folder, change):
    given = json.loads((folder / "exits.json").read_text())
    given["design"] |= change
    (folder / "exits.json").write_text(json.dumps(given))
    with pytest.raises(UserError, match="does not belong to its config"):
        import_model(folder)


def test_exits_that_do_not_fit_the_tensors(folder):
    given = json.loads((folder / "exits.json").read_text())
    given["design"] |= {"classes": 5}
    (folder / "exits.json").write_text(json.dumps(given))
    with pytest.raises(UserError, match=r"exits\.heads\.0\.out\.bias \(\(3,\), not \(5,\)\)"):
        import_model(folder)


def test_a_tensor_that_is_lost_is_named(folder):
    tensors = load_file(folder / "model.safetensors")
    del tensors["exits.scores.1.bias"]
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(UserError, match=r"exits\.scores\.1\.bias \(missing\)"):
        import_model(folder)
