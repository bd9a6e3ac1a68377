"""FLOPs counted by hand on a tiny architecture."""

from dataclasses import replace

import numpy as np
import pytest

from ee_jax.models.families.bert import bert
from ee_jax.models.families.llama import llama
from ee_jax.models.flops import (
    block_flops,
    exit_flops,
    first_blocks,
    flops_speedup,
    head_flops,
    static_flops,
    token_flops,
)
from ee_jax.models.heads import ExitDesign

# D = 4, two heads of 2, F = 6, 3 blocks.
BERT = bert(9, width=4, blocks=3, heads=2, hidden=6, max_length=8)
LLAMA = llama(9, width=4, blocks=3, heads=2, kv_heads=1, hidden=6, max_length=8)
DESIGN = ExitDesign((1, 3), classes=5)


def matmul(rows, inner, columns):
    return 2 * rows * inner * columns


@pytest.mark.parametrize("time", [1, 3])
def test_a_block(time):
    # Query, key, value and output; each of two heads' scores and mixture; up and down.
    attention = 4 * matmul(time, 4, 4) + 2 * (matmul(time, 2, time) + matmul(time, time, 2))
    mlp = matmul(time, 4, 6) + matmul(time, 6, 4)
    assert block_flops(BERT, time) == attention + mlp


def test_a_block_with_fewer_keys_and_a_gate():
    attention = 2 * matmul(3, 4, 4) + 2 * matmul(3, 4, 2) + 4 * matmul(3, 2, 3)
    assert block_flops(LLAMA, 3) == attention + 3 * matmul(3, 4, 6)


def test_a_block_whose_heads_are_not_the_width_cut_up():
    # Heads of 5: queries and output are 10 wide, keys and values 5.
    attention = 2 * matmul(3, 4, 10) + 2 * matmul(3, 4, 5) + 4 * matmul(3, 5, 3)
    wide = replace(LLAMA, head_size=5)
    assert block_flops(wide, 3) == attention + 3 * matmul(3, 4, 6)


def test_tokens_see_their_window_in_the_blocks_that_have_one():
    """T = 5, a window of 2 to a side: they see 2, 3, 3, 3 and 2; if causal 1, 2, 2, 2, 2."""
    local = replace(BERT, window=2, local=(False, True, True))
    assert block_flops(local, 5, 0) == block_flops(BERT, 5)
    for config, seen in ((local, 13), (replace(local, causal=True), 9)):
        alone = 4 * matmul(5, 4, 4) + matmul(5, 4, 6) + matmul(5, 6, 4)
        assert block_flops(config, 5, 2) == alone + seen * 2 * 2 * matmul(1, 2, 1)
    early, late = exit_flops(local, replace(DESIGN, classes=0), 5)
    assert early == block_flops(BERT, 5)
    assert late == early + 2 * block_flops(local, 5, 1)
    assert static_flops(local, replace(DESIGN, classes=0), 5) == late


def test_a_token_sees_its_window_where_it_decodes():
    local = replace(LLAMA, window=4, local=(True, False, True))
    assert token_flops(local, 3, 0) == token_flops(LLAMA, 3)
    assert token_flops(local, 9, 0) == token_flops(LLAMA, 4)
    assert token_flops(local, 9, 1) == token_flops(LLAMA, 9)
    two = first_blocks(local, token_flops, np.array([3, 9]))[2].tolist()
    assert two == [2 * token_flops(LLAMA, 3), token_flops(LLAMA, 4) + token_flops(LLAMA, 9)]


def test_a_shared_block_costs_each_time_it_runs():
    shared = replace(BERT, shared=True)
    assert exit_flops(shared, DESIGN, 3) == exit_flops(BERT, DESIGN, 3)
    assert static_flops(shared, DESIGN, 3) == static_flops(BERT, DESIGN, 3)


def test_a_narrow_embedding_is_projected_once():
    narrow = replace(BERT, embedding_width=2)
    more = matmul(3, 2, 4)
    assert exit_flops(narrow, DESIGN, 3) == [n + more for n in exit_flops(BERT, DESIGN, 3)]
    assert static_flops(narrow, DESIGN, 3) == static_flops(BERT, DESIGN, 3) + more


@pytest.mark.parametrize(
    ("head", "wanted"), [("linear", 40), ("shared", 40), ("pooler", 72), ("mlp", 72)]
)
def test_a_head(head, wanted):
    design = replace(DESIGN, head=head)
    assert head_flops(design, 4) == wanted
    assert head_flops(replace(design, learned=True), 4) == wanted + 8


def test_a_number_of_a_block_by_hand():
    """T = 3: 4 x 96 for the projections, 2 x 2 x 36 for the mixing, 2 x 144 for the MLP."""
    assert block_flops(BERT, 3) == 384 + 144 + 288


def test_every_head_on_the_way_is_counted():
    assert exit_flops(BERT, DESIGN, 3) == [816 + 40, 3 * 816 + 2 * 40]
    assert static_flops(BERT, DESIGN, 3) == 3 * 816 + 40


def test_speedup():
    static = 3 * 816 + 40
    assert flops_speedup(BERT, DESIGN, [0], [3]) == static / 856
    # An example that goes to the end has paid a head for nothing.
    assert flops_speedup(BERT, DESIGN, [1], [3]) == static / (static + 40) < 1
    assert flops_speedup(BERT, DESIGN, [0, 1], [3, 3]) == 2 * static / (856 + static + 40)


def test_long_examples_weigh_more():
    short, long = static_flops(BERT, DESIGN, 1), static_flops(BERT, DESIGN, 8)
    early = exit_flops(BERT, DESIGN, 8)[0] + exit_flops(BERT, DESIGN, 1)[1]
    assert flops_speedup(BERT, DESIGN, [0, 1], [8, 1]) == (short + long) / early


def test_as_many_lengths_as_exits():
    with pytest.raises(ValueError, match="shorter"):
        flops_speedup(BERT, DESIGN, [0, 1], [3])
