"""Text that a language model writes by itself, a batch of rows at a time.

It goes on from the token that a text begins with, or answers what a user asks it in its own
chat template: so exits learn from what they will be asked about, with no text at hand.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from jax.sharding import Mesh

from ee_jax.compilation import Planned
from ee_jax.config import Model, SelfGenerated
from ee_jax.data.chat_prompts import chat_prompts
from ee_jax.data.chat_template import ChatTemplate
from ee_jax.data.text import TokenRow
from ee_jax.errors import UserError
from ee_jax.inference.generator import Decoder
from ee_jax.inference.methods import StaticDecoding
from ee_jax.inference.prompts import Ids, pack_prompts
from ee_jax.inference.sampling import Sampling
from ee_jax.models.export import with_exits
from ee_jax.models.language import LanguageDesign, LanguageModel
from ee_jax.models.language_source import find_language
from ee_jax.tasks.token_exits import SPLITS, Weights


class Writer:
    """Samples rows of `length` + 1 tokens, each of which begins with one of the openings."""

    def __init__(self, model: LanguageModel, openings: Sequence[Ids], data: SelfGenerated):
        self._decoder = Decoder(model, Sampling(temperature=data.temperature))
        self._method = StaticDecoding(len(model.design.layers) - 1)
        self._openings, self._data = openings, data

    def rows(self, count: int, seed: int, tick: Callable[[], None]) -> Iterator[TokenRow]:
        """`count` rows; the seed decides them, and the batch's size how they are drawn.

        All openings are gone on from once before one is again.
        """
        size = self._data.batch
        turn = np.random.default_rng(seed).permutation(len(self._openings))
        seeds = np.random.SeedSequence(seed).generate_state(-(-count // size))
        for at, own in zip(range(0, count, size), seeds.tolist(), strict=True):
            chosen = [self._openings[turn[i % len(turn)]] for i in range(at, at + size)]
            yield from self._write(chosen, own)[: count - at]
            tick()

    def plan(self, mesh: Mesh) -> Iterator[Planned]:
        """What it compiles for the longest openings, on a mesh of one device."""
        longest = max(self._openings, key=len)
        tokens = self._tokens([longest])
        prompts = [longest] * self._data.batch
        packed = pack_prompts(prompts, self._decoder.model.backbone.config, tokens)
        asked = self._method, None, packed, tokens, mesh
        return self._decoder.plan("sample rows", *asked)

    def _tokens(self, prompts: Sequence[Ids]) -> int:
        """How many fill the row of the shortest opening."""
        return self._data.length + 1 - min(map(len, prompts))

    def _write(self, prompts: Sequence[Ids], seed: int) -> list[TokenRow]:
        tokens = self._tokens(prompts)
        asked = (self._method, None, prompts, tokens)
        *_, out = self._decoder.stream(*asked, every=tokens, seed=seed)
        rows = zip(prompts, out.ids_BN, strict=True)
        return [np.array([*own, *ids], np.int32)[: self._data.length + 1] for own, ids in rows]


def writers(data: SelfGenerated, model: Model, weights: Weights) -> dict[str, Writer]:
    """What writes the rows of each split: the model, whole.

    Raises:
      UserError: the model has no token that a text begins with, or cannot chat.
    """
    writing = with_exits(*weights, LanguageDesign((weights.config.blocks,)))
    found = openings(data, model, weights.config.vocabulary)
    return {split: Writer(writing, found[split], data) for split in SPLITS}


def openings(data: SelfGenerated, model: Model, vocabulary: int) -> dict[str, list[list[int]]]:
    """The tokens that the rows of each split may begin with.

    Raises:
      UserError: as for `writers`, or one leaves no room for an answer.
    """
    source = find_language(model.weights)
    if data.prompts is None:
        return {split: [[source.start(vocabulary)]] for split in SPLITS}
    tokenizer = source.tokenizer(vocabulary)
    stops = source.stops(tokenizer)
    template = ChatTemplate(model.weights, source.chat_template, tokenizer, stops)
    found = {
        split: [template.ids([{"role": "user", "content": said}]) for said in prompts]
        for split, prompts in chat_prompts(data.prompts).items()
    }
    longest = max(len(ids) for each in found.values() for ids in each)
    if longest > data.length // 2:
        raise UserError(
            f"config field `data.length` is {data.length} tokens, and a prompt of "
            f"`data.prompts` takes {longest}: give rows of {2 * longest} tokens at least, so "
            "that half of each is an answer"
        )
    return found
