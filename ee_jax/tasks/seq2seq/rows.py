"""Pairs of texts to rows of tokens, and the tokenizer that makes them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from ee_jax.config import Pairs, ScratchT5
from ee_jax.data.batches import Split
from ee_jax.data.pairs import Pair, checksum
from ee_jax.data.text import SourcedRow, encode
from ee_jax.errors import UserError
from ee_jax.models.language_source import LanguageSource
from ee_jax.run_folder import RunFolder
from ee_jax.tasks.tokenizer import keep_pretrained, keep_trained

STEPS = (0.25, 0.5, 1.0)  # the buckets, as shares of the longest, where the config has none


@dataclass(frozen=True)
class PairRows:
    """The splits of an experiment as rows and as texts, in one order.

    Attributes:
      splits: a row for each pair; of the training pairs those that are not too long.
      pairs: of each row.
      tokenizer: of both sides.
      opening: the tokens from which every target is written.
      ends: the tokens that end one.
      record: what results say of the data.
    """

    splits: Mapping[str, Split[SourcedRow]]
    pairs: Mapping[str, Sequence[Pair]]
    tokenizer: Tokenizer
    opening: Sequence[int]
    ends: Sequence[int]
    record: Mapping[str, Any]


def lengths_of(data: Pairs) -> tuple[int, ...]:
    """The static lengths of the sources."""
    shares = (max(1, round(share * data.source_length)) for share in STEPS)
    return data.lengths or tuple(sorted({*shares}))


def make_rows(
    data: Pairs,
    pairs: Mapping[str, Sequence[Pair]],
    model: ScratchT5 | tuple[LanguageSource, int],
    folder: RunFolder,
) -> PairRows:
    """The rows of an experiment; the tokenizer is kept in the run's folder.

    Args:
      data: of the config.
      pairs: of each split.
      model: from random weights; or where trained ones lie, and how many tokens they embed.
      folder: of the run.

    Raises:
      UserError: no training pair is short enough.
    """
    if isinstance(model, ScratchT5):
        texts = [text for pair in pairs["train"] for text in (pair.source, pair.target)]
        tokenizer = keep_trained(model.vocabulary, texts, folder, ends=True)
        opening = ends = tokenizer.encode("").ids
    else:
        source, vocabulary = model
        tokenizer = keep_pretrained(source, vocabulary, folder)
        opening, ends = source.opening(vocabulary), source.ends()
    rows = {
        split: _rows(tokenizer, opening[0], each, data, spare=split == "train")
        for split, each in pairs.items()
    }
    left_out = _leave_out(rows, data)
    splits = {split: _split([row for row, _ in each], data) for split, each in rows.items()}
    kept = {split: [pair for _, pair in each] for split, each in rows.items()}
    record = {
        "name": data.name,
        "version": checksum([pair for each in pairs.values() for pair in each])[:12],
        "rows": {split: len(each) for split, each in kept.items()},
        "too_long": left_out,
        "lengths": lengths_of(data),
        "checksum": {split: checksum(each) for split, each in pairs.items()},
    }
    return PairRows(splits, kept, tokenizer, opening, ends, record)


Rows = list[tuple[SourcedRow, Pair]]


def _rows(
    tokenizer: Tokenizer, start: int, pairs: Sequence[Pair], data: Pairs, spare: int
) -> Rows:
    """A row for each pair, those of one bucket together; sides are cut at `spare` too many."""
    sources = encode(tokenizer, [pair.source for pair in pairs], data.source_length + spare)
    targets = encode(tokenizer, [pair.target for pair in pairs], data.target_length + spare)
    stretch = data.target_length / data.source_length
    made = [
        SourcedRow(source, np.array([start, *target], np.int32), stretch)
        for source, target in zip(sources, targets, strict=True)
    ]
    lengths = lengths_of(data)
    bucket = [np.searchsorted(lengths, len(row)) for row in made]
    order = np.argsort(bucket, kind="stable")
    return [(made[index], pairs[index]) for index in order]


def _leave_out(rows: dict[str, Rows], data: Pairs) -> int:
    """Takes training pairs with a side that is too long out of `rows`; how many there are."""
    kept = [each for each in rows["train"] if len(each[0]) <= data.source_length]
    left_out = len(rows["train"]) - len(kept)
    if not kept:
        raise UserError(
            f"{data.name}: no training pair has at most {data.source_length} tokens of source "
            f"and {data.target_length} of target: raise data.source_length, data.target_length"
        )
    rows["train"] = kept
    return left_out


def _split(rows: list[SourcedRow], data: Pairs) -> Split[SourcedRow]:
    return Split(rows, np.zeros(len(rows), np.int32), lengths_of(data))
