"""Decoding timed: exits at forced depths and self-speculation, against static decoders."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import jax.numpy as jnp

from ee_jax.benchmarks.decode_load import Load, Row, Timed, load_of, make_decoder
from ee_jax.display import SILENT, Display
from ee_jax.evaluation.decoding import acceptance
from ee_jax.evaluation.timing import interleave, milliseconds, speedup
from ee_jax.inference.generator import draft_exit_at, exit_at
from ee_jax.inference.methods import EarlyExitDecoding, SelfSpeculation, StaticDecoding
from ee_jax.inference.rules import forced_at


def bench_depths(
    name: str,
    batches: Sequence[int],
    depths: Sequence[int],
    load: Load,
    repeats: int,
    display: Display = SILENT,
) -> Iterator[Row]:
    """A row for each batch and depth: exits against the static decoder of so many blocks.

    Without `depths`, all of them. Times are milliseconds a token, after the prompt; `ratio` is
    the median over rounds of exit / static. Exits on the way compute no logits,
    as with a rule that reads none.
    """
    decoder = make_decoder(name)
    depths = depths or decoder.model.design.layers
    exits = {depth: exit_at(decoder.model.design, depth) for depth in depths}
    for batch in batches:
        timed = Timed(decoder, batch, load)
        forced = {d: jnp.full((batch, load.tokens), d, jnp.int32) for d in depths}
        early, early_s = timed.compile(EarlyExitDecoding(forced_at), forced[depths[0]])
        static = {depth: timed.compile(StaticDecoding(exit)) for depth, exit in exits.items()}
        sides: dict[str, Callable[[], Any]] = {}
        for depth in depths:
            sides[f"static {depth}"] = partial(static[depth][0], None)
            sides[f"exit {depth}"] = partial(early, forced[depth])
        with display.bar(f"batch {batch}", repeats + 1) as tick:
            seconds = interleave(sides, repeats, tick=tick)
        for depth in depths:
            slow, fast = seconds[f"static {depth}"], seconds[f"exit {depth}"]
            yield {
                **load_of(name, batch, load),
                "depth": depth,
                "static_ms": milliseconds(slow) / load.tokens,
                "exit_ms": milliseconds(fast) / load.tokens,
                "ratio": speedup(fast, slow),
                "static_compile_s": static[depth][1],
                "exit_compile_s": early_s,
            }


def bench_speculation(
    name: str,
    batches: Sequence[int],
    depth: int,
    drafts: int,
    load: Load,
    repeats: int,
    display: Display = SILENT,
) -> Iterator[Row]:
    """A row for each batch: self-speculation against the static decoder of all blocks.

    The tokens are the same; `speedup` is the median over rounds of static / speculation.
    """
    decoder = make_decoder(name, quiet_after=depth)
    design = decoder.model.design
    for batch in batches:
        timed = Timed(decoder, batch, load)
        method = SelfSpeculation(draft_exit_at(design, depth), drafts)
        (static, _), (spec, compile_s) = map(
            timed.compile, (StaticDecoding(len(design.layers) - 1), method)
        )
        sides = {"static": partial(static, None), "speculation": partial(spec, None)}
        with display.bar(f"batch {batch}", repeats + 1) as tick:
            seconds = interleave(sides, repeats, tick=tick)
        plain, out = static(None), spec(None)
        yield {
            **load_of(name, batch, load),
            "depth": depth,
            "drafts": drafts,
            "static_ms": milliseconds(seconds["static"]) / load.tokens,
            "speculation_ms": milliseconds(seconds["speculation"]) / load.tokens,
            "speedup": speedup(seconds["static"], seconds["speculation"]),
            "acceptance": acceptance(int(out.drafted_B.sum()), int(out.accepted_B.sum())),
            "same_tokens": bool((plain.ids_BN == out.ids_BN).all()),
            "speculation_compile_s": compile_s,
        }
