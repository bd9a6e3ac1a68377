"""What a labelled data set holds: rows, classes, balance, lengths, duplicates, examples."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from ee_jax.data.dataset_dir import DatasetDir
from ee_jax.data.own_rows import text_key
from ee_jax.data.prepared import Examples, open_at
from ee_jax.data.text import Text
from ee_jax.data.text_files import TextFiles

# Of the training rows, how many each proposed length holds; the longest rows decide the last.
SHARES = (0.5, 0.8, 0.95)
STEP = 8  # tokens: lengths are multiples of it
SHOWN = 3  # examples


def propose_lengths(tokens_N: Sequence[int]) -> tuple[int, ...]:
    """Static lengths (buckets) for rows of so many tokens: few, and little of them padding.

    Args:
      tokens_N: tokens of each training row.

    Returns:
      Up to four rising lengths, multiples of 8: those that hold 50, 80 and 95 % of the rows,
      and one that holds 99.5 %, so that a few long rows do not slow all others.
    """
    quantiles = np.quantile(tokens_N, (*SHARES, 0.995), method="higher")
    return tuple(sorted({int(-(-length // STEP) * STEP) for length in quantiles}))


def duplicates(texts: Mapping[str, Sequence[Text]]) -> dict[str, int]:
    """How many different texts two splits share, by the names of both, where they share any."""
    keys = {split: {text_key(text) for text in found} for split, found in texts.items()}
    shared = {
        f"{one}, {other}": len(keys[one] & keys[other]) for one, other in combinations(keys, 2)
    }
    return {pair: count for pair, count in shared.items() if count}


def describe(directory: DatasetDir) -> dict[str, Any]:
    """A prepared data set as plain data.

    Args:
      directory: where it is; texts and labels, or texts alone.

    Returns:
      Rows by split, what two splits share, words of a row, and for labelled rows the classes
      with their share of the training rows, or the range of the scores; some examples.
    """
    prepared = directory.load()
    splits = {split: open_at(directory, split) for split in prepared.splits}
    words = [len(_joined(text).split()) for text in splits["train"].texts]
    quantiles = np.quantile(words, (0.5, 0.95, 1.0))
    return {
        "name": directory.name,
        "folder": str(prepared.folder),
        "rows": {split: len(found.texts) for split, found in splits.items()},
        "duplicates": duplicates({split: found.texts for split, found in splits.items()}),
        "words": dict(zip(("median", "p95", "longest"), quantiles.tolist(), strict=True)),
        **_labels(directory, splits["train"]),
        "examples": [_example(splits["train"], n) for n in range(min(SHOWN, len(words)))],
    }


def _labels(directory: DatasetDir, train: Examples) -> dict[str, Any]:
    if issubclass(directory.kind, TextFiles):
        return {"files": list(train.classes)}
    if directory.kind.LABEL_RANGE is not None:
        return {"classes": {}, "score_range": list(directory.kind.LABEL_RANGE)}
    count, total = Counter(train.label_N.tolist()), len(train.label_N)
    return {"classes": {name: count[n] / total for n, name in enumerate(train.classes)}}


def _example(train: Examples, number: int) -> dict[str, Any]:
    label = train.label_N[number].item()
    return {
        "text": train.texts[number],
        "label": train.classes[label] if train.classes else label,
    }


def _joined(text: Text) -> str:
    return text if isinstance(text, str) else " ".join(text)
