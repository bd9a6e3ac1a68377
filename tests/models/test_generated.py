"""Checkpoints of generated faults: configs, safetensors files and their index, llama2.c files.

Nothing but a UserError comes out, whatever bytes go in; what loads is the model that was there.
"""

import json
import struct

import numpy as np
import pytest
from flax import nnx
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ee_jax.errors import UserError
from ee_jax.models.exit_model import ExitModel
from ee_jax.models.export import export_model, import_language, import_model
from ee_jax.models.files import INDEX, WEIGHTS, read_tensors
from ee_jax.models.heads import ExitDesign
from ee_jax.models.huggingface import load_backbone
from ee_jax.models.language import LanguageDesign, LanguageModel
from ee_jax.models.llama2c import read_llama2c
from ee_jax.models.transformer import Transformer, parameters
from tests.generated import EXAMPLES, damaged, outcome
from tests.models.folders import copy_golden, shard
from tests.models.golden_models import DECODERS, ENCODERS, FOLDER, golden_backbone
from tests.models.test_llama2c import write_llama2c

WHOLE = st.integers(-3, 70) | st.sampled_from([2**31 - 1, 2**31, 10**9, 10**30, -(10**30)])
PLAIN = (
    st.none() | st.booleans() | WHOLE | st.floats() | st.text(max_size=5)
    | st.sampled_from(["gelu", "silu", "llama", "bert", "llama3", "linear", "full_attention"])
)  # fmt: skip
VALUES = PLAIN | st.lists(PLAIN, max_size=3) | st.dictionaries(st.text(max_size=3), PLAIN)
ROPE = st.dictionaries(
    st.sampled_from(
        ["rope_type", "type", "rope_theta", "factor", "low_freq_factor", "high_freq_factor",
         "original_max_position_embeddings"]
    ),
    PLAIN,
)  # fmt: skip
CONFIGS = {
    name: json.loads((FOLDER / name / "config.json").read_text())
    for name in [*ENCODERS, *DECODERS]
}
# A family's name, and what its config has otherwise; `...`: it is absent.
CHANGES = st.sampled_from(sorted(CONFIGS)).flatmap(
    lambda name: st.tuples(
        st.just(name),
        st.dictionaries(
            st.sampled_from(sorted(CONFIGS[name])), VALUES | ROPE | st.just(...), max_size=3
        ),
    )
)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A copy of each golden folder, whose files the examples overwrite."""
    path = tmp_path_factory.mktemp("golden")
    return {name: copy_golden(name, path) for name in CONFIGS}


def shapes(backbone):
    return {path: value.shape for path, value in parameters(backbone).items()}


@EXAMPLES
def test_configs(folders, examples):
    @settings(max_examples=examples)
    @example(("llama", {"rms_norm_eps": float("inf")}))
    @example(("llama", {"num_hidden_layers": 10**9}))
    @example(("albert", {"num_hidden_layers": 10**9}))
    @example(("llama", {"eos_token_id": [[1]]}))
    @example(("llama", {"hidden_size": 32.5}))
    @example(("llama", {"vocab_size": True}))
    @given(CHANGES)
    def body(change):
        name, fields = change
        config = {k: v for k, v in (CONFIGS[name] | fields).items() if v is not ...}
        (folders[name] / "config.json").write_text(json.dumps(config))
        if isinstance(loaded := outcome(load_backbone, folders[name]), UserError):
            return
        assert 0 < loaded.config.norm_eps < 1
        assert shapes(loaded).items() <= shapes(golden_backbone(name)).items()

    body()


def header_of(**tensors):
    """A file of safetensors with this header and eight bytes of data."""
    text = json.dumps(tensors).encode()
    return struct.pack("<Q", len(text)) + text + bytes(8)


def tensor(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


TYPES = [
    "F32", "F64", "F16", "BF16", "I8", "BOOL", "F8_E4M3", "F8_E5M2", "F4", "F8_E8M0", "C64",
    "U16", "F6_E2M3", "X",
]  # fmt: skip
HEADERS = st.builds(
    lambda names, tensors: header_of(**dict(zip(names, tensors, strict=False))),
    st.lists(st.text(max_size=4), min_size=1, max_size=3, unique=True),
    st.lists(
        st.builds(
            tensor,
            st.sampled_from(TYPES),
            st.lists(st.integers(0, 4) | st.sampled_from([2**31, 2**64, -1]), max_size=3),
            st.lists(st.integers(0, 9) | st.sampled_from([2**40, 2**64, -1]), max_size=3),
        ),
        min_size=1,
        max_size=3,
    ),
)  # fmt: skip
GOLDEN = (FOLDER / "gpt2" / WEIGHTS).read_bytes()


@EXAMPLES
def test_safetensors_files(folders, examples):
    @settings(max_examples=examples)
    @example(struct.pack("<Q", 2**63) + b"{}")
    @example(struct.pack("<Q", 99_999_999) + b"{}")
    @given(damaged(GOLDEN) | HEADERS)
    def body(content):
        (folders["gpt2"] / WEIGHTS).write_bytes(content)
        (folders["gpt2"] / "config.json").write_text(json.dumps(CONFIGS["gpt2"]))
        found = outcome(read_tensors, folders["gpt2"])
        if not isinstance(found, UserError):
            assert sum(array.nbytes for array in found.values()) <= len(content)
        outcome(load_backbone, folders["gpt2"])

    body()


@EXAMPLES
def test_indices(tmp_path, examples):
    """What is not an index of shards that lie here is refused, and nothing else is opened."""
    folder = copy_golden("albert", tmp_path)
    names, outside = shard(folder, 2), tmp_path / "outside.safetensors"
    outside.write_bytes(GOLDEN)
    (folder / "link.safetensors").symlink_to(outside)
    paths = [*names, "../outside.safetensors", str(outside), "link.safetensors", "..", "", "."]

    @settings(max_examples=examples)
    @example({"": "\n"})  # a path of two lines
    @given(
        st.dictionaries(st.text(max_size=3), st.sampled_from(paths) | PLAIN, max_size=3)
        | VALUES
    )
    def body(listed):
        (folder / INDEX).write_text(json.dumps({"weight_map": listed}))
        found = outcome(read_tensors, folder)
        inside = isinstance(listed, dict) and set(listed.values()) <= set(names)
        assert isinstance(found, UserError) != inside

    body()


LLAMA2C = write_llama2c(golden_backbone("llama"))
SIZES = st.integers(-2, 70) | st.sampled_from([2**31 - 1, -(2**31), 10**6])


@EXAMPLES
def test_checkpoints_of_llama2c(tmp_path, examples):
    path = tmp_path / "model.bin"

    @settings(max_examples=examples)
    @example(struct.pack("<7i", 30, 48, 4, 6, 2, 64, 40) + LLAMA2C[28:])  # heads of 5
    @example(struct.pack("<7i", 32, 48, 4, 4, 3, 64, 40) + LLAMA2C[28:])
    @given(
        damaged(LLAMA2C)
        | st.tuples(*[SIZES] * 7).map(lambda sizes: struct.pack("<7i", *sizes) + LLAMA2C[28:])
    )
    def body(content):
        path.write_bytes(content)
        found = outcome(read_llama2c, path)
        if not isinstance(found, UserError):
            assert len(content) == len(LLAMA2C)
            assert all(np.isfinite(value).all() for value in found[1].values())

    body()


DESIGNS = {
    "llama": LanguageDesign((1, 4), "adapter", 2),
    "bert": ExitDesign((1, 4), 3, "mlp", "first", learned=True),
}


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A language model and a classifier with exits, as a run exports them."""
    path = tmp_path_factory.mktemp("exported")
    for name, design in DESIGNS.items():
        config = golden_backbone(name).config
        rngs, kind = nnx.Rngs(0), LanguageModel if config.causal else ExitModel
        export_model(kind(Transformer(config, rngs=rngs), design, rngs=rngs), path / name)
        (path / name / "manifest.json").unlink()
    return path


@EXAMPLES
def test_exits(exported, examples):
    design = st.sampled_from(sorted(DESIGNS)).flatmap(
        lambda name: st.tuples(
            st.just(name),
            st.dictionaries(
                st.sampled_from([*vars(DESIGNS[name]), "more"]),
                VALUES | st.lists(WHOLE),
                max_size=2,
            )
            | VALUES,
        )
    )

    @settings(max_examples=examples)
    @example(("llama", {"head": "yes"}))
    @example(("llama", {"head_width": 10**9}))
    @example(("bert", {"classes": 0}))
    @example(("bert", {"classes": "3"}))
    @example(("bert", {"pooling": "last"}))
    @example(("bert", {"layers": [1, 4.0]}))
    @given(design)
    def body(change):
        name, fields = change
        whole = vars(DESIGNS[name])
        design = whole | fields if isinstance(fields, dict) else fields
        (exported / name / "exits.json").write_text(json.dumps({"design": design}))
        read = import_language if name == "llama" else import_model
        found = outcome(read, exported / name)
        # What was not trained would start from nothing: refused but where it costs no tensor.
        free = {"layers", "pooling", "learned", "shared_score"}
        assert isinstance(found, UserError) or all(
            whole[field] == value for field, value in fields.items() if field not in free
        )

    body()
