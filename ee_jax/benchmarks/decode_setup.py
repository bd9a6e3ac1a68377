"""What a decoding benchmark decodes: a model of random weights, and prompts for it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from ee_jax.compilation import Program
from ee_jax.errors import UserError
from ee_jax.exits.layouts import check_layout, default_layout
from ee_jax.inference.generator import Decoder, draft_exit_at, exit_at
from ee_jax.inference.memory import check_memory
from ee_jax.inference.methods import DecodingMethod
from ee_jax.inference.prompts import pack_prompts
from ee_jax.inference.rules import Exiting
from ee_jax.inference.source_decoder import SourceDecoder
from ee_jax.models.architecture import Architecture
from ee_jax.models.families.llama import llama
from ee_jax.models.families.t5 import t5
from ee_jax.models.language import LanguageDesign, LanguageModel
from ee_jax.models.precision import PRECISIONS, in_precision
from ee_jax.models.transformer import Transformer, bind, parameters
from ee_jax.tokens import Tokens

Row = dict[str, Any]
SEED = 0  # of weights and prompts
# Llamas by blocks and width: three or four query heads to one of keys, 32,000 tokens, untied.
# T5s, whose encoder reads the prompt, by the blocks of either side and width.
MODELS = {
    "12x768": llama(32_000, 768, 12, 12, 4, 2048, max_length=1024),
    "16x2048": llama(32_000, 2048, 16, 32, 8, 8192, max_length=1024),
    "t5-8x512": t5(32_128, 512, 8, 6, 64, 1024),  # that of CALM (2022), but for its MLPs
    "2x48": llama(64, 48, 2, 3, 1, 64, max_length=64),  # to try a benchmark out
    "t5-2x48": t5(64, 48, 2, 3, 16, 64, max_length=64),
}
QUIET = 0.02  # what is left of the blocks that verify, so that drafts are right now and then


@dataclass(frozen=True)
class Load:
    """What is decoded."""

    prompt: int  # tokens of each prompt, or of the source that an encoder reads
    tokens: int  # decoded after it

    def before(self, config: Architecture) -> int:
        """Tokens that a decoder has before the first new one; of a source it has none."""
        return self.prompt if config.encoder is None else 1


@dataclass(frozen=True)
class Setup:
    """A model of random weights, and how it is made to decode.

    Raises:
      UserError: there is no such model, precision, layout or confidence, or the model has no
        such exits.
    """

    model: str  # a name in MODELS
    every: int = 1  # blocks between two exits
    precision: str = "float32"
    layout: str | None = None  # of the program with exits; None: what costs this machine least
    confidence: str | None = None  # that exits compute on the way; None: they ask nothing

    def __post_init__(self) -> None:
        name, every = self.model, self.every
        if name not in MODELS:
            known = ", ".join(MODELS)
            raise UserError(f"no model {name!r} to decode with: it is one of {known}")
        if self.config.blocks % every:
            blocks = self.config.blocks
            raise UserError(f"{name} has {blocks} blocks: exits every {every} miss the last")
        _ = PRECISIONS[self.precision], self.exiting
        check_layout(self.laid_out, len(self.design.layers))

    @property
    def config(self) -> Architecture:
        """Of the model."""
        return MODELS[self.model]

    @property
    def design(self) -> LanguageDesign:
        """Its exits."""
        layers = tuple(range(self.every, self.config.blocks + 1, self.every))
        return LanguageDesign(layers, learned=self.confidence == "learned")

    @property
    def exiting(self) -> Exiting | None:
        """What exits ask on the way."""
        return None if self.confidence is None else Exiting(self.confidence)

    @property
    def laid_out(self) -> str:
        """The layout of the program with exits."""
        return self.layout or default_layout(jax.default_backend(), len(self.design.layers))

    @property
    def draft(self) -> int:
        """Blocks that draft where nothing else is said: a quarter, or the next exit's."""
        return next(n for n in self.design.layers if n >= max(1, self.config.blocks // 4))

    def make(self, quiet_after: int | None = None) -> LanguageModel:
        """The model in its precision.

        Blocks beyond `quiet_after` add little to the hidden state: how often drafts are right
        is a property of training, and with random weights they never would be.
        """
        rngs = nnx.Rngs(SEED)
        model = LanguageModel(Transformer(self.config, rngs=rngs), self.design, rngs=rngs)
        values = parameters(model)
        for index in range(quiet_after or self.config.blocks, self.config.blocks):
            for end in ("attention.out", "cross.out", "mlp.down"):
                if (path := f"backbone.blocks.{index}.{end}.kernel") in values:
                    values[path] *= QUIET
        return in_precision(bind(model, values), self.precision)


def check_load(
    setup: Setup,
    batches: Sequence[int],
    depths: Sequence[int],
    draft: int | None,
    drafts: int,
    load: Load,
) -> None:
    """Asks whether all of it can be decoded, on shapes alone.

    Raises:
      UserError: the model lacks an exit, or a batch does not fit.
    """
    for depth in depths:
        exit_at(setup.design, depth)
    if draft is not None:
        draft_exit_at(setup.design, draft)
    values = parameters(nnx.eval_shape(setup.make))
    before = [[0] * load.before(setup.config)]
    prompt = pack_prompts(before, setup.config, load.tokens).ids_BP.shape[1]
    for batch in batches:
        check_memory(setup.config, values, batch, prompt, load.tokens, drafts)


def make_decoder(model: LanguageModel) -> Decoder:
    """What decodes the model."""
    sourced = model.backbone.encoder is not None
    return SourceDecoder(model) if sourced else Decoder(model)


class Timed:
    """One decoder's ways on one load, compiled and ready to be called again and again."""

    def __init__(self, decoder: Decoder, batch: int, load: Load):
        self.decoder, self.tokens = decoder, load.tokens
        config = decoder.model.backbone.config
        draw = np.random.default_rng(SEED)
        ids_BP = draw.integers(config.vocabulary, size=(batch, load.prompt))
        if isinstance(decoder, SourceDecoder):
            decoder.read_source(Tokens(ids_BP, np.ones(ids_BP.shape, bool)))
        prompts = ids_BP[:, : load.before(config)].tolist()
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

        def run(values: Any, shared: Any, at: Any) -> Any:
            model = self.decoder.bound(values)
            return method.go_on(model, shared, at, ends, sampling, jnp.int32(self.tokens)).out

        program = Program(run)  # gives nothing away: where it begins is used again
        compiled = program.at(self.decoder.values, shared, at)
        return lambda shared: compiled(self.decoder.values, shared, at), program.seconds

    def whole(self, method: DecodingMethod) -> Any:
        """What comes out of the prompts, read on the clock, and all tokens."""
        at = self.decoder.start(method, self.request, self.tokens)
        return self.decoder.go_on(method, None, at, self.request, self.tokens).out


def load_of(setup: Setup, batch: int, load: Load) -> Row:
    """What every row begins with."""
    return {
        "device": jax.devices()[0].device_kind,
        "precision": setup.precision,
        "model": setup.model,
        "every": setup.every,
        "batch": batch,
        "prompt": load.prompt,
        "tokens": load.tokens,
    }
