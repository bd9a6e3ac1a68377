import jax.numpy as jnp
import numpy as np
import pytest

from ee_jax.models.kv_cache import KV, attend_cache, make_cache, make_kv, read, write
from ee_jax.tokens import Tokens
from tests.models.golden_models import golden_backbone

B, K, S, H = 2, 2, 7, 3


def numbers(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def test_rows_are_written_at_their_own_positions_and_read_back():
    old = KV(numbers(B, K, S, H), numbers(B, K, S, H, seed=1))
    new = KV(numbers(B, K, 2, H, seed=2), numbers(B, K, 2, H, seed=3))
    position_BT = jnp.asarray([[3, 4], [0, 6]])
    kv = write(old, new, position_BT)
    for part, was, put in zip(kv, old, new, strict=True):
        wanted = np.array(was)
        wanted[0, :, 3:5], wanted[1, :, 0], wanted[1, :, 6] = put[0], put[1, :, 0], put[1, :, 1]
        np.testing.assert_array_equal(part, wanted)
    for part, put in zip(read(kv, position_BT), new, strict=True):
        np.testing.assert_array_equal(part, put)


def test_what_is_masked_is_not_written_wherever_it_lies():
    old = KV(numbers(B, K, S, H), numbers(B, K, S, H, seed=1))
    new = KV(numbers(B, K, 3, H, seed=2), numbers(B, K, 3, H, seed=3))
    position_BT = jnp.asarray([[-2, -1, 0], [4, 5, 6]])
    mask_BT = jnp.asarray([[False, False, True], [False, True, True]])
    kv = write(old, new, position_BT, mask_BT)
    wanted = np.array(old.key_BKSH)
    wanted[0, :, 0], wanted[1, :, 5:7] = new.key_BKSH[0, :, 2], new.key_BKSH[1, :, 1:]
    np.testing.assert_array_equal(kv.key_BKSH, wanted)


@pytest.mark.parametrize(
    "name", ["llama3", "qwen3", "gpt2", "gpt_neox", "olmo2", "phi3", "gemma2", "gemma3"]
)
def test_a_block_on_a_cache_is_the_block_on_the_whole_text(name):
    """Token by token, rows at positions of their own, beside slots full of nonsense."""
    backbone = golden_backbone(name)
    config, block = backbone.config, backbone.block(1)
    ids_BT = jnp.asarray(np.random.default_rng(0).integers(64, size=(2, 6)))
    state = backbone.embed(Tokens(ids_BT, jnp.ones((2, 6), bool)))
    whole = backbone.segment(state, 1, 2).hidden_BTD
    kv = KV(*(part + 9.0 for part in make_cache(config, 2, 8)[0]))
    for step in range(7):  # the second row is one token behind
        position_B1 = jnp.asarray([[min(step, 5)], [max(step - 1, 0)]])
        hidden_B1D = jnp.take_along_axis(state.hidden_BTD, position_B1[..., None], axis=1)
        kv = write(kv, make_kv(block, hidden_B1D, position_B1), position_B1)
        after_B1D = attend_cache(backbone, 1, hidden_B1D, position_B1, kv)
        wanted = jnp.take_along_axis(whole, position_B1[..., None], axis=1)
        np.testing.assert_allclose(after_B1D, wanted, atol=1e-5)
