"""From logits to the next token."""

import math
from dataclasses import dataclass

import chex
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Int, PRNGKeyArray

from ee_jax.errors import UserError

COLDEST = 1e-6  # below, logits divided by it may overflow


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn; greedy unless told otherwise."""

    temperature: float = 0.0  # 0: the likeliest token
    top_k: int = 0  # only the k likeliest; 0: all
    top_p: float = 1.0  # only the likeliest that together reach this probability

    def __post_init__(self):
        if self.temperature != 0 and not COLDEST <= self.temperature < math.inf:
            raise UserError(
                f"temperature {self.temperature}: it is 0 (greedy) or above {COLDEST}, and "
                "finite"
            )
        if self.top_k < 0:
            raise UserError(f"top_k {self.top_k}: it is 0 (all tokens) or above")
        if not 0 < self.top_p <= 1:
            raise UserError(f"top_p {self.top_p}: it is above 0, and 1 (all tokens) at most")


GREEDY = Sampling()


def log_probabilities(logits_V: Float[Array, " V"], sampling: Sampling) -> Float[Array, " V"]:
    """Log-probabilities that the next token is drawn from; -inf where it never falls.

    Temperature, then top-k (Fan et al. 2018), then top-p (Holtzman et al. 2020). Tokens as
    likely as the last one kept are kept too.
    """
    chex.assert_rank(logits_V, 1)
    if sampling.temperature == 0:
        return jnp.where(jnp.arange(logits_V.size) == logits_V.argmax(), 0.0, -jnp.inf)
    logits_V = logits_V / sampling.temperature
    if 0 < sampling.top_k < logits_V.size:
        least = jax.lax.top_k(logits_V, sampling.top_k)[0][-1]
        logits_V = jnp.where(logits_V >= least, logits_V, -jnp.inf)
    if sampling.top_p < 1:
        logits_V = _nucleus(logits_V, sampling.top_p)
    return jax.nn.log_softmax(logits_V)


def _nucleus(logits_V: Float[Array, " V"], top_p: ArrayLike) -> Float[Array, " V"]:
    """The logits of the likeliest tokens that together reach a probability; -inf elsewhere."""
    p_V = jax.nn.softmax(logits_V)
    falling_V = jnp.sort(p_V, descending=True)
    before_V = jnp.cumsum(falling_V) - falling_V
    least = jnp.where(before_V < top_p, falling_V, jnp.inf).min()
    return jnp.where(p_V >= least, logits_V, -jnp.inf)


def draw(key: PRNGKeyArray, logits_V: Float[Array, " V"], sampling: Sampling) -> Int[Array, ""]:
    """The next token."""
    if sampling.temperature == 0:
        return logits_V.argmax().astype(jnp.int32)
    log_p_V = log_probabilities(logits_V, sampling)
    return jax.random.categorical(key, log_p_V).astype(jnp.int32)


def draw_rows(
    key_B: PRNGKeyArray,
    logits_BV: Float[Array, "B V"],
    temperature_B: Float[Array, " B"],
    top_p_B: Float[Array, " B"],
) -> Int[Array, " B"]:
    """The next token of rows each of which has a temperature and a top-p of its own.

    What no row asks for is not computed: random numbers, or a sorted vocabulary.
    """
    likeliest_B = logits_BV.argmax(-1).astype(jnp.int32)

    def sampled() -> Array:
        warm_B = jnp.where(temperature_B > 0, temperature_B, 1.0)
        warmed_BV = logits_BV / warm_B[:, None]
        kept_BV = jax.lax.cond(
            (top_p_B < 1).any(), jax.vmap(_nucleus), lambda x_BV, _: x_BV, warmed_BV, top_p_B
        )
        drawn_B = jax.vmap(jax.random.categorical)(key_B, kept_BV).astype(jnp.int32)
        return jnp.where(temperature_B > 0, drawn_B, likeliest_B)

    return jax.lax.cond((temperature_B > 0).any(), sampled, lambda: likeliest_B)


def row_keys(key: PRNGKeyArray, batch: int) -> PRNGKeyArray:
    """A key a row, the same whatever the batch's size."""
    return jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(batch))


def keys_at(key_B: PRNGKeyArray, position_B: Int[Array, " B"]) -> PRNGKeyArray:
    """The rows' keys for the tokens at these positions."""
    return jax.vmap(jax.random.fold_in)(key_B, position_B)
