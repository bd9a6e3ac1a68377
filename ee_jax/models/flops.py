"""FLOPs by counting, one multiply-add as 2.

XLA's own count takes the body of a loop once, however often it runs, so it cannot say what an
early exit saves. Norms, activations and the softmax are left out, as is usual: they are little
beside the products at these widths.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Int

from ee_jax.models.architecture import Architecture
from ee_jax.models.heads import ExitDesign

Count = TypeVar("Count", int, Int[np.ndarray, "..."])  # one or many
# Of one block, by its number, on tokens that see so many.
BlockFlops = Callable[[Architecture, Int[np.ndarray, " T"], int], int | Int[np.ndarray, " T"]]


def embedding_flops(config: Architecture, time: int) -> int:
    """A factorised embedding's projection to D; looking tokens up costs none."""
    return 2 * time * (config.embedding_width or 0) * config.width


def block_flops(config: Architecture, time: int, block: int = 0) -> int:
    """One block on one sequence of `time` tokens, each of which sees all or its window.

    Args:
      config: of the backbone.
      time: tokens of the sequence.
      block: its number.

    Returns:
      Multiplications and additions, each counted.
    """
    window = config.window_of(block)
    if window is None:
        return time * token_flops(config, time, block)
    reach, time_T = window - 1, np.arange(time)
    after_T = np.minimum(time_T[::-1], 0 if config.causal else reach)
    seen_T = np.minimum(time_T, reach) + 1 + after_T
    return int(_seeing(config, seen_T).sum())


def token_flops(config: Architecture, context: Count, block: int = 0) -> Count:
    """One block on one token of a text.

    Of a decoder that looks at what an encoder made of another text, all but the `mix_flops` of
    that text's tokens; its keys and values are made once, with the encoder's output.

    Args:
      config: of the backbone.
      context: tokens up to it, itself among them; it sees those in the block's window.
      block: its number.

    Returns:
      Multiplications and additions, each counted.
    """
    return _seeing(config, seen(config, context, block))


def seen(config: Architecture, context: Count, block: int = 0) -> Count:
    """How many of the `context` tokens up to one it sees in a block, itself among them."""
    window = config.window_of(block)
    among: Any = context if window is None else np.minimum(context, window)
    return among


def first_blocks(
    config: Architecture, flops: BlockFlops, context_T: Int[np.ndarray, " T"]
) -> Int[np.ndarray, "L+1 T"]:
    """What the first 0, 1, ..., L blocks cost each token, where one costs `flops`."""
    blocks = [flops(config, context_T, block) for block in range(config.blocks)]
    each_LT = [np.broadcast_to(count, context_T.shape) for count in blocks]
    return np.cumsum([np.zeros_like(context_T), *each_LT], axis=0)


def _seeing(config: Architecture, context: Count) -> Count:
    """One block on one token that sees so many."""
    inner = config.heads * config.head_size
    looks = 2 if config.encoder is not None else 1  # at the text, and at what an encoder made
    query_and_output = looks * 2 * 2 * config.width * inner
    mix = mix_flops(config, context)
    matrices = 3 if config.mlp == "gated" else 2
    mlp = matrices * 2 * config.width * config.hidden
    return query_and_output + kv_flops(config) + mix + mlp


def mix_flops(config: Architecture, context: Count) -> Count:
    """One token's scores of as many tokens, and their values weighted."""
    return 2 * 2 * context * config.heads * config.head_size


def kv_flops(config: Architecture) -> int:
    """One token's keys and values in one block."""
    return 2 * 2 * config.width * config.kv_heads * config.head_size


def unembedding_flops(config: Architecture) -> int:
    """One token's logits over the vocabulary."""
    return 2 * config.width * config.vocabulary


def head_flops(design: ExitDesign, width: int) -> int:
    """One exit head on one sequence, with its learned confidence."""
    hidden = 2 * width * width if design.head in ("pooler", "mlp") else 0
    return hidden + 2 * width * (design.classes + design.learned)


def exit_flops(config: Architecture, design: ExitDesign, time: int) -> list[int]:
    """What an example costs that stops at each exit: its blocks, and every head on the way.

    Args:
      config: of the backbone.
      design: of the exits.
      time: tokens of the example.

    Returns:
      FLOPs by exit.
    """
    blocks = [block_flops(config, time, block) for block in range(config.blocks)]
    upto = [*accumulate(blocks, initial=embedding_flops(config, time))]
    head = head_flops(design, config.width)
    return [upto[depth] + (exit + 1) * head for exit, depth in enumerate(design.layers)]


def static_flops(config: Architecture, design: ExitDesign, time: int) -> int:
    """What the static program costs an example: all blocks and the last head.

    Args:
      config: of the backbone.
      design: of the exits.
      time: tokens of the example.

    Returns:
      FLOPs.
    """
    blocks = sum(block_flops(config, time, block) for block in range(config.blocks))
    return embedding_flops(config, time) + blocks + head_flops(design, config.width)


def truncated_speedup(
    config: Architecture, blocks: int, design: ExitDesign, time_N: Sequence[int]
) -> float:
    """FLOPs of the static program over those of one of fewer blocks, over N examples.

    Args:
      config: of the whole backbone.
      blocks: of the other program.
      design: of the exits; each has one such head.
      time_N: tokens of each example.

    Returns:
      The ratio.
    """
    other = replace(config, blocks=blocks)
    whole, part = (
        sum(static_flops(each, design, time) for time in time_N) for each in (config, other)
    )
    return whole / part


def flops_speedup(
    config: Architecture, design: ExitDesign, exits_N: Iterable[int], time_N: Sequence[int]
) -> float:
    """FLOPs of the static program over those of the early-exit program, over N examples.

    Args:
      config: of the backbone.
      design: of the exits.
      exits_N: the number of the exit that each example stops at.
      time_N: tokens of each example.

    Returns:
      The ratio; above 1 where early exits save.
    """
    static = sum(static_flops(config, design, time) for time in time_N)
    pairs = zip(exits_N, time_N, strict=True)
    return static / sum(exit_flops(config, design, time)[exit] for exit, time in pairs)
