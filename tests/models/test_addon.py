"""Exits apart from their model: back with every bit, and only on the base they know."""

import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import load_file, save_file

from ee_jax.errors import UserError
from ee_jax.models.addon import ADDON, base_of, export_addon, read_language
from ee_jax.models.export import add_exits, export_model, shapes_of
from ee_jax.models.families.llama import llama
from ee_jax.models.language import LanguageDesign, LanguageModel
from ee_jax.models.language_source import find_language
from ee_jax.models.transformer import Transformer, bind, parameters

CONFIG = llama(13, width=8, blocks=3, heads=2, kv_heads=1, hidden=16, max_length=8)
DESIGN = LanguageDesign((1, 2, 3), "adapter", 2, learned=True)
NORM = "heads.0.out_norm.scale"


@pytest.fixture
def base(tmp_path) -> Path:
    design = LanguageDesign((3,))
    model = LanguageModel(Transformer(CONFIG, rngs=nnx.Rngs(0)), design, rngs=nnx.Rngs(1))
    export_model(model, tmp_path / "base")
    (tmp_path / "base" / "exits.json").unlink()  # as it comes from elsewhere
    (tmp_path / "base" / "manifest.json").unlink()
    return tmp_path / "base"


@pytest.fixture
def exits(base, tmp_path) -> tuple[Path, LanguageModel]:
    """A folder of exits that learned something, and the model that they were of."""
    config, values = find_language(str(base)).weights()
    rng, wanted = np.random.default_rng(2), add_exits(config, values, DESIGN)
    for path, value in wanted.items():
        if path not in values:
            wanted[path] = value + jnp.asarray(rng.normal(size=value.shape), jnp.float32)
    model = bind(shapes_of(config, DESIGN), wanted)
    export_addon(model, base_of(str(base)), tmp_path / "exits", strategy="frozen")
    return tmp_path / "exits", model


def test_the_whole_model_comes_back_bit_for_bit(exits):
    folder, model = exits
    back = read_language(folder)
    assert back.design == DESIGN
    wanted, found = parameters(model), parameters(back)
    assert wanted.keys() == found.keys()
    for path, value in wanted.items():
        assert np.asarray(value).tobytes() == np.asarray(found[path]).tobytes()


def test_the_folder_holds_what_the_exits_have_and_no_more(exits):
    folder, _ = exits
    names = {*load_file(folder / ADDON)}
    assert names
    assert all(name.startswith(("heads.", "scores.")) for name in names)
    # Two exits of a norm before and after and two matrices of 8 x 2, three scores.
    numbers = 2 * (8 + 8 + 16 + 16) + 3 * 9
    assert sum(each.size for each in load_file(folder / ADDON).values()) == numbers


def test_what_a_reader_of_models_asks_is_asked_of_the_base(exits, base):
    source, plain = find_language(str(exits[0])), find_language(str(base))
    (config, values), (wanted, numbers) = source.weights(), plain.weights()
    assert config == wanted
    assert values.keys() == numbers.keys()
    assert {*plain.files()} < {*source.files()}


def test_another_base_of_the_name_is_refused(exits, base):
    tensors = load_file(base / "model.safetensors")
    first = next(iter(tensors))
    save_file({**tensors, first: tensors[first] + 1}, base / "model.safetensors")
    with pytest.raises(UserError, match="its files have changed: fetch those of then"):
        read_language(exits[0])


def test_a_base_that_is_gone_is_one_line(exits, base):
    base.rename(base.with_name("elsewhere"))
    with pytest.raises(UserError, match=r"names a base that is not there.*put it there"):
        read_language(exits[0])


@pytest.mark.parametrize("given", [None, 7, {"weights": 3}, {"sha256": "a", "weights": None}])
def test_a_base_that_is_none_is_one_line(exits, given):
    folder, _ = exits
    (folder / "manifest.json").unlink()
    path = folder / "exits.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "base": given}))
    with pytest.raises(UserError, match="names a base that is not there"):
        read_language(folder)


def test_a_flipped_bit_is_found(exits):
    path = exits[0] / ADDON
    content = bytearray(path.read_bytes())
    content[-3] ^= 4
    path.write_bytes(content)
    with pytest.raises(UserError, match=ADDON):
        read_language(exits[0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: {**t, "heads.9.norm.scale": t["heads.0.norm.scale"]}, "has no place for"),
        (lambda t: {name: t[name] for name in [*t][1:]}, "missing"),
        (lambda t: {**t, NORM: np.full(8, np.nan, np.float32)}, "NaN"),
        (
            lambda t: {**t, NORM: np.ones(7, np.float32)},
            r"\(7,\), not \(8,\)",
        ),
    ],
    ids=["surplus", "missing", "NaN", "shape"],
)
def test_tensors_that_do_not_fit_are_one_line(exits, change, message):
    folder, _ = exits
    (folder / "manifest.json").unlink()
    save_file(change(load_file(folder / ADDON)), folder / ADDON)
    with pytest.raises(UserError, match=message):
        read_language(folder)


def test_what_is_no_file_of_tensors_is_one_line(exits):
    folder, _ = exits
    (folder / "manifest.json").unlink()
    (folder / ADDON).write_bytes(b"nothing")
    with pytest.raises(UserError, match="cannot be read"):
        read_language(folder)
