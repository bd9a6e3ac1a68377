"""Texts to token ids, and lengths to buckets: the few static lengths that are compiled."""

from bisect import bisect_left
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int32
from tokenizers import Tokenizer

from ee_jax.errors import UserError

Text = str | tuple[str, str]  # a text, or a pair of them
# The ids of a text's tokens; of a pair whose tokenizer tells its texts apart, id and type.
TokenRow = Int32[np.ndarray, " T"] | Int32[np.ndarray, "T 2"]


def load_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer in a Hugging Face folder, without the padding and truncation it asks for.

    Raises:
      UserError: `tokenizer.json` is missing or broken.
    """
    path = folder / "tokenizer.json"
    if not path.is_file():
        raise UserError(f"no tokenizer.json in {folder}: give a Hugging Face model folder")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # `tokenizers` raises nothing narrower
        raise UserError(f"cannot read {path} ({error}): fetch the file again") from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def check_vocabulary(tokenizer: Tokenizer, vocabulary: int, folder: Path) -> None:
    """Raises UserError where the tokenizer knows ids that an embedding of V rows does not."""
    last = max(tokenizer.get_vocab(with_added_tokens=True).values(), default=-1)
    if last >= vocabulary:
        raise UserError(
            f"tokenizer.json in {folder} has ids up to {last}, but the weights beside it embed "
            f"{vocabulary}: take both from one model"
        )


def encode(tokenizer: Tokenizer, texts: Sequence[Text], max_length: int) -> list[TokenRow]:
    """Tokens of each text, or pair of texts, with the special tokens of the tokenizer.

    A text of more than `max_length` tokens loses its end, not its final [SEP]. Of a pair, the
    longer text loses its end first; once both have equally many tokens they lose them alike.

    Rows of pairs have types (0 for the first text, 1 for the second) if the tokenizer gives
    any: BERT's does, RoBERTa's does not.
    """
    tokenizer.enable_truncation(max_length, strategy="longest_first")
    try:
        encodings = tokenizer.encode_batch_fast(list(texts))
    finally:
        tokenizer.no_truncation()
    if any(any(encoding.type_ids) for encoding in encodings):
        return [np.array([e.ids, e.type_ids], np.int32).T for e in encodings]
    return [np.array(encoding.ids, np.int32) for encoding in encodings]


def bucket_of(length: int, lengths: Sequence[int]) -> int:
    """The smallest of the rising `lengths` that holds `length` tokens, else the last."""
    return lengths[min(bisect_left(lengths, length), len(lengths) - 1)]
