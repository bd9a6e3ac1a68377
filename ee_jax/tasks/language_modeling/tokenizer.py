"""The tokenizer of a language model's run: where it comes from, and where it is kept.

Text that a language model writes by itself, a batch of rows at a time.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from jax.sharding import Mesh
from tokenizers import Tokenizer

from ee_jax.compilation import Planned
from ee_jax.config import Scratch
from ee_jax.data.bpe import train_bpe
from ee_jax.data.text import TokenRow, load_tokenizer
from ee_jax.inference.generator import Decoder
from ee_jax.inference.methods import StaticDecoding
from ee_jax.inference.prompts import pack_prompts
from ee_jax.inference.sampling import Sampling
from ee_jax.models.language import LanguageModel
from ee_jax.models.language_source import CHAT_TEMPLATE, LanguageSource
from ee_jax.run_folder import RunFolder

TOKENIZER = "tokenizer.json"  # in a run's folder, and in that of every model it exports


def keep_pretrained(source: LanguageSource, vocabulary: int, folder: RunFolder) -> Tokenizer:
    """Writes the tokenizer of the weights into a run's folder, with the chat template if any.

    Returns:
      The tokenizer.

    Raises:
      UserError: there is none, or it has other ids than the weights.
    """
    tokenizer = source.tokenizer(vocabulary)
    with folder.writing(TOKENIZER) as part:
        source.keep_tokenizer(tokenizer, part)
    if source.chat_template is not None:
        with folder.writing(CHAT_TEMPLATE) as part:
            part.write_text(source.chat_template, encoding="utf-8")
    return tokenizer


def keep_trained(model: Scratch, documents: Sequence[str], folder: RunFolder) -> Tokenizer:
    """The tokenizer in a run's folder, trained on the documents where there is none yet."""
    if not folder.holds(TOKENIZER):
        tokenizer = train_bpe(documents, model.vocabulary)
        with folder.writing(TOKENIZER) as part:
            part.write_text(tokenizer.to_str(pretty=True), encoding="utf-8")
        folder.seal()
    return load_tokenizer(folder.path)


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

    def plan(self, mesh: Mesh) -> Iterator[Planned]:
        """What it compiles, on a mesh of one device."""
        decoder, shape = self._decoder, [[self._start]] * self._batch
        packed = pack_prompts(shape, decoder.model.backbone.config, self._length)
        asked = self._method, None, packed, self._length, mesh
        return decoder.plan("sample rows", *asked)

    def _write(self, seed: int) -> TokenRow:
        prompts = [[self._start]] * self._batch
        asked = (self._method, None, prompts, self._length)
        *_, out = self._decoder.stream(*asked, every=self._length, seed=seed)
        return np.concatenate([np.array(prompts, np.int32), out.ids_BN], axis=1)
