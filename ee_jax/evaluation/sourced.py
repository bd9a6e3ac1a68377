"""What a model writes of the sources of a split, and where its tokens stopped."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from tokenizers import Tokenizer

from ee_jax.data.batches import Batch
from ee_jax.inference.methods import DecodingMethod
from ee_jax.inference.source_decoder import SourceDecoder


class Written(NamedTuple):
    """N texts of at most T tokens each, in the order of their sources."""

    texts: list[str]
    exit_NT: Int[np.ndarray, "N T"]  # number of the exit of each token; -1 beyond the end

    def mean_depths(self, layers: Sequence[int]) -> Float[np.ndarray, " N"]:
        """The mean depth of each text's tokens."""
        is_token_NT = self.exit_NT >= 0
        depth_NT = np.asarray(layers)[self.exit_NT] * is_token_NT
        return depth_NT.sum(1) / is_token_NT.sum(1)

    @property
    def exits(self) -> Int[np.ndarray, " M"]:
        """The exits of all tokens."""
        return self.exit_NT[self.exit_NT >= 0]


class SourceReader:
    """Decodes batches of sources by any method, up to so many tokens."""

    def __init__(
        self, decoder: SourceDecoder, tokenizer: Tokenizer, opening: Sequence[int], tokens: int
    ):
        self.decoder = decoder
        self._tokenizer, self._opening, self._tokens = tokenizer, list(opening), tokens

    def run(self, method: DecodingMethod, shared: Any, batch: Batch) -> Any:
        """What is written of a batch: `Generated` or `SpeculatedText`, on the host."""
        self.decoder.read_source(batch.tokens.source)
        prompts = [self._opening] * len(batch.index_B)
        return self.decoder.run(method, shared, prompts, self._tokens)

    def write(
        self,
        method: DecodingMethod,
        shared: Any,
        batches: Sequence[Batch],
        tick: Callable[[], None] = lambda: None,
    ) -> Written:
        """The texts of all sources.

        Args:
          method: how to decode.
          shared: what it shares, such as a threshold.
          batches: of a split, each source once.
          tick: called after each batch.
        """
        rows = {}
        for batch in batches:
            out = self.run(method, shared, batch)
            for place in np.flatnonzero(batch.valid_B):
                time = int(out.length_B[place])
                ids, exits = out.ids_BN[place][:time], out.exit_BN[place][:time]
                text = self._tokenizer.decode(ids.tolist(), skip_special_tokens=True)
                rows[int(batch.index_B[place])] = text.strip(), exits
            tick()
        exit_NT = np.full((len(rows), self._tokens), -1)
        for index, (_, exits) in rows.items():
            exit_NT[index, : len(exits)] = exits
        return Written([rows[index][0] for index in range(len(rows))], exit_NT)
