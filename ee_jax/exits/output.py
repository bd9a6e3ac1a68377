"""What an exit puts out, as every confidence, rule and loss reads it."""

from typing import NamedTuple

from jaxtyping import Array, Float


class ExitOutput(NamedTuple):
    """What an exit says; batched or not, and `None` where nothing reads the part."""

    logits: Float[Array, "*B C"]
    feature: Float[Array, "*B D"] | None = None  # what the head read, for `saturation`
    score: Float[Array, "*B"] | None = None  # logit of "stopping here is right"


def prediction(logits: Float[Array, "*B C"]) -> Array:
    """The likeliest class; with a single output, a regression, the output itself."""
    return logits[..., 0] if logits.shape[-1] == 1 else logits.argmax(-1)
