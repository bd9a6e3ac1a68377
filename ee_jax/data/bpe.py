"""Tokenizers of language models: trained on one's own text, and how a document starts."""

from collections.abc import Iterable, Sequence

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from ee_jax.data.text import TokenRow
from ee_jax.errors import UserError

START = "<|start|>"
# Of known models whose tokenizers add no start token: what stands between their documents.
BETWEEN = ("<|endoftext|>", "<|end_of_text|>", "</s>")
BYTES = 256


def train_bpe(documents: Iterable[str], vocabulary: int, ends: bool = False) -> Tokenizer:
    """A byte-level BPE (Radford et al. 2019) of `vocabulary` tokens, the start token first.

    Any text can be encoded, and decoding gives it back.

    Args:
      documents: what it is trained on.
      vocabulary: of how many tokens.
      ends: whether a text's own start token stands after it, and so ends it.

    Raises:
      UserError: the vocabulary has no room for all bytes.
    """
    if vocabulary <= BYTES:
        raise UserError(
            f"config field `model.vocabulary` must be above {BYTES}, a token for each byte and "
            f"one for the start, not {vocabulary}"
        )
    tokenizer = Tokenizer(models.BPE())
    # The stubs know the tokenizer's parts as read-only.
    parts: dict[str, object] = {
        "pre_tokenizer": pre_tokenizers.ByteLevel(add_prefix_space=False),
        "decoder": decoders.ByteLevel(),
    }
    for name, part in parts.items():
        setattr(tokenizer, name, part)
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[START],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(documents, trainer)
    single = f"$A {START}" if ends else f"{START} $A"
    adds = processors.TemplateProcessing(single=single, special_tokens=[(START, 0)])
    setattr(tokenizer, "post_processor", adds)  # noqa: B010
    return tokenizer


def start_token(tokenizer: Tokenizer) -> int:
    """The token before the first of a document.

    Raises:
      UserError: the tokenizer has none.
    """
    if ids := tokenizer.encode("").ids:
        return ids[0]
    known = [tokenizer.token_to_id(token) for token in BETWEEN]
    for token in known:
        if token is not None:
            return token
    raise UserError(
        "the tokenizer puts no token before a text, and knows none that stands between texts: "
        "give a tokenizer.json with a post-processor that adds one"
    )


def encode_documents(tokenizer: Tokenizer, documents: Sequence[str]) -> list[TokenRow]:
    """Each document's tokens after a start token."""
    start = start_token(tokenizer)
    encodings = tokenizer.encode_batch_fast(list(documents), add_special_tokens=False)
    return [np.array([start, *encoding.ids], np.int32) for encoding in encodings]
