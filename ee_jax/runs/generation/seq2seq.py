"""A trained encoder-decoder: it writes of other texts, from wherever its weights lie.

model = ee_jax.load("runs/translation/joint")
model.generate(["A cat sat on the mat ."], threshold=0.9)
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from jaxtyping import Array

from ee_jax.data.batches import pad_rows
from ee_jax.data.text import bucket_of
from ee_jax.errors import UserError
from ee_jax.inference.sampling import Sampling
from ee_jax.inference.source_decoder import SourceDecoder
from ee_jax.models.language import LanguageModel
from ee_jax.runs.generation.language_model import TrainedLanguageModel
from ee_jax.runs.generation.text_generation import Request
from ee_jax.runs.generation.tokens import GeneratedText, TokenReader
from ee_jax.tokens import Tokens

LENGTHS = tuple(2**n for n in range(4, 14))  # that sources are padded to


@dataclass
class Work:
    """What a model has written so far."""

    texts: int = 0
    tokens: int = 0
    blocks: int = 0  # over all tokens

    @property
    def mean_depth(self) -> float:
        """Blocks a token; nan before the first."""
        return self.blocks / self.tokens if self.tokens else float("nan")

    def count(self, text: GeneratedText) -> None:
        """Adds a text."""
        self.texts += 1
        self.tokens += len(text.tokens)
        self.blocks += sum(depth or 0 for depth in text.depths)


class TrainedSeq2Seq(TrainedLanguageModel):
    """An encoder-decoder with exits in its decoder, ready to write; see `Trained`.

    What `generate` takes are sources, which the encoder reads.

    Attributes:
      work: what it has written so far.
    """

    sourced = True

    def __init__(self, name: str, precision: str | None = None):
        super().__init__(name, precision)
        self.work = Work()

    def _logits(self, model: LanguageModel, tokens: Tokens) -> Array:
        if tokens.source is None:
            raise UserError(f"{self.name} writes of a text that its encoder reads: give it one")
        return super()._logits(model, tokens)

    def decoder(self, sampling: Sampling) -> SourceDecoder:
        """The programs that draw tokens so, compiled as they are needed."""
        if sampling not in self._decoders:
            self._decoders[sampling] = SourceDecoder(self._model, sampling, self.stops)
        found = self._decoders[sampling]
        assert isinstance(found, SourceDecoder)
        return found

    def ids_of(self, prompt: str) -> list[int]:
        """The tokens of a source.

        Raises:
          UserError: it has none, or more than any source may have.
        """
        ids = self.tokenizer.encode(prompt).ids
        if not 0 < len(ids) <= self.longest:
            raise UserError(f"a source has {len(ids):,} tokens: give 1 to {self.longest:,}")
        return ids

    @property
    def longest(self) -> int:
        """Tokens of a source, at most."""
        encoder = self.config.encoder
        assert encoder is not None
        return LENGTHS[-1] if encoder.positions == "none" else encoder.max_length

    def _write(self, request: Request, rows: list[list[int]]) -> Iterator[GeneratedText]:
        decoder, (method, shared) = self.decoder(request.sampling), self.method(request)
        length = min(self.longest, bucket_of(max(map(len, rows)), LENGTHS))
        decoder.read_source(pad_rows([np.array(ids, np.int32) for ids in rows], length))
        asked = [self.opening] * len(rows), request.tokens, request.tokens, request.seed
        (out,) = decoder.stream(method, shared, *asked)
        for number in range(len(rows)):
            reader = TokenReader(self.tokenizer, self.exits, [])
            tokens = reader.row(out, number, 0, request.reads_exits)
            if tokens and tokens[-1].id in self.stops:
                tokens = tokens[:-1]
            text = GeneratedText(tokens)
            self.work.count(text)
            yield text

    def stream(
        self, texts: Iterable[str], batch: int = 32, **asked: Any
    ) -> Iterator[GeneratedText]:
        """What is written of texts that come one by one, a batch at a time.

        Args:
          texts: the sources.
          batch: how many are read before the next.
          **asked: as of `generate`.

        Raises:
          UserError: the model cannot do what is asked.
        """
        coming = iter(texts)
        while some := list(islice(coming, batch)):
            yield from self.generate(some, **asked)
