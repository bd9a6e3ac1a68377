"""Self-speculation against plain decoding: how many drafts are taken, and the wall clock."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from ee_jax.data.text import TokenRow
from ee_jax.evaluation.timing import interleave_over, speedup
from ee_jax.inference.generator import Decoder, draft_exit_at
from ee_jax.inference.methods import DecodingMethod, SelfSpeculation, StaticDecoding

Prompts = list[TokenRow]


def compare(
    decoder: Decoder,
    depth: int,
    drafted: int,
    batches: Sequence[Prompts],
    tokens: int,
    rounds: int,
) -> dict[str, Any]:
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
    return {
        "depth": depth,
        "drafted": drafted,
        "batch": len(batches[0]),
        "acceptance": acceptance(made, taken),
        "tokens_a_pass": _tokens_a_pass([found for _, found in out]),
        "speedup": speedup(seconds["plain"], seconds["draft"]),
        "same_tokens": all(np.array_equal(one.ids_BN, two.ids_BN) for one, two in out),
    }


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
