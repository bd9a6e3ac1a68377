"""What deeper blocks see of tokens that stopped before them.

A token that stops leaves no keys and values in the blocks it skipped, which later tokens look
for. A policy makes them, from what the token's last block left behind, when a later token first
runs the block. A new policy is one function, registered in `POLICIES`.
"""

from collections.abc import Callable
from typing import NamedTuple

from jaxtyping import Array, Float, Int

from ee_jax.models.flops import BlockFlops, kv_flops, token_flops
from ee_jax.models.kv_cache import KV, make_kv
from ee_jax.models.layers import Block
from ee_jax.registry import Registry

Make = Callable[[Block, Float[Array, "B T D"], Int[Array, "B T"], KV], KV]


class Policy(NamedTuple):
    """How tokens that have stopped go through a block.

    `make(block, hidden_BTD, position_BT, below)` gives their keys and values in the block;
    `below` holds those in the block below it. `flops(config, context_T, block)` is what that
    costs a token that sees `context_T` tokens, itself among them.
    """

    make: Make
    runs_on: bool  # their hidden states go through the block, or stay as they are
    flops: BlockFlops


def project(block: Block, hidden_BTD: Array, position_BT: Array, below: KV) -> KV:
    """The block's own projections of the hidden states."""
    return make_kv(block, hidden_BTD, position_BT)


def copy(block: Block, hidden_BTD: Array, position_BT: Array, below: KV) -> KV:
    """Those of the block below, and so of the last block that the token ran."""
    return below


POLICIES: Registry[Policy] = Registry(
    "policy",
    # The exit's hidden state through the projections of every block it skipped (Schuster et
    # al. 2022, CALM, sec. 3.3).
    propagate=Policy(project, runs_on=False, flops=lambda config, *_: kv_flops(config)),
    # CALM's negative control: copying its keys and values instead lost 15 points of ROUGE-L.
    copy=Policy(copy, runs_on=False, flops=lambda *_: 0),
    # The skipped blocks run after all, many tokens at a time, when a later token needs them
    # (Chen et al. 2024, EE-LLM, sec. 4.1): every token sees what the full model would give it.
    recompute=Policy(project, runs_on=True, flops=token_flops),
)
