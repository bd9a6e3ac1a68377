"""The early-exit program against the static one, at forced depths.

What the benchmarks time: a preset with random weights and exits.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Int

from ee_jax.compilation import Program
from ee_jax.display import SILENT, Display
from ee_jax.errors import UserError
from ee_jax.evaluation.timing import interleave, milliseconds, speedup
from ee_jax.exits.loop import Stopped
from ee_jax.exits.rules import forced_rule
from ee_jax.inference.early_exit import early_exit
from ee_jax.models.exit_model import ExitModel, static_logits
from ee_jax.models.heads import ExitDesign
from ee_jax.models.presets import PRESETS
from ee_jax.models.transformer import Parameters, Transformer, bind, parameters
from ee_jax.tokens import Tokens

Row = dict[str, Any]
SEED = 0  # of weights, tokens and mixed depths


@dataclass(frozen=True)
class Bench:
    """A model to time, and its programs."""

    name: str
    model: ExitModel  # shapes only
    values: Parameters

    @classmethod
    def of(cls, name: str, layers: tuple[int, ...] | None = None) -> "Bench":
        """The preset `name`, with exits after these `layers`, or after every block."""
        if name not in PRESETS:
            raise UserError(f"no model preset {name!r}: it is one of {', '.join(PRESETS)}")
        config, rngs = PRESETS[name], nnx.Rngs(SEED)
        design = ExitDesign(layers or tuple(range(1, config.blocks + 1)), classes=2)
        model = ExitModel(Transformer(config, rngs=rngs), design, rngs=rngs)
        shapes = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), model)
        return cls(name, shapes, parameters(model))

    @property
    def blocks(self) -> int:
        """L."""
        return self.model.design.layers[-1]

    def static(self, depth: int) -> Program:
        """(values, tokens) -> logits_BC."""

        def run(values: Parameters, tokens: Tokens) -> Any:
            return static_logits(bind(self.model, values), tokens, depth)

        return Program(run)

    def exit(self, compact: bool = True) -> Program:
        """(values, tokens, depth_B) -> Stopped."""
        layers = self.model.design.layers

        def run(values: Parameters, tokens: Tokens, depth_B: Any) -> Stopped:
            rule = forced_rule("max_prob", depth_B, layers)
            sizes = None if compact else ()
            return early_exit(bind(self.model, values), tokens, rule, sizes)

        return Program(run)

    def batch(self, batch: int, seq: int) -> Tokens:
        """Random tokens, none of them padding, which is 0 or 1."""
        config = self.model.backbone.config
        if seq > config.max_length:
            raise UserError(
                f"length {seq}: {self.name} reads at most {config.max_length} tokens"
            )
        draw = np.random.default_rng(SEED)
        ids_BT = draw.integers(2, config.vocabulary, size=(batch, seq))
        return Tokens(jnp.asarray(ids_BT, jnp.int32), jnp.ones((batch, seq), bool))


Sides = dict[str, Callable[[], Any]]


def bench_depths(
    name: str,
    seqs: Sequence[int],
    batches: Sequence[int],
    depths: Sequence[int],
    repeats: int,
    display: Display = SILENT,
) -> Iterator[Row]:
    """A row for each length, batch and depth: the static program of so many blocks, and exits.

    `ratio` is the median over rounds of exit / static. Every exit on the way computes its head
    and its confidence, as in use.
    """
    bench = Bench.of(name)
    depths = depths or range(1, bench.blocks + 1)
    if max(depths) > bench.blocks:
        raise UserError(f"depth {max(depths)}: {name} has {bench.blocks} blocks")
    for seq, batch in product(seqs, batches):
        sides = _depth_sides(bench, seq, batch, depths)
        with display.bar(f"batch {batch} x {seq}", repeats + 1) as tick:
            seconds = interleave(sides, repeats, tick=tick)
        for depth in depths:
            static, early = seconds[f"static {depth}"], seconds[f"exit {depth}"]
            yield {
                "model": name,
                "seq": seq,
                "batch": batch,
                "depth": depth,
                "static_ms": milliseconds(static),
                "exit_ms": milliseconds(early),
                "ratio": speedup(early, static),
            }


def _depth_sides(bench: Bench, seq: int, batch: int, depths: Sequence[int]) -> Sides:
    inputs = (bench.values, bench.batch(batch, seq))
    forced = {depth: jnp.full(batch, depth, jnp.int32) for depth in depths}
    early = bench.exit().at(*inputs, forced[depths[0]])
    sides: Sides = {}
    for depth in depths:
        sides[f"static {depth}"] = partial(bench.static(depth).at(*inputs), *inputs)
        sides[f"exit {depth}"] = partial(early, *inputs, forced[depth])
    return sides


def bench_mixed(
    name: str,
    seqs: Sequence[int],
    batches: Sequence[int],
    repeats: int,
    display: Display = SILENT,
) -> Iterator[Row]:
    """A row for each length, batch and mix of depths: masked and compacted, against static."""
    bench = Bench.of(name)
    for seq, batch in product(seqs, batches):
        mixes = {mix: draw(batch, bench.blocks) for mix, draw in MIXES.items()}
        sides = _mixed_sides(bench, seq, batch, mixes)
        with display.bar(f"batch {batch} x {seq}", repeats + 1) as tick:
            seconds = interleave(sides, repeats, tick=tick)
        for mix, depth_B in mixes.items():
            ideal = bench.blocks / float(depth_B.mean())
            masked, compacted = seconds[f"masked {mix}"], seconds[f"compacted {mix}"]
            measured = speedup(seconds["static"], compacted)
            yield {
                "model": name,
                "seq": seq,
                "batch": batch,
                "depth": mix,
                "mean_depth": float(depth_B.mean()),
                "static_ms": milliseconds(seconds["static"]),
                "exit_ms": milliseconds(compacted),
                "ideal_speedup": ideal,
                "masked_speedup": speedup(seconds["static"], masked),
                "measured_speedup": measured,
                "share_of_ideal": measured / ideal,
            }


def _mixed_sides(bench: Bench, seq: int, batch: int, mixes: dict[str, Array]) -> Sides:
    inputs = (bench.values, bench.batch(batch, seq))
    sides: Sides = {"static": partial(bench.static(bench.blocks).at(*inputs), *inputs)}
    for kind, compact in {"masked": False, "compacted": True}.items():
        early = bench.exit(compact).at(*inputs, next(iter(mixes.values())))
        sides |= {f"{kind} {mix}": partial(early, *inputs, mixes[mix]) for mix in mixes}
    return sides


def _uniform(batch: int, blocks: int) -> Int[Array, " B"]:
    depth_B = np.random.default_rng(SEED).integers(1, blocks, batch, endpoint=True)
    return jnp.asarray(depth_B, jnp.int32)


def _mostly_early(batch: int, blocks: int) -> Int[Array, " B"]:
    depth_B = np.random.default_rng(SEED).geometric(3 / blocks, batch)
    return jnp.asarray(np.minimum(depth_B, blocks), jnp.int32)


# How the depths of a batch are drawn: each as likely, or a third of L on average.
MIXES = {"mixed, uniform": _uniform, "mixed, mostly early": _mostly_early}
