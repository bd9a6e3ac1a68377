"""How long a token, or a text, takes that stops at each exit of a model, one at a time."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ee_jax.benchmarks.decode_setup import Load, Timed
from ee_jax.compilation import Program
from ee_jax.display import SILENT, Display
from ee_jax.evaluation.timing import interleave, milliseconds
from ee_jax.exits.loop import Stopped
from ee_jax.exits.rules import forced_rule
from ee_jax.inference.early_exit import early_exit
from ee_jax.inference.generator import Decoder
from ee_jax.inference.methods import EarlyExitDecoding, StaticDecoding
from ee_jax.inference.rules import forced_at
from ee_jax.models.exit_model import ExitModel, static_logits
from ee_jax.models.language import LanguageModel
from ee_jax.models.transformer import Parameters, bind, parameters
from ee_jax.tokens import Tokens

LOAD = Load(prompt=32, tokens=32)
MOST = 6  # exits that are timed; what lies between them is taken from a line


class ExitClock(NamedTuple):
    """Milliseconds a token, or a text."""

    ms_E: Float[np.ndarray, " E"]  # that stops at each exit
    static_ms: float  # of the program that has no other exit than the last


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
    timed, last, chosen = Timed(decoder, 1, load), len(layers) - 1, _chosen(layers)
    method = EarlyExitDecoding(partial(forced_at, confidence=confidence))
    depth_1N = jnp.full((1, load.tokens), layers[-1], jnp.int32)
    early, _ = timed.compile(method, depth_1N)
    static, _ = timed.compile(StaticDecoding(last))
    sides = {"static": partial(static, None)}
    for exit in chosen:
        sides[str(exit)] = partial(early, jnp.full_like(depth_1N, layers[exit]))
    with display.bar(f"tokens that stop at each exit ({confidence})", rounds + 1) as tick:
        seconds = interleave(sides, rounds, tick=tick)
    return _clock(seconds, layers, chosen, load.tokens)


def time_texts(
    model: ExitModel, confidence: str, length: int, rounds: int, display: Display = SILENT
) -> ExitClock:
    """The same of a classifier's texts: one at a time, of so many tokens.

    Args:
      model: whose exits.
      confidence: see `time_exits`.
      length: of the text, in tokens.
      rounds: see `time_exits`.
      display: where progress is shown.
    """
    values, layers = parameters(model), model.design.layers
    chosen, ids_1T = _chosen(layers), jnp.full((1, length), 2, jnp.int32)
    tokens = Tokens(ids_1T, jnp.ones(ids_1T.shape, bool))

    def run(values: Parameters, tokens: Tokens, depth_1: Array) -> Stopped:
        return early_exit(bind(model, values), tokens, forced_rule(confidence, depth_1, layers))

    early = Program(run)
    static = Program(lambda values, tokens: static_logits(bind(model, values), tokens))
    sides: dict[str, Callable[[], Any]] = {"static": partial(static, values, tokens)}
    for exit in chosen:
        depth_1 = jnp.full(1, layers[exit], jnp.int32)
        sides[str(exit)] = partial(early, values, tokens, depth_1)
    with display.bar(f"texts that stop at each exit ({confidence})", rounds + 1) as tick:
        seconds = interleave(sides, rounds, tick=tick)
    return _clock(seconds, layers, chosen, 1)


def _chosen(layers: tuple[int, ...]) -> list[int]:
    """The exits that are timed, first and last among them."""
    last = len(layers) - 1
    return np.unique(np.linspace(0, last, min(MOST, last + 1)).round().astype(int)).tolist()


def _clock(
    seconds: dict[str, Any], layers: tuple[int, ...], chosen: list[int], each: int
) -> ExitClock:
    """From the rounds of each side, in each of which so many tokens or texts came."""
    ms = {name: milliseconds(taken) / each for name, taken in seconds.items()}
    timed_E = [ms[str(exit)] for exit in chosen]
    ms_E = np.interp(layers, [layers[exit] for exit in chosen], timed_E)
    return ExitClock(ms_E, ms["static"])
