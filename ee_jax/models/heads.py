"""Exit heads: from a hidden state that stands for a sequence to logits."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float

from ee_jax.exits.output import ExitOutput
from ee_jax.models.layers import gelu
from ee_jax.models.norms import LayerNorm
from ee_jax.registry import Registry

POOLINGS = ("mean", "first")


@dataclass(frozen=True)
class ExitDesign:
    """Where a model may stop and what answers there."""

    layers: tuple[int, ...]  # blocks run at each exit, the last is L
    classes: int  # C; 1: a regression
    head: str = "linear"  # a name in HEADS
    pooling: str = "mean"  # one of POOLINGS
    learned: bool = False  # with a learned confidence
    shared_score: bool = False  # one learned confidence for all exits


def pool(
    hidden_BTD: Float[Array, "B T D"], mask_BT: Bool[Array, "B T"], how: str
) -> Float[Array, "B D"]:
    """One vector a sequence: its first token's, or the mean over its tokens, 0 without any.

    The mean is a matrix product, which CPUs do much faster than a reduction over T: exits at
    every block pay for it at every block.
    """
    if how == "first":
        return hidden_BTD[:, 0].astype(jnp.float32)
    hidden_BTD, weight_BT = hidden_BTD.astype(jnp.float32), mask_BT.astype(jnp.float32)
    weight_BT /= jnp.maximum(weight_BT.sum(1, keepdims=True), 1)  # a row that fills a batch
    exact = jax.lax.Precision.HIGHEST
    return jnp.einsum("bt,btd->bd", weight_BT, hidden_BTD, precision=exact)


class Linear(nnx.Module):
    """One projection."""

    def __init__(self, width: int, classes: int, *, rngs: nnx.Rngs):
        self.out = nnx.Linear(width, classes, rngs=rngs)

    def __call__(self, feature: Float[Array, "*B D"]) -> Float[Array, "*B C"]:
        """Logits."""
        return self.out(feature)


class Pooler(nnx.Module):
    """BERT's pooler and a projection (DeeBERT's head, Xin et al. 2020)."""

    def __init__(self, width: int, classes: int, *, rngs: nnx.Rngs):
        self.dense = nnx.Linear(width, width, rngs=rngs)
        self.out = nnx.Linear(width, classes, rngs=rngs)

    def __call__(self, feature: Float[Array, "*B D"]) -> Float[Array, "*B C"]:
        """Logits."""
        return self.out(jnp.tanh(self.dense(feature)))


class TwoLayer(nnx.Module):
    """A hidden layer with GELU and a projection."""

    def __init__(self, width: int, classes: int, *, rngs: nnx.Rngs):
        self.dense = nnx.Linear(width, width, rngs=rngs)
        self.out = nnx.Linear(width, classes, rngs=rngs)

    def __call__(self, feature: Float[Array, "*B D"]) -> Float[Array, "*B C"]:
        """Logits."""
        return self.out(gelu(self.dense(feature)))


class Normed(nnx.Module):
    """A final norm and a projection, made once and used at every exit."""

    def __init__(self, width: int, classes: int, *, rngs: nnx.Rngs):
        self.norm = LayerNorm(width, eps=1e-6, rngs=rngs)
        self.out = nnx.Linear(width, classes, rngs=rngs)

    def __call__(self, feature: Float[Array, "*B D"]) -> Float[Array, "*B C"]:
        """Logits."""
        return self.out(self.norm(feature))


# From the width, the number of outputs and `rngs` to a module from features to logits.
HEADS: Registry[Callable[..., Any]] = Registry(
    "exit head", linear=Linear, pooler=Pooler, mlp=TwoLayer, shared=Normed
)


class ExitHeads(nnx.Module):
    """A head for each exit, or one for all (`shared`), and their learned confidence.

    A score is linear in what the head reads, as BERxiT's LTE is (Xin et al. 2021).
    """

    def __init__(self, design: ExitDesign, width: int, *, rngs: nnx.Rngs):
        exits = len(design.layers)
        made = range(1 if design.head == "shared" else exits)
        make = HEADS[design.head]
        self.heads = nnx.List([make(width, design.classes, rngs=rngs) for _ in made])
        scores = range((1 if design.shared_score else exits) if design.learned else 0)
        self.scores = nnx.List([nnx.Linear(width, 1, rngs=rngs) for _ in scores])

    def __call__(self, exit: int, feature: Float[Array, "*B D"]) -> ExitOutput:
        """The answer at exit number `exit`."""
        logits = self.heads[min(exit, len(self.heads) - 1)](feature)
        if not self.scores:
            return ExitOutput(logits, feature)
        # The confidence learns to judge the answers; it does not shape them.
        score = self.scores[min(exit, len(self.scores) - 1)](jax.lax.stop_gradient(feature))
        return ExitOutput(logits, feature, score[..., 0])
