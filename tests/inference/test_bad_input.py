import numpy as np
import pytest

from ee_jax.errors import UserError
from ee_jax.inference import generator as decoder_module
from ee_jax.inference import memory
from ee_jax.inference.generator import Decoder, draft_exit_at, exit_at
from ee_jax.inference.memory import decoding_bytes
from ee_jax.inference.methods import StaticDecoding
from ee_jax.inference.prompts import pack_prompts, prompt_lengths
from ee_jax.inference.rules import Exiting
from ee_jax.models.kv_cache import cache_bytes, make_cache
from tests.inference.models import tiny

CONFIG = tiny().backbone.config  # a context of 40, a vocabulary of 64


@pytest.mark.parametrize(
    ("prompts", "tokens", "says"),
    [
        ([], 5, "no prompts"),
        ([[1], []], 5, "prompt 2 of 2 is empty"),
        ([[1] * 41], 1, "prompt 1 of 1 has 41 tokens, and 1 more .* context of 40"),
        ([[1] * 30], 11, "30 tokens, and 11 more"),
        ([[1, 64]], 5, "outside of the model's vocabulary of 64"),
        ([[-1]], 5, "outside"),
        ([[1]], 0, "at least one"),
    ],
)
def test_prompts_that_cannot_be_decoded(prompts, tokens, says):
    with pytest.raises(UserError, match=says):
        pack_prompts(prompts, CONFIG, tokens)


def test_prompts_that_just_fit():
    packed = pack_prompts([[1] * 30, [2, 3]], CONFIG, 10)
    assert packed.ids_BP.shape == (2, 32)
    np.testing.assert_array_equal(packed.length_B, [30, 2])
    np.testing.assert_array_equal(packed.ids_BP[1], [2, 3] + [0] * 30)
    assert prompt_lengths(40) == [16, 32, 40]
    assert prompt_lengths(10) == [10]


def test_a_batch_that_does_not_fit_is_refused_before_compiling(monkeypatch):
    decoder = Decoder(tiny())
    needed = decoding_bytes(CONFIG, decoder.values, 2, 16, 16 + 5)
    monkeypatch.setattr(memory, "available_bytes", lambda: needed - 1)
    monkeypatch.setattr(decoder_module, "Program", None)
    with pytest.raises(UserError, match="a batch of 2 rows of 21 tokens needs about"):
        decoder.run(StaticDecoding(2), None, [[1], [2]], 5)


@pytest.mark.parametrize(("wide", "looking"), [(1, 16), (20, 20)])
def test_scores_are_of_the_tokens_that_look_at_once(wide, looking):
    """A prompt of 16 or the wide tokens: two arrays of float32, 4 heads, over 1000 slots."""
    cache, logits = cache_bytes(CONFIG, 3, 1000), 4 * 4 * 3 * wide * 64
    scores = 2 * 4 * 3 * 4 * looking * 1000
    assert decoding_bytes(CONFIG, {}, 3, 16, 1000, wide) == cache + logits + scores


def test_the_cache_is_as_large_as_estimated():
    cache = make_cache(CONFIG, batch=3, slots=7)
    held = sum(part.nbytes for kv in cache for part in kv)
    assert cache_bytes(CONFIG, 3, 7) == held


def test_exits_that_are_not_there():
    design = tiny().design
    assert exit_at(design, 3) == 2
    with pytest.raises(UserError, match=r"no exit after 4 blocks: .* after 1, 2, 3"):
        exit_at(design, 4)
    assert draft_exit_at(design, 2) == 1
    with pytest.raises(UserError, match=r"all 3 blocks cannot draft: .* one of 1, 2"):
        draft_exit_at(design, 3)


def test_rules_by_names_that_are_not_there():
    with pytest.raises(UserError, match=r"no confidence 'sure': there are max_prob"):
        Exiting("sure")
    with pytest.raises(UserError, match=r"no decay 'linear' .* calm_paper"):
        Exiting(decay="linear")
