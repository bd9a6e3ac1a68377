"""Prompts as one array of a few static lengths, and what is wrong with them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from ee_jax.data.text import bucket_of
from ee_jax.errors import UserError
from ee_jax.models.architecture import Architecture

SHORTEST = 16


Ids = Sequence[int] | Int[np.ndarray, " T"]  # a prompt's


class Prompts(NamedTuple):
    """B prompts, padded on the right with 0."""

    ids_BP: Int[np.ndarray, "B P"]
    length_B: Int[np.ndarray, " B"]


def pack_prompts(prompts: Sequence[Ids], config: Architecture, tokens: int) -> Prompts:
    """Prompts that leave room for `tokens` more in the model's context.

    Raises:
      UserError: a prompt is empty, too long, or holds ids that the model does not know.
    """
    if not prompts:
        raise UserError("no prompts: give at least one")
    if tokens < 1:
        raise UserError(f"{tokens} tokens to generate: ask for at least one")
    for number, prompt in enumerate(prompts, 1):
        _check(prompt, f"prompt {number} of {len(prompts)}", config, tokens)
    length_B = np.array([len(prompt) for prompt in prompts], np.int32)
    padded = bucket_of(int(length_B.max()), prompt_lengths(config.max_length))
    ids_BP = np.zeros((len(prompts), padded), np.int32)
    for row, prompt in zip(ids_BP, prompts, strict=True):
        row[: len(prompt)] = prompt
    return Prompts(ids_BP, length_B)


def _check(prompt: Ids, which: str, config: Architecture, tokens: int) -> None:
    context, known = config.max_length, config.vocabulary
    if not len(prompt):
        raise UserError(f"{which} is empty: a model goes on from at least one token")
    if len(prompt) + tokens > context:
        raise UserError(
            f"{which} has {len(prompt)} tokens, and {tokens} more do not fit the model's "
            f"context of {context}: shorten it, or generate fewer"
        )
    if not 0 <= min(prompt) <= max(prompt) < known:
        raise UserError(
            f"{which} holds ids outside of the model's vocabulary of {known}: its tokenizer "
            "is another model's"
        )


def prompt_lengths(longest: int) -> list[int]:
    """The lengths that prompts are padded to: powers of two, and the context."""
    powers = [SHORTEST]
    while powers[-1] < longest:
        powers.append(2 * powers[-1])
    return [min(power, longest) for power in powers]
