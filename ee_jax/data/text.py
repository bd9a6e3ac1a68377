"""Texts to token ids, and lengths to buckets: the few static lengths that are compiled.

Documents to rows of one static length, packed by grain.

All tokens are laid end to end, each document after a start token, and cut into rows: no row but
the last has padding, and a document goes on from row to row. Packing whole documents (grain's
first-fit) would keep them apart, but ours are longer than a row and would be cut all the same;
a token sees what stands before it in its row, a start token between documents.
"""

import math
import shutil
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import grain
import numpy as np
from grain.experimental import ConcatThenSplitIterDataset
from jaxtyping import Int32
from tokenizers import Tokenizer

from ee_jax.data.wordpiece import VOCABULARY, read_wordpiece
from ee_jax.errors import UserError

Text = str | tuple[str, str]  # a text, or a pair of them
# The ids of a text's tokens; of a pair whose tokenizer tells its texts apart, id and type.
TokenRow = Int32[np.ndarray, " T"] | Int32[np.ndarray, "T 2"]


@dataclass(frozen=True)
class SourcedRow:
    """The tokens of a text, and of the one that it says something of: what it translates.

    A bucket of length S holds sources of up to S tokens, and targets of up to `stretch` * S
    after the token that all of them begin with.
    """

    source_S: Int32[np.ndarray, " S"]
    target_T: Int32[np.ndarray, " T+1"]
    stretch: float = 1.0

    def __len__(self) -> int:
        """The length of the smallest bucket that holds both."""
        predicted = len(self.target_T) - 1
        return max(len(self.source_S), math.ceil(predicted / self.stretch))

    def room(self, length: int) -> int:
        """Tokens of a target in a bucket of this length."""
        return math.floor(length * self.stretch) + 1


Row = TokenRow | SourcedRow


def load_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer in a Hugging Face folder, without the padding and truncation it asks for.

    That of `tokenizer.json`, or where there is none a BERT's of `vocab.txt`.

    Raises:
      UserError: both are missing, or one is broken.
    """
    path = folder / "tokenizer.json"
    if not path.is_file() and (folder / VOCABULARY).is_file():
        return read_wordpiece(folder)
    if not path.is_file():
        raise UserError(f"no tokenizer.json in {folder}: give a Hugging Face model folder")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # `tokenizers` raises nothing narrower
        raise UserError(f"cannot read {path} ({error}): fetch the file again") from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def keep_tokenizer(folder: Path, kept: Path) -> None:
    """Writes the tokenizer of a Hugging Face folder to a file, a `tokenizer.json` as it is."""
    path = folder / "tokenizer.json"
    if path.is_file():
        shutil.copyfile(path, kept)
    else:
        load_tokenizer(folder).save(str(kept))


def check_vocabulary(tokenizer: Tokenizer, vocabulary: int, path: Path) -> None:
    """Raises UserError where the tokenizer knows ids that an embedding of V rows does not.

    Args:
      path: the folder of both, or the file that holds both.
    """
    last = max(tokenizer.get_vocab(with_added_tokens=True).values(), default=-1)
    if last >= vocabulary:
        what = "the tokenizer" if path.is_file() else "tokenizer.json"
        raise UserError(
            f"{what} in {path} has ids up to {last}, but the weights beside it embed "
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


def pack(documents: Sequence[TokenRow], length: int) -> list[TokenRow]:
    """Rows of `length` tokens, every token once and in order; the last may be shorter."""
    each = grain.MapDataset.source(documents).map(lambda ids: {"ids": ids})
    # In memory: grain's own threads would only fight over the interpreter.
    stream = each.to_iter_dataset(grain.ReadOptions(num_threads=0))
    packed = ConcatThenSplitIterDataset(stream, length_struct={"ids": length})
    return [_row(element["ids"], element["ids_segment_ids"]) for element in packed]


def _row(ids: np.ndarray, segments: np.ndarray) -> TokenRow:
    """Without what fills the row up, which grain marks by segment 0."""
    return ids[segments > 0].astype(np.int32)
