"""Blocks that every row skips do not run: counted inside of the compiled program."""

import jax
import numpy as np
import pytest

from ee_jax.inference import segment
from ee_jax.inference.generator import Decoder
from ee_jax.inference.methods import EarlyExitDecoding, SelfSpeculation
from ee_jax.inference.rules import forced_at
from ee_jax.models.transformer import Transformer
from tests.inference.models import BLOCKS, NO_STOPS, PROMPTS, tiny

TOKENS = 6
FORCED = EarlyExitDecoding(forced_at, "propagate", window=2)


@pytest.fixture(scope="module")
def counting():
    """A decoder, and (what, block, tokens a row) of everything that runs in its programs."""
    ran, number, patch = [], {}, pytest.MonkeyPatch()

    def note(what, index, hidden_BTD, position_BT):
        entry = what, index, hidden_BTD.shape[1]
        jax.debug.callback(lambda _: ran.append(entry), position_BT)

    def attend_cache(backbone, index, hidden_BTD, position_BT, kv):
        note("block", index, hidden_BTD, position_BT)
        return attend(backbone, index, hidden_BTD, position_BT, kv)

    def make_kv(block, hidden_BTD, position_BT):
        note("keys", number[id(block)], hidden_BTD, position_BT)
        return make(block, hidden_BTD, position_BT)

    def numbered(self, index):
        number[id(self.blocks[index])] = index
        return self.blocks[index]

    patch.setattr(Transformer, "block", numbered)
    attend, make = segment.attend_cache, segment.make_kv
    patch.setattr(segment, "attend_cache", attend_cache)
    patch.setattr(segment, "make_kv", make_kv)
    yield Decoder(tiny(), stops=NO_STOPS), ran
    patch.undo()


@pytest.fixture
def run(counting):
    """Decodes, and gives how often each block ran something on so many tokens of a row."""
    decoder, ran = counting

    def run(method, shared, prompts):
        jax.effects_barrier()
        ran.clear()
        out = decoder.run(method, shared, prompts, TOKENS)
        jax.effects_barrier()
        return out, lambda what, time=1: [
            ran.count((what, block, time)) for block in range(BLOCKS)
        ]

    return run


def test_no_deeper_block_runs_than_the_deepest_row_needs(run):
    depth_BN = np.array([[1, 1, 2, 1, 1, 1], [1, 1, 1, 1, 3, 1]])
    _, times = run(FORCED, depth_BN, PROMPTS[:2])
    assert times("block") == [6, 2, 1]
    assert times("keys") == [6, 2, 1]


def test_rows_that_have_ended_hold_nobody_up(run, counting, monkeypatch):
    """After its second token the first row would need all blocks, but it has ended there."""
    depth_BN = np.ones((2, TOKENS), int)
    out, _ = run(FORCED, depth_BN, PROMPTS[:2])
    stop = int(out.ids_BN[0, 1])
    assert stop not in out.ids_BN[1]
    monkeypatch.setattr(counting[0], "stops", (stop, -1))
    depth_BN[0, 2:] = 3
    out, times = run(FORCED, depth_BN, PROMPTS[:2])
    assert out.length_B.tolist() == [2, TOKENS]
    assert times("block") == [6, 0, 0]


def test_verifying_does_not_run_the_first_blocks_again(run):
    drafts = 2
    out, times = run(SelfSpeculation(0, drafts), None, PROMPTS[:1])
    rounds, drafted = int(out.rounds_B[0]), int(out.drafted_B[0])
    assert rounds > 1
    # Each round feeds the token that it begins with, and its drafts.
    assert times("block") == [rounds + drafted, 0, 0]
    assert times("block", drafts + 1) == [0, rounds, rounds]
