"""Decoding timed: exits at forced depths and self-speculation, against static decoders.

What a decoding benchmark decodes: a model of random weights, and prompts for it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from ee_jax.compilation import Program
from ee_jax.display import SILENT, Display
from ee_jax.errors import UserError
from ee_jax.evaluation.decoding import acceptance
from ee_jax.evaluation.timing import interleave, milliseconds, speedup
from ee_jax.exits.layouts import default_layout
from ee_jax.inference.generator import Decoder, draft_exit_at, exit_at
from ee_jax.inference.memory import check_memory
from ee_jax.inference.methods import (
    DecodingMethod,
    EarlyExitDecoding,
    SelfSpeculation,
    StaticDecoding,
)
from ee_jax.inference.prompts import pack_prompts
from ee_jax.inference.rules import forced_at
from ee_jax.models.families.llama import llama
from ee_jax.models.language import LanguageDesign, LanguageModel
from ee_jax.models.transformer import Parameters, Transformer, bind, parameters

Row = dict[str, Any]
SEED = 0  # of weights and prompts
# Llamas by blocks and width: three or four query heads to one of keys, 32,000 tokens, untied.
MODELS = {
    "12x768": llama(32_000, 768, 12, 12, 4, 2048, max_length=1024),
    "16x2048": llama(32_000, 2048, 16, 32, 8, 8192, max_length=1024),
    "2x48": llama(64, 48, 2, 3, 1, 64, max_length=64),  # to try a benchmark out
}
QUIET = 0.02  # what is left of the blocks that verify, so that drafts are right now and then


@dataclass(frozen=True)
class Load:
    """What is decoded."""

    prompt: int  # tokens of each prompt
    tokens: int  # decoded after it


def make_decoder(
    name: str, every: int = 1, quiet_after: int | None = None, precision: str = "float32"
) -> Decoder:
    """The model `name` with random weights and an exit after so many blocks each.

    Blocks beyond `quiet_after` add little to the hidden state: how often drafts are right is a
    property of training, and with random weights they never would be.
    """
    return Decoder(make_model(name, every, quiet_after), precision=precision)


def make_model(name: str, every: int = 1, quiet_after: int | None = None) -> LanguageModel:
    """The model of `make_decoder`."""
    if name not in MODELS:
        raise UserError(f"no model {name!r} to decode with: it is one of {', '.join(MODELS)}")
    config, rngs = MODELS[name], nnx.Rngs(SEED)
    if config.blocks % every:
        raise UserError(f"{name} has {config.blocks} blocks: exits every {every} miss the last")
    design = LanguageDesign(tuple(range(every, config.blocks + 1, every)))
    model = LanguageModel(Transformer(config, rngs=rngs), design, rngs=rngs)
    if quiet_after is None:
        return model
    values = parameters(model)
    for index in range(quiet_after, config.blocks):
        for end in ("attention.out", "mlp.down"):
            values[f"backbone.blocks.{index}.{end}.kernel"] *= QUIET
    return bind(model, values)


def check_load(
    name: str,
    batches: Sequence[int],
    depths: Sequence[int],
    draft: int | None,
    drafts: int,
    load: Load,
    every: int = 1,
) -> None:
    """Asks whether all of it can be decoded, on shapes alone.

    Raises:
      UserError: the model is unknown or lacks an exit, or a batch does not fit.
    """
    model = nnx.eval_shape(partial(make_model, name, every))
    for depth in depths:
        exit_at(model.design, depth)
    if draft is not None:
        draft_exit_at(model.design, draft)
    config, values = model.backbone.config, parameters(model)
    prompt = pack_prompts([[0] * load.prompt], config, load.tokens).ids_BP.shape[1]
    for batch in batches:
        check_memory(config, values, batch, prompt, load.tokens, drafts)


class Timed:
    """One decoder's ways on one load, compiled and ready to be called again and again."""

    def __init__(self, decoder: Decoder, batch: int, load: Load):
        self.decoder, self.tokens = decoder, load.tokens
        config = decoder.model.backbone.config
        draw = np.random.default_rng(SEED)
        prompts = draw.integers(config.vocabulary, size=(batch, load.prompt)).tolist()
        self.packed = pack_prompts(prompts, config, load.tokens)
        self.request = decoder.request(self.packed, load.tokens)

    def compile(
        self, method: DecodingMethod, shared: Any = None
    ) -> tuple[Callable[[Any], Any], float]:
        """A function of what is shared, and the seconds it took to compile.

        It decodes all tokens; the prompts have been read before, outside of the clock.
        """
        self.decoder.check_memory(method, self.packed, self.tokens)
        at = self.decoder.start(method, self.request, self.tokens)
        ends, sampling = self.request.ends, self.decoder.sampling

        def run(values: Parameters, shared: Any, at: Any) -> Any:
            model = bind(self.decoder.model, values)
            return method.go_on(model, shared, at, ends, sampling, jnp.int32(self.tokens)).out

        program = Program(run)  # gives nothing away: where it begins is used again
        compiled = program.at(self.decoder.values, shared, at)
        return lambda shared: compiled(self.decoder.values, shared, at), program.seconds

    def whole(self, method: DecodingMethod) -> Any:
        """What comes out of the prompts, read on the clock, and all tokens."""
        at = self.decoder.start(method, self.request, self.tokens)
        return self.decoder.go_on(method, None, at, self.request, self.tokens).out


def load_of(name: str, batch: int, load: Load) -> Row:
    """What every row begins with."""
    return {"model": name, "batch": batch, "prompt": load.prompt, "tokens": load.tokens}


def bench_depths(
    name: str,
    batches: Sequence[int],
    depths: Sequence[int],
    load: Load,
    repeats: int,
    display: Display = SILENT,
    every: int = 1,
    layout: str | None = None,
    precision: str = "float32",
) -> Iterator[Row]:
    """A row for each batch and depth: exits against the static decoder of so many blocks.

    Without `depths`, all of them. Times are milliseconds a token, after the prompt; `ratio` is
    the median over rounds of exit / static. Exits on the way compute no logits,
    as with a rule that reads none.
    """
    decoder = make_decoder(name, every, precision=precision)
    layout = layout or default_layout(jax.default_backend(), len(decoder.model.design.layers))
    depths = depths or decoder.model.design.layers
    exits = {depth: exit_at(decoder.model.design, depth) for depth in depths}
    for batch in batches:
        timed = Timed(decoder, batch, load)
        forced = {d: jnp.full((batch, load.tokens), d, jnp.int32) for d in depths}
        early, early_s = timed.compile(
            EarlyExitDecoding(forced_at, layout=layout), forced[depths[0]]
        )
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
                "every": every,
                "layout": layout,
                "depth": depth,
                "static_ms": milliseconds(slow) / load.tokens,
                "exit_ms": milliseconds(fast) / load.tokens,
                "ratio": speedup(fast, slow),
                "static_compile_s": static[depth][1],
                "exit_compile_s": early_s,
                "precision": precision,
                "device": jax.devices()[0].device_kind,
            }


def bench_speculation(
    name: str,
    batches: Sequence[int],
    depth: int,
    drafts: int,
    load: Load,
    repeats: int,
    display: Display = SILENT,
    precision: str = "float32",
) -> Iterator[Row]:
    """A row for each batch: self-speculation against the static decoder of all blocks.

    The tokens are the same; `speedup` is the median over rounds of static / speculation.
    """
    decoder = make_decoder(name, quiet_after=depth, precision=precision)
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
            "precision": precision,
            "device": jax.devices()[0].device_kind,
        }
