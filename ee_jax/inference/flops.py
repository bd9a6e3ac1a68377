"""FLOPs of decoding with exits, by counting as in `exits.cost`, for each token of each row.

Counted is what a row needs that is decoded alone, so that its exits decide it: for each token
the blocks up to its exit, each with the attention to the tokens so far; what the exits on the
way read; and in blocks that it skipped, what the policy makes of it once a later token runs
them, or the window of waiting tokens is full. A batch also fills blocks for other rows' sake,
and static shapes compute what is masked: neither is counted, nor is the prompt.

`exit_BT` holds the number of the exit where each token stopped, -1 beyond a row's end.
`first` is the position of the first of them, `source_B` how many tokens there are of the text
that an encoder has read for each row. What the encoder itself costs is not counted.
"""

import chex
import numpy as np
from jaxtyping import Int

from ee_jax.inference.kv_policies import POLICIES
from ee_jax.inference.missing_kv import WINDOW
from ee_jax.inference.rules import Exiting
from ee_jax.models.architecture import Architecture
from ee_jax.models.flops import (
    embedding_flops,
    first_blocks,
    mix_flops,
    token_flops,
    unembedding_flops,
)
from ee_jax.models.language import LanguageDesign
from ee_jax.models.token_heads import token_head_flops

Counts = Int[np.ndarray, "B T"]


Sources = Int[np.ndarray, " B"] | int


def static_decoding_flops(
    config: Architecture, exit_BT: Counts, first: int = 0, source_B: Sources = 0
) -> Counts:
    """What the tokens cost if all run all blocks, and the last exit alone says something."""
    each_T = first_blocks(config, token_flops, _context(exit_BT, first))[-1]
    each_T += embedding_flops(config, 1) + unembedding_flops(config)
    return (exit_BT >= 0) * (each_T + config.blocks * _look_flops(config, source_B))


def _look_flops(config: Architecture, source_B: Sources) -> Int[np.ndarray, "B 1"]:
    """One token's look at the tokens of its row's source, in one block."""
    return mix_flops(config, np.reshape(source_B, (-1, 1)))


def decoding_flops(
    config: Architecture,
    design: LanguageDesign,
    exiting: Exiting,
    policy: str,
    exit_BT: Counts,
    first: int = 0,
    window: int = WINDOW,
    source_B: Sources = 0,
) -> Counts:
    """What the tokens cost that stop at their exits, keys and values made later included."""
    depth_BT = np.array([*design.layers, 0])[exit_BT]
    context_T, time_1T = _context(exit_BT, first), np.arange(exit_BT.shape[1])[None]
    ran_LT = first_blocks(config, token_flops, context_T)
    made_LT = first_blocks(config, POLICIES[policy].flops, context_T)
    later_BT = depth_BT + blocks_made_later(depth_BT, config.blocks, window)
    looking_BT = later_BT if POLICIES[policy].runs_on else depth_BT
    return (
        (exit_BT >= 0) * embedding_flops(config, 1)
        + ran_LT[depth_BT, time_1T]
        + exits_flops(config, design, exiting, exit_BT, context_T)
        + made_LT[later_BT, time_1T]
        - made_LT[depth_BT, time_1T]
        + looking_BT * _look_flops(config, source_B)
    )


def exits_flops(
    config: Architecture,
    design: LanguageDesign,
    exiting: Exiting,
    exit_BT: Counts,
    context_T: Int[np.ndarray, " T"],
) -> Counts:
    """What the exits up to a token's own read: logits, and a learned confidence's scores.

    Every one of them makes logits, an early one by its head, or where the rule does not read
    any, only the token's own.
    """
    passed_BT, own_ET = exit_BT + 1, _head_flops(config, design, context_T)
    read_BT = passed_BT if exiting.reads_logits else (exit_BT >= 0)
    heads_ET = own_ET.cumsum(0) if exiting.reads_logits else own_ET
    own_BT = (exit_BT >= 0) * heads_ET[exit_BT, np.arange(exit_BT.shape[1])[None]]
    scored_BT = passed_BT * (exiting.confidence == "learned")
    return read_BT * unembedding_flops(config) + own_BT + scored_BT * 2 * config.width


def _head_flops(
    config: Architecture, design: LanguageDesign, context_T: Int[np.ndarray, " T"]
) -> Int[np.ndarray, "E T"]:
    """What each exit's head costs a token; the last one has none."""
    early = [
        token_head_flops(config.of_block(depth - 1), design.head, design.head_width, context_T)
        + 0 * context_T
        for depth in design.layers[:-1]
    ]
    return np.stack([*early, 0 * context_T])


def blocks_made_later(depth_BT: Counts, blocks: int, window: int) -> Counts:
    """In how many of the blocks that a token skipped its keys and values are made after all.

    In those that a later token of its row runs; in all, once a later token finds `window`
    tokens waiting, none of which ran all blocks (`pending.is_full`). What is still waiting at
    the end of the row is never made. `depth_BT` is 0 beyond the end.
    """
    chex.assert_rank(depth_BT, 2)
    time_T = np.arange(depth_BT.shape[1])
    full_depth_BT = np.where(depth_BT == blocks, time_T, -1)
    latest_BT = np.maximum.accumulate(full_depth_BT, axis=1)  # that ran all blocks
    waiting_BT = time_T - 1 - _shifted(latest_BT, 1, -1)
    is_full_BT = (waiting_BT > 0) & (waiting_BT % window == 0) & (depth_BT > 0)
    filled_BT = np.where(is_full_BT, blocks, depth_BT)
    deepest_BT = np.maximum.accumulate(filled_BT[:, ::-1], axis=1)[:, ::-1]
    return np.maximum(_shifted(deepest_BT, -1, 0) - depth_BT, 0)


def decoding_flops_speedup(
    config: Architecture,
    design: LanguageDesign,
    exiting: Exiting,
    policy: str,
    exit_BT: Counts,
    first: int = 0,
    source_B: Sources = 0,
) -> float:
    """FLOPs of the static decoder over those of the decoder with exits, over all tokens."""
    asked = config, design, exiting, policy, exit_BT, first
    early_BT = decoding_flops(*asked, source_B=source_B)
    return float(static_decoding_flops(config, exit_BT, first, source_B).sum() / early_BT.sum())


def _context(exit_BT: Counts, first: int) -> Int[np.ndarray, " T"]:
    """How many tokens each sees, itself among them."""
    chex.assert_rank(exit_BT, 2)
    return first + 1 + np.arange(exit_BT.shape[1])


def _shifted(value_BT: Counts, by: int, fill: int) -> Counts:
    """Later by one (1) or earlier by one (-1), with `fill` at the end that falls free."""
    shifted_BT = np.roll(value_BT, by, axis=1)
    shifted_BT[:, 0 if by > 0 else -1] = fill
    return shifted_BT
