"""How long a token takes that stops at each exit of a model, one row at a time."""

from functools import partial
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ee_jax.benchmarks.decode_setup import Load, Timed
from ee_jax.display import SILENT, Display
from ee_jax.evaluation.timing import interleave, milliseconds
from ee_jax.inference.generator import Decoder
from ee_jax.inference.methods import EarlyExitDecoding, StaticDecoding
from ee_jax.inference.rules import forced_at
from ee_jax.models.language import LanguageModel

LOAD = Load(prompt=32, tokens=32)
MOST = 6  # exits that are timed; what lies between them is taken from a line


class ExitClock(NamedTuple):
    """Milliseconds a token."""

    ms_E: Float[np.ndarray, " E"]  # that stops at each exit
    static_ms: float  # of the decoder that has no other exit than the last


def time_exits(
    model: LanguageModel,
    confidence: str,
    rounds: int,
    display: Display = SILENT,
    load: Load = LOAD,
) -> ExitClock:
    """Times tokens that are made to stop at each exit, and those of the static decoder.

    Args:
      model: whose exits; of more than MOST the others are interpolated by depth.
      confidence: that every exit on the way computes.
      rounds: in which the sides take turns; the median counts.
      display: where progress is shown.
      load: what is decoded.

    Raises:
      UserError: it does not fit the memory.
    """
    decoder, layers = Decoder(model), model.design.layers
    timed, last = Timed(decoder, 1, load), len(layers) - 1
    chosen = np.unique(np.linspace(0, last, min(MOST, last + 1)).round().astype(int)).tolist()
    method = EarlyExitDecoding(partial(forced_at, confidence=confidence))
    depth_1N = jnp.full((1, load.tokens), layers[-1], jnp.int32)
    early, _ = timed.compile(method, depth_1N)
    static, _ = timed.compile(StaticDecoding(last))
    sides = {"static": partial(static, None)}
    for exit in chosen:
        sides[str(exit)] = partial(early, jnp.full_like(depth_1N, layers[exit]))
    with display.bar(f"tokens that stop at each exit ({confidence})", rounds + 1) as tick:
        seconds = interleave(sides, rounds, tick=tick)
    ms = {name: milliseconds(taken) / load.tokens for name, taken in seconds.items()}
    timed_E = [ms[str(exit)] for exit in chosen]
    ms_E = np.interp(layers, [layers[exit] for exit in chosen], timed_E)
    return ExitClock(ms_E, ms["static"])
