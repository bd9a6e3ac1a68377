"""The wall clock of decoding: early exits, and self-speculation, against all blocks."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np

from ee_jax.data.text import TokenRow
from ee_jax.evaluation.timing import interleave_over, shapes, speedup
from ee_jax.inference.generator import Decoder, draft_exit_at
from ee_jax.inference.methods import (
    DecodingMethod,
    EarlyExitDecoding,
    SelfSpeculation,
    StaticDecoding,
)
from ee_jax.results import Speculation

Prompts = list[TokenRow]
Run = Callable[[DecodingMethod, Any, Any], Any]  # of a method, what it shares, and a batch


def early_exit_speedups(
    run: Run,
    static: StaticDecoding,
    method: EarlyExitDecoding,
    thresholds: Sequence[float],
    batches: Sequence[Any],
    rounds: int,
) -> list[float]:
    """At each threshold the seconds of the static decoder / those of early-exit decoding.

    Both are compiled before the clock runs, and take turns. What an exit changes in a text
    changes where the tokens after it stop, so depths here are not quite those of the test
    split's own text.

    Args:
      run: decodes a batch.
      static: the full model.
      method: one program, for every threshold.
      thresholds: the settings.
      batches: what `run` takes, such as prompts.
      rounds: interleaved passes over all batches.
    """
    sides = {"static": partial(run, static, None)}
    sides |= {
        f"setting {k}": partial(run, method, jnp.float32(t)) for k, t in enumerate(thresholds)
    }
    for side in (sides["static"], sides["setting 0"]):
        for batch in {shapes(batch): batch for batch in batches}.values():
            side(batch)  # compiles
    seconds = interleave_over(sides, batches, rounds)
    return [speedup(seconds["static"], seconds[f"setting {k}"]) for k in range(len(thresholds))]


def compare_speculation(
    decoder: Decoder,
    depth: int,
    drafted: int,
    batches: Sequence[Prompts],
    tokens: int,
    rounds: int,
) -> Speculation:
    """Drafts by the first `depth` blocks, `drafted` at a time, against all blocks, greedily.

    `speedup` is the seconds of plain decoding over those of self-speculation: whole passes over
    the prompts, both compiled, interleaved. `same_tokens` must be true, speculation loses
    nothing.
    """
    design = decoder.model.design
    plain = StaticDecoding(len(design.layers) - 1)
    draft = SelfSpeculation(draft_exit_at(design, depth), drafted)

    def run(method: DecodingMethod, prompts: Prompts) -> Any:
        return decoder.run(method, None, prompts, tokens)

    out = [(run(plain, prompts), run(draft, prompts)) for prompts in batches]
    sides = {"plain": partial(run, plain), "draft": partial(run, draft)}
    seconds = interleave_over(sides, batches, rounds)
    made = sum(int(found.drafted_B.sum()) for _, found in out)
    taken = sum(int(found.accepted_B.sum()) for _, found in out)
    return Speculation(
        depth=depth,
        drafted=drafted,
        batch=len(batches[0]),
        acceptance=acceptance(made, taken),
        tokens_a_pass=_tokens_a_pass([found for _, found in out]),
        speedup=speedup(seconds["plain"], seconds["draft"]),
        same_tokens=all(np.array_equal(one.ids_BN, two.ids_BN) for one, two in out),
    )


def acceptance(drafted: int, accepted: int) -> float | None:
    """The share of the drafts that was taken; None where none was made."""
    return accepted / drafted if drafted else None


def _tokens_a_pass(out: Sequence[Any]) -> float:
    """New tokens for each verifying pass."""
    passes = sum(int(found.rounds_B.sum()) for found in out)
    return sum(int(found.length_B.sum()) for found in out) / passes


def prompts_of(rows: Sequence[TokenRow], length: int, batch: int) -> list[Prompts]:
    """The first `length` tokens of rows, in whole batches."""
    heads = [row[:length] for row in rows]
    return [heads[at : at + batch] for at in range(0, len(heads) - batch + 1, batch)]
