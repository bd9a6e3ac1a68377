"""Text that a language model writes by itself, a batch of rows at a time."""

from collections.abc import Callable, Iterator

import numpy as np

from ee_jax.data.text import TokenRow
from ee_jax.inference.generator import Decoder
from ee_jax.inference.methods import StaticDecoding
from ee_jax.inference.sampling import Sampling
from ee_jax.models.language import LanguageModel

AS_IT_IS = Sampling(temperature=1.0)  # tokens as likely as the model says


class Writer:
    """Samples rows of `length` tokens after a start token, which leads each row."""

    def __init__(self, model: LanguageModel, start: int, length: int, batch: int):
        self._decoder = Decoder(model, AS_IT_IS)
        self._method = StaticDecoding(len(model.design.layers) - 1)
        self._start, self._length, self._batch = start, length, batch

    def rows(self, count: int, seed: int, tick: Callable[[], None]) -> Iterator[TokenRow]:
        """`count` rows; the seed decides them, and the batch's size how they are drawn."""
        seeds = np.random.SeedSequence(seed).generate_state(-(-count // self._batch))
        for at, own in zip(range(0, count, self._batch), seeds.tolist(), strict=True):
            yield from self._write(own)[: count - at]
            tick()

    def _write(self, seed: int) -> TokenRow:
        prompts = [[self._start]] * self._batch
        asked = (self._method, None, prompts, self._length)
        *_, out = self._decoder.stream(*asked, every=self._length, seed=seed)
        return np.concatenate([np.array(prompts, np.int32), out.ids_BN], axis=1)
