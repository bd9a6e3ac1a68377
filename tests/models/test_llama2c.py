"""Checkpoints of llama2.c: one written here by hand, and a real one."""

import json
import os
import struct
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ee_jax.errors import UserError
from ee_jax.models.export import shapes_of
from ee_jax.models.files import WEIGHTS
from ee_jax.models.language import LanguageDesign
from ee_jax.models.language_source import find_language
from ee_jax.models.llama2c import find_llama2c, read_llama2c
from ee_jax.models.transformer import bind, parameters
from ee_jax.tokens import Tokens
from tests.models.golden_models import golden_backbone

BLOCK = [
    "attention_norm.scale", "attention.query.kernel", "attention.key.kernel",
    "attention.value.kernel", "attention.out.kernel", "mlp_norm.scale", "mlp.gate.kernel",
    "mlp.down.kernel", "mlp.up.kernel",
]  # fmt: skip


def side_by_side(rows):
    """Of one head's 8 rows, 0 and 4 go first, then 1 and 5, ..."""
    return rows[[0, 4, 1, 5, 2, 6, 3, 7]]


def write_llama2c(backbone, output_VD=None):
    """The file of a Llama of 4 heads of 8, and of 2 for the keys."""
    config, values = backbone.config, parameters(backbone)
    sizes = [config.width, config.hidden, config.blocks, config.heads, config.kv_heads]
    vocabulary = config.vocabulary if output_VD is None else -config.vocabulary
    parts = [np.asarray(values["embedding.tokens.embedding"])]
    for name in BLOCK:
        for index in range(config.blocks):
            own = np.asarray(values[f"blocks.{index}.{name}"]).T
            if name in ("attention.query.kernel", "attention.key.kernel"):
                own = np.concatenate([side_by_side(head) for head in own.reshape(-1, 8, 32)])
            parts.append(own)
    parts.append(np.asarray(values["final_norm.scale"]))
    parts.append(np.full((2, config.max_length, 4), np.nan))
    parts += [] if output_VD is None else [output_VD]
    header = struct.pack("<7i", *sizes, vocabulary, config.max_length)
    return header + b"".join(part.astype("<f4").tobytes() for part in parts)


@pytest.mark.parametrize("tied", [True, False])
def test_a_file_written_by_hand(tmp_path, tied):
    backbone = golden_backbone("llama")
    output_VD = np.random.default_rng(0).normal(size=(64, 32)).astype(np.float32)
    path = tmp_path / "model.bin"
    path.write_bytes(write_llama2c(backbone, None if tied else output_VD))
    config, values = read_llama2c(path)
    assert config.tied_output == tied
    assert (config.heads, config.kv_heads, config.head_size) == (4, 2, 8)
    assert (config.vocabulary, config.max_length) == (64, 40)
    wanted = {f"backbone.{name}": value for name, value in parameters(backbone).items()}
    if not tied:
        wanted["output.kernel"] = jnp.asarray(output_VD.T)
    assert values.keys() == wanted.keys()
    for name, value in values.items():
        np.testing.assert_array_equal(value, wanted[name])


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:5],
        lambda content: b"24ka" + content[4:],  # how later formats begin
        lambda content: content[:24] + bytes(4) + content[28:],
        lambda content: content[:-4],
        lambda content: content + bytes(1),
    ],
)
def test_a_file_of_another_format(tmp_path, damage):
    path = tmp_path / "model.bin"
    path.write_bytes(damage(write_llama2c(golden_backbone("llama"))))
    with pytest.raises(UserError, match=r"not of llama2\.c's first format") as error:
        read_llama2c(path)
    assert "\n" not in str(error.value)


def test_a_folder_with_one_checkpoint_is_its_own_place(tmp_path):
    """Tokenizers and other files lie beside it, and weights of another kind go before it."""
    path = tmp_path / "stories.bin"
    path.write_bytes(write_llama2c(golden_backbone("llama")))
    (tmp_path / "tokenizer.bin").write_bytes(b"\7\0\0\0" * 100)
    assert find_llama2c(str(path)) == find_llama2c(str(tmp_path)) == path
    config, values = find_language(str(tmp_path)).weights()
    assert config == read_llama2c(path)[0]
    assert len(values) == 1 + 9 * config.blocks + 1
    (tmp_path / "other.bin").write_bytes(path.read_bytes())
    with pytest.raises(UserError, match=r"several models: give .*other\.bin or .*stories\.bin"):
        find_llama2c(str(tmp_path))
    (tmp_path / WEIGHTS).write_bytes(b"")
    assert find_llama2c(str(tmp_path)) is None
    assert find_llama2c(str(tmp_path / "nothing")) is None


@pytest.mark.parametrize(
    "sizes",
    [
        (30, 48, 4, 6, 2, 64, 40),  # heads of 5 do not turn in pairs
        (32, 48, 4, 5, 5, 64, 40),  # 5 heads do not share 32
        (32, 48, 4, 4, 3, 64, 40),
        (2**31 - 1,) * 7,
    ],
)
def test_a_header_of_which_no_model_can_be_built(tmp_path, sizes):
    path = tmp_path / "model.bin"
    path.write_bytes(struct.pack("<7i", *sizes) + bytes(100))
    with pytest.raises(UserError, match=r"not of llama2\.c's first format"):
        read_llama2c(path)


def test_no_file(tmp_path):
    with pytest.raises(UserError, match=r"give a llama2\.c \.bin file"):
        read_llama2c(tmp_path / "nothing.bin")


@pytest.fixture(scope="module")
def stories():
    """A Llama of 5 blocks that tells stories, and what is known of it."""
    if "EE_JAX_TEST_DATA" not in os.environ:
        pytest.skip("EE_JAX_TEST_DATA is not set: no stories260K.bin")
    return Path(os.environ["EE_JAX_TEST_DATA"]) / "stories260k"


def test_exits_of_a_real_model_say_what_is_known(stories):
    """Each block's output through the final norm and the output projection."""
    config, values = read_llama2c(stories / "stories260K.bin")
    design = LanguageDesign(tuple(range(1, config.blocks + 1)))
    model = bind(shapes_of(config, design), values)
    known = json.loads((stories / "reference.json").read_text())
    ids_T = jnp.asarray(known["greedy_token_ids_from_bos"])

    @jax.jit
    def logits(ids_BT):
        state = model.backbone.embed(Tokens(ids_BT, jnp.ones(ids_BT.shape, bool)))
        exits = []
        for block in range(config.blocks):
            state = model.backbone.segment(state, block, block + 1)
            exits.append(model.logits(model.feature(block, state.hidden_BTD))[0])
        return jnp.stack(exits)

    logits_LTV = logits(ids_T[None])
    # The reference has 64 bits, we 32; logits are of size 10.
    first = known["last_logits_pos0_first8"]
    np.testing.assert_allclose(logits_LTV[-1, 0, :8], first, rtol=0, atol=1e-4)
    guess_LT = np.asarray(logits_LTV.argmax(-1))
    surprise_LT = -jax.nn.log_softmax(logits_LTV)[:, jnp.arange(len(ids_T) - 1), ids_T[1:]]
    lens = known["logit_lens_on_own_greedy_text"]
    agreed = [exit["agree_with_last"] for exit in lens]
    np.testing.assert_array_equal((guess_LT == guess_LT[-1]).mean(1), agreed)
    surprise = [exit["ce_next"] for exit in lens]
    np.testing.assert_allclose(surprise_LT.mean(1), surprise, rtol=0, atol=1e-4)
    np.testing.assert_array_equal(guess_LT[-1, :-1], ids_T[1:])
