"""Whether a batch fits, asked before anything is compiled."""

import jax

from ee_jax.devices import GIB, Device, host_bytes, memory_of
from ee_jax.errors import UserError
from ee_jax.models.architecture import Architecture
from ee_jax.models.kv_cache import cache_bytes
from ee_jax.models.transformer import Parameters


def decoding_bytes(
    config: Architecture,
    values: Parameters,
    batch: int,
    prompt: int,
    slots: int,
    wide: int = 1,
) -> int:
    """Weights, cache, and what lives beside them; `wide` tokens a row have logits at once.

    Beside the cache there are one block's attention scores, of the prompt padded to `prompt`
    tokens or of the wide ones, whichever are more, over all slots, and the logits with
    three arrays of their size while a token is drawn.
    """
    weights = sum(value.size * value.dtype.itemsize for value in values.values())
    # The cache is kept in what the weights are, of which only norms may be wider.
    itemsize = min((value.dtype.itemsize for value in values.values()), default=4)
    scores = 2 * 4 * batch * config.heads * max(prompt, wide) * slots
    logits = 4 * 4 * batch * wide * config.vocabulary
    return weights + cache_bytes(config, batch, slots, itemsize) + scores + logits


def check_forward_memory(
    config: Architecture, batch: int, length: int, field: str, device: Device | None = None
) -> None:
    """Raises unless one block's activations of a batch fit, beside which all else is small.

    Args:
      config: of the backbone.
      batch: rows.
      length: tokens of a row.
      field: of the config, for the error.
      device: what it must fit, this machine's first where it is None.

    Raises:
      UserError: the batch does not fit.
    """
    wide = 4 * config.width + config.hidden
    scores = config.heads * length
    needed = 4 * batch * length * (wide + scores)
    there = None if device is None else memory_of(device)
    if needed > (available := there or available_bytes()):
        raise UserError(
            f"config field `{field}` has {batch}, of which a block needs about "
            f"{needed / GIB:,.0f} GiB at {length} tokens, and {available / GIB:,.0f} GiB are "
            "there: take a smaller batch"
        )


def available_bytes() -> int:
    """Of the first device; all there is on the host, where it is a CPU."""
    return memory_of(jax.local_devices()[0]) or host_bytes()


def check_memory(
    config: Architecture, values: Parameters, batch: int, prompt: int, tokens: int, spare: int
) -> None:
    """Asks for prompts padded to `prompt`, new tokens after them, and `spare` drafts a round.

    Raises:
      UserError: the batch does not fit.
    """
    slots = prompt + tokens + spare
    needed = decoding_bytes(config, values, batch, prompt, slots, 1 + spare)
    if needed > (available := available_bytes()):
        raise UserError(
            f"a batch of {batch} rows of {slots} tokens needs about {needed / GIB:.1f} GiB, "
            f"{available / GIB:.1f} GiB are there: take a smaller batch, or fewer tokens"
        )
