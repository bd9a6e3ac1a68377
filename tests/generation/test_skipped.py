"""Blocks that every row skips do not run: counted inside of the compiled program."""

import jax
import numpy as np
import pytest

from ee_jax.generation import segment
from ee_jax.generation.decoder import Decoder
from ee_jax.generation.programs import Exits, Speculation
from ee_jax.generation.rules import forced_at
from ee_jax.models.transformer import Transformer
from tests.generation.models import PROMPTS, tiny

TOKENS = 6


@pytest.fixture
def ran(monkeypatch):
    """(what, block, tokens a row) of everything that runs after prefill, as it happens."""
    ran, number = [], {}

    def noting(what, function):
        def noted(block, hidden_BTD, position_BT, *rest):
            time = hidden_BTD.shape[1]
            entry = what, number[id(block)], time
            jax.debug.callback(lambda _: ran.append(entry), position_BT)
            return function(block, hidden_BTD, position_BT, *rest)

        return noted

    def numbered(self, index):
        number[id(self.blocks[index])] = index
        return self.blocks[index]

    monkeypatch.setattr(Transformer, "block", numbered)
    monkeypatch.setattr(segment, "attend_cache", noting("block", segment.attend_cache))
    monkeypatch.setattr(segment, "make_kv", noting("keys", segment.make_kv))
    return ran


def counted(ran, decoder, way, shared, prompts):
    jax.effects_barrier()
    decoder.run(way, shared, prompts, TOKENS)
    jax.effects_barrier()
    decoding = [entry for entry in ran if entry[2] != 16]  # 16: the prompts, padded
    return lambda what, block: decoding.count((what, block, 1))


@pytest.mark.parametrize("window", [2, 16])
def test_no_deeper_block_runs_than_the_deepest_row_needs(ran, window):
    depth_BN = np.array([[1, 1, 2, 1, 1, 1], [1, 1, 1, 1, 4, 1]])
    way = Exits(forced_at, "propagate", window)
    times = counted(ran, Decoder(tiny()), way, depth_BN, PROMPTS[:2])
    assert [times("block", block) for block in range(4)] == [6, 2, 1, 1]
    assert [times("keys", block) for block in range(4)] == [6, 2, 1, 1]


def test_rows_that_have_ended_hold_nobody_up(ran):
    """The first row would need all blocks, but has ended: its second token stops it."""
    depth_BN = np.array([[1] * 6, [1] * 6])
    decoder = Decoder(tiny())
    first = decoder.run(Exits(forced_at), depth_BN, PROMPTS[:2], TOKENS)
    stop = int(first.ids_BN[0, 1])
    assert stop not in first.ids_BN[1]
    ran.clear()
    depth_BN[0, 2:] = 4
    times = counted(ran, Decoder(tiny(), stops=[stop]), Exits(forced_at), depth_BN, PROMPTS[:2])
    assert [times("block", block) for block in range(4)] == [6, 0, 0, 0]


def test_verifying_runs_the_first_blocks_not_again(ran):
    decoder = Decoder(tiny())
    drafts = 2
    jax.effects_barrier()
    out = decoder.run(Speculation(1, drafts), None, PROMPTS[:1], TOKENS)
    jax.effects_barrier()
    rounds = int(out.rounds_B[0])
    assert rounds > 1
    for block in range(4):
        shallow = ran.count(("block", block, 1))
        deep = ran.count(("block", block, drafts + 1))
        assert (shallow, deep) == ((rounds * (drafts + 1), 0) if block < 2 else (0, rounds))
