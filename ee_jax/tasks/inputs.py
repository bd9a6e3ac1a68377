"""What a run is made from, as its folder remembers it and as `ee-jax run --check` says it."""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ee_jax.calibration.conformal import CONFORMAL
from ee_jax.calibration.methods import METHODS
from ee_jax.config import Calibration
from ee_jax.manifest import entry_of


def fingerprints(files: Iterable[Path]) -> dict[str, str]:
    """The SHA-256 of the files of weights, by their paths."""
    return {str(file): entry_of(file).sha256 for file in files}


def checksums(record: Mapping[str, Any]) -> dict[str, str]:
    """The SHA-256 over the rows of each split of a data set, as its record has them."""
    return {
        f"split {split} of {record['name']}": digest
        for split, digest in record["checksum"].items()
    }


def rows_in_words(record: Mapping[str, Any]) -> str:
    """Name, version, rows and lengths of a data set."""
    rows = ", ".join(f"{split} {count:,}" for split, count in record["rows"].items())
    lengths = ", ".join(map(str, record["lengths"]))
    return f"{record['name']} {record['version']}: {rows}; rows of {lengths} tokens"


def exits_in_words(layers: Sequence[int]) -> str:
    """The blocks after which exits stand."""
    return f"{layers[-1]} blocks, exits after {', '.join(map(str, layers))}"


def promises_in_words(calibration: Calibration, examples: int | None) -> str:
    """With how many examples each method could choose more than the full model at all.

    Args:
      calibration: methods and levels of the config.
      examples: those to calibrate on; None: not known yet.

    Returns:
      For each method and level, how many examples it takes, and whether they are there.
    """
    said = []
    for method in calibration.methods:
        for level in calibration.levels:
            name = f"{method} {100 * level:g} %"
            if method in CONFORMAL:  # a rank of at most n among n + 1
                said.append(f"{name} needs {_rank(level)} examples that an exit gets wrong")
                continue
            fewest = METHODS[method].fewest_examples(level, calibration.delta)
            if fewest is None:
                said.append(f"{name} can promise nothing below the full model")
            elif examples is None or examples >= fewest:
                there = "" if examples is None else f", {examples:,} are there"
                said.append(f"{name} needs {fewest:,} examples{there}")
            else:
                said.append(
                    f"{name} needs {fewest:,} examples, of {examples:,}: it will take the "
                    "full model"
                )
    return "; ".join(said) or "none"


def _rank(level: float) -> str:
    return f"{math.ceil(1 / level - 1e-9) - 1:,}" if level > 0 else "endlessly many"
