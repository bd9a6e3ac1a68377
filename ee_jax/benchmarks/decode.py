"""Decoding timed: exits at forced depths and self-speculation, against static decoders."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np

from ee_jax.benchmarks.decode_setup import Load, Row, Setup, Timed, load_of, make_decoder
from ee_jax.display import SILENT, Display
from ee_jax.evaluation.decoding import acceptance
from ee_jax.evaluation.timing import interleave, milliseconds, speedup
from ee_jax.inference.flops import exits_flops
from ee_jax.inference.generator import draft_exit_at, exit_at
from ee_jax.inference.methods import EarlyExitDecoding, SelfSpeculation, StaticDecoding
from ee_jax.inference.rules import forced_at
from ee_jax.models.flops import (
    embedding_flops,
    first_blocks,
    mix_flops,
    token_flops,
    unembedding_flops,
)


def bench_depths(
    setup: Setup,
    batches: Sequence[int],
    depths: Sequence[int],
    load: Load,
    repeats: int,
    display: Display = SILENT,
) -> Iterator[Row]:
    """A row for each batch and depth: exits against the static decoder of so many blocks.

    Without `depths`, all of them. Times are milliseconds a token, after the prompt; `ratio` is
    the median over rounds of exit / static, `flops_ratio` the same by counting. Exits on the
    way compute the setup's confidence, with logits where it reads them.
    """
    decoder, layout = make_decoder(setup.make()), setup.laid_out
    depths = depths or decoder.model.design.layers
    exits = {depth: exit_at(decoder.model.design, depth) for depth in depths}
    for batch in batches:
        timed = Timed(decoder, batch, load)
        forced = {d: jnp.full((batch, load.tokens), d, jnp.int32) for d in depths}
        rule_at = partial(forced_at, confidence=setup.confidence)
        method = EarlyExitDecoding(rule_at, layout=layout)
        early, early_s = timed.compile(method, forced[depths[0]])
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
                **load_of(setup, batch, load),
                "layout": layout,
                "confidence": setup.confidence or "none",
                "depth": depth,
                "static_ms": milliseconds(slow) / load.tokens,
                "exit_ms": milliseconds(fast) / load.tokens,
                "ratio": speedup(fast, slow),
                "flops_ratio": flops_ratio(setup, exits[depth], load),
                "static_compile_s": static[depth][1],
                "exit_compile_s": early_s,
            }


def flops_ratio(setup: Setup, exit: int, load: Load) -> float:
    """FLOPs of tokens that stop at an exit over those of the static decoder of its blocks."""
    config, layers = setup.config, setup.design.layers
    exit_1T = np.full((1, load.tokens), exit)
    context_T = load.before(config) + np.arange(load.tokens)  # the last of them is fed
    blocks_1T = first_blocks(config, token_flops, context_T)[None, layers[exit]]
    blocks_1T = blocks_1T + embedding_flops(config, 1)
    if config.encoder is not None:
        blocks_1T = blocks_1T + layers[exit] * mix_flops(config, load.prompt)
    asked_1T: Any = unembedding_flops(config)
    static = (blocks_1T + asked_1T).sum()
    if setup.exiting is not None:
        asking = config, setup.design, setup.exiting
        asked_1T = exits_flops(*asking, exit_1T, context_T)
    return float((blocks_1T + asked_1T).sum() / static)


def bench_speculation(
    setup: Setup,
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
    decoder = make_decoder(setup.make(quiet_after=depth))
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
            **load_of(setup, batch, load),
            "depth": depth,
            "drafts": drafts,
            "static_ms": milliseconds(seconds["static"]) / load.tokens,
            "speculation_ms": milliseconds(seconds["speculation"]) / load.tokens,
            "speedup": speedup(seconds["static"], seconds["speculation"]),
            "acceptance": acceptance(int(out.drafted_B.sum()), int(out.accepted_B.sum())),
            "same_tokens": bool((plain.ids_BN == out.ids_BN).all()),
            "speculation_compile_s": compile_s,
        }
