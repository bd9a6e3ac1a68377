"""GGUF files: tiny ones against transformers, and what is no model that is built here."""

import re
import sys

import jax.numpy as jnp
import numpy as np
import pytest

from ee_jax.data.gguf import read_header
from ee_jax.errors import UserError
from ee_jax.models.architecture import Rope
from ee_jax.models.attention import rope_frequencies
from ee_jax.models.export import export_model, shapes_of, with_exits
from ee_jax.models.gguf import read_gguf
from ee_jax.models.language import LanguageDesign
from ee_jax.models.language_source import GGUFFile, find_language
from ee_jax.models.transformer import bind
from ee_jax.tokens import Tokens
from tests.models.golden_models import FOLDER

gguf = pytest.importorskip("gguf", reason="gguf is not installed: pip install 'ee_jax[gguf]'")

from gguf.quants import dequantize  # noqa: E402

from tests.models.gguf_files import (  # noqa: E402
    BLOCKS,
    MODELS,
    PACKED,
    Kind,
    pack,
    shapes,
    write_gguf,
)

# Of the largest logit, where weights are equal to the bit and fp32 sums are not.
TOLERANCE = 1e-5


def logits_of(path, ids_BT):
    config, values = find_language(str(path)).weights()
    model = bind(shapes_of(config, LanguageDesign((config.blocks,))), values)
    return logits(model, ids_BT)


def logits(model, ids_BT):
    tokens = Tokens(jnp.asarray(ids_BT), jnp.ones(ids_BT.shape, bool))
    return np.asarray(model.logits(model.features(tokens)[-1]))


@pytest.mark.parametrize("name", MODELS)
def test_logits_are_those_of_transformers(tmp_path, name):
    golden = np.load(FOLDER / "gguf.npz")
    architecture, options = MODELS[name]
    path = write_gguf(tmp_path / "model.gguf", architecture, **options)
    got = logits_of(path, golden["tokens_BT"])[:, -2:]
    largest = np.abs(golden[name]).max()
    np.testing.assert_allclose(got, golden[name], rtol=0, atol=TOLERANCE * largest)


def is_unpacked(kind):
    try:
        dequantize(np.zeros((1, gguf.GGML_QUANT_SIZES[kind][1]), np.uint8), kind)
    except NotImplementedError:
        return False
    return True


UNPACKED = [kind for kind in Kind if is_unpacked(kind)]


def test_the_kinds_that_are_tried_are_among_them():
    assert {*PACKED, *BLOCKS} <= {*UNPACKED}


@pytest.mark.parametrize("kind", UNPACKED, ids=lambda kind: kind.name)
def test_every_kind_is_unpacked(tmp_path, kind):
    path = write_gguf(tmp_path / "model.gguf", "qwen2", [kind], tied=True)
    _, tensors = read_gguf(read_header(path))
    random = np.random.default_rng(0)
    wanted = {}
    for name, shape in shapes("qwen2", tensors["token_embd.weight"].shape[0]).items():
        noise = random.normal(size=shape)
        if len(shape) == 1:
            continue
        values = noise if name.startswith("token") else 1.5 * noise / shape[1] ** 0.5
        packed = pack(values, kind, random)
        wanted[name] = dequantize(packed, kind).reshape(shape)
    for name, value in wanted.items():
        assert tensors[name].shape == value.shape
        np.testing.assert_array_equal(np.asarray(tensors[name]), value)
        np.testing.assert_array_equal(np.asarray(tensors[name].T), value.T)


@pytest.mark.parametrize("architecture", ["llama", "qwen2", "qwen3"])
def test_an_exported_model_is_the_same(tmp_path, architecture):
    path = write_gguf(tmp_path / "model.gguf", architecture, [Kind.Q8_0])
    source = find_language(str(path))
    model = with_exits(*source.weights(), LanguageDesign((3,)))
    export_model(model, tmp_path / "exported", source.ends())
    ids_BT = np.arange(12).reshape(2, 6)
    exported = find_language(str(tmp_path / "exported"))
    assert exported.ends() == source.ends() == [2]
    config, values = exported.weights()
    assert config == source.weights()[0]
    again = bind(shapes_of(config, LanguageDesign((3,))), values)
    np.testing.assert_array_equal(logits(again, ids_BT), logits(model, ids_BT))


LLAMA3 = Rope(500_000.0, "llama3", 8.0, 1.0, 4.0, 8192)


def divisors(rope):
    plain = rope_frequencies(Rope(rope.theta), 64)
    return (plain / rope_frequencies(rope, 64)).astype(np.float32)


@pytest.mark.parametrize(
    ("changes", "rope"),
    [
        ({"llama__rope__freq_base": ...}, Rope(10_000.0)),
        ({"llama__rope__scaling__factor": 4.0}, Rope(1000.0, "linear", 4.0)),
        ({"llama__rope__scale_linear": 4.0}, Rope(1000.0, "linear", 4.0)),
        (
            {"llama__rope__scaling__type": "none", "llama__rope__scaling__factor": 4.0},
            Rope(1000.0),
        ),
        ({"more": {"rope_freqs.weight": np.ones(32, np.float32)}}, Rope(1000.0)),
        (
            {
                "llama__rope__freq_base": LLAMA3.theta,
                "more": {"rope_freqs.weight": divisors(LLAMA3)},
            },
            LLAMA3,
        ),
    ],
)
def test_rotary_positions(tmp_path, changes, rope):
    config, _ = read_gguf(read_header(write_gguf(tmp_path / "m.gguf", tied=True, **changes)))
    assert config.rope == rope


REFUSED = [
    ({"general__architecture": "gemma"}, "its architecture is 'gemma', not llama, qwen2"),
    ({"llama__block_count": ...}, "it has no llama.block_count"),
    ({"llama__block_count": 5000}, "llama.block_count is 5000, not a whole number from 1"),
    ({"llama__embedding_length": "x"}, "llama.embedding_length is 'x', not a whole number"),
    ({"llama__attention__layer_norm_rms_epsilon": float("nan")}, "is nan, not a number above"),
    ({"llama__attention__head_count": 3}, "3 heads cannot share 2 of keys evenly"),
    ({"llama__attention__head_count_kv": [2, 2, 2]}, "llama.attention.head_count_kv is array"),
    ({"llama__expert_count": 8}, "llama.expert_count is 8, not 0"),
    ({"llama__attention__sliding_window": 16}, "attention.sliding_window is 16, not 0"),
    ({"llama__rope__dimension_count": 32}, "rope.dimension_count is 32, not 64"),
    ({"llama__rope__scaling__type": "yarn"}, "rope.scaling.type is 'yarn', not 'none' or"),
    ({"llama__rope__scaling__factor": -1.0}, "factor of the rotary positions is -1.0, not"),
    (
        {"more": {"rope_freqs.weight": np.linspace(1, 9, 32).astype(np.float32)}},
        "rope_freqs.weight divides frequencies otherwise than Llama 3 does",
    ),
    ({"llama__block_count": 4}, "describes 4 blocks, but of 29 tensors with it none is blk.3."),
    ({"llama__block_count": 2}, "do not fit its header: blk.2.attn_k.weight (surplus), "),
    ({"llama__feed_forward_length": 128}, "blk.0.ffn_gate.weight ((256, 256), not (256, 128))"),
    (
        {"more": {"blk.0.attn_q.bias": np.ones(256, np.float32)}},
        "blk.0.attn_q.bias (surplus); take both from one model",
    ),
    (
        {"more": {"blk.0.ffn_gate_inp.weight": np.full((2, 256), np.nan, np.float32)}},
        "blk.0.ffn_gate_inp.weight (surplus)",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "message"), REFUSED)
def test_what_is_not_built_here_is_one_line(tmp_path, changes, message):
    path = write_gguf(tmp_path / "m.gguf", tied=True, **changes)
    with pytest.raises(UserError, match=re.escape(message)) as error:
        find_language(str(path)).weights()
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)


def test_a_weight_that_is_no_number(tmp_path):
    path = write_gguf(tmp_path / "m.gguf", tied=True)
    entry = read_header(path).tensors["blk.1.ffn_up.weight"]
    content = bytearray(path.read_bytes())
    content[entry.start : entry.start + 4] = np.float32("nan").tobytes()
    path.write_bytes(content)
    with pytest.raises(
        UserError, match=r"blk.1.ffn_up.weight in .* holds 1 numbers that are NaN"
    ):
        find_language(str(path)).weights()


def test_a_kind_that_is_not_known(tmp_path):
    path = write_gguf(tmp_path / "m.gguf", tied=True)
    content = path.read_bytes()
    name = b"blk.0.attn_q.weight"
    at = content.index(name) + len(name) + 4 + 2 * 8  # number of axes, axes
    for kind in (9, 33, 99):  # without a way to unpack, removed, never there
        changed = content[:at] + kind.to_bytes(4, "little") + content[at + 4 :]
        path.write_bytes(changed)
        with pytest.raises(UserError, match="take a file of another quantization"):
            find_language(str(path)).weights()


def test_without_the_library(tmp_path, monkeypatch):
    path = write_gguf(tmp_path / "m.gguf", tied=True)
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(UserError, match=r"is a GGUF file: pip install 'ee_jax\[gguf\]'"):
        find_language(str(path)).weights()


def test_where_a_file_is_found(tmp_path, monkeypatch):
    folder = tmp_path / "a_package_of_weights"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise AssertionError('imported')")
    path = write_gguf(folder / "model.gguf", tied=True)
    renamed = tmp_path / "sha256-0123"
    renamed.write_bytes(path.read_bytes())
    monkeypatch.syspath_prepend(tmp_path)
    for name in (path, folder, folder.name, renamed):
        source = find_language(str(name))
        assert isinstance(source, GGUFFile)
        assert source.path == (renamed if name == renamed else path)
        assert source.files() == [source.path]
    other = folder / "other.gguf"
    other.write_bytes(path.read_bytes())
    for name in (folder, folder.name):
        with pytest.raises(UserError, match=f"{name} holds several models: give {path} or"):
            find_language(str(name))
    with pytest.raises(UserError, match=r"no weights in '.*nothing\.gguf': .* a .gguf file"):
        find_language(str(tmp_path / "nothing.gguf"))


def test_parameters_are_unpacked_one_at_a_time(tmp_path, monkeypatch):
    """Each tensor is asked for its numbers once."""
    path = write_gguf(tmp_path / "m.gguf", kinds=[Kind.Q8_0])
    asked = []
    monkeypatch.setattr(
        "ee_jax.models.gguf.check_finite", lambda numbers, name, path: asked.append(name)
    )
    find_language(str(path)).weights()
    assert sorted(asked) == sorted(read_header(path).tensors)


def test_the_golden_rows_mean_something():
    golden = np.load(FOLDER / "gguf.npz")
    assert all(np.std(golden[name]) > 0.5 for name in MODELS)
