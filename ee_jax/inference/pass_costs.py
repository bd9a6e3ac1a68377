"""What a pass of each drafter costs on this machine, by a short measurement.

Passes over several tokens cost a machine more than one over a single token, how much more
depends on it, on the model and on the batch. The same compiled program that decodes runs each
drafter in turn, from an empty cache: what is in it does not change the time.
"""

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ee_jax.inference.adaptive_drafting import PassCosts
from ee_jax.inference.decode_loop import Ends, Request

# In a round each drafter runs one pass; the fastest of its passes counts.
LEAST, MOST = 3, 16  # rounds
SECONDS = 3.0  # after which no further round begins
ENDLESS = 2**30  # tokens, so that no row ends


def measure_costs(
    drafters: int,
    begin: Callable[[Request], Any],
    go_on: Callable[[PassCosts, Any, Request, int], Any],
    request: Request,
) -> PassCosts:
    """The seconds of a pass of each drafter, all others idle.

    Other work on the machine makes a measurement longer and never shorter, so the shortest of
    each is taken; the drafters take turns.

    Args:
      drafters: how many there are.
      begin: where decoding begins for a request, whatever its cache holds.
      go_on: decodes on from there until there are so many tokens a row, by these costs.
      request: of the batch to be decoded.
    """
    no_stops = jnp.full_like(request.ends.stop_S, -1)
    ends = Ends(no_stops, jnp.full_like(request.ends.limit_B, ENDLESS))
    request = request._replace(ends=ends)
    at, rounds, spent = begin(request), list[list[float]](), 0.0
    while len(rounds) <= LEAST or (len(rounds) <= MOST and spent < SECONDS):
        rounds.append([])
        for number in range(drafters):
            only = PassCosts(jnp.ones(drafters), jnp.int32(number))
            at, seconds = _timed(go_on, only, at, request)
            rounds[-1].append(seconds)
        spent += sum(rounds[-1]) if len(rounds) > 1 else 0.0  # the first one warms up
    return PassCosts(jnp.asarray(np.min(rounds[1:], axis=0), jnp.float32))


def _timed(go_on: Callable, only: PassCosts, at: Any, request: Request) -> tuple[Any, float]:
    """Where it is after one pass, which gives the rows behind a token at least; its seconds."""
    fewest = int(np.asarray(at.out.length_B).min())
    start = time.perf_counter()
    at = jax.block_until_ready(go_on(only, at, request, fewest + 1))
    return at, time.perf_counter() - start
