"""What a run is made from, as its folder remembers it and as `ee-jax run --check` says it."""

from collections.abc import Mapping, Sequence
from typing import Any

from ee_jax.atomic_io import expanded
from ee_jax.manifest import entry_of
from ee_jax.models.files import find_weights

# Of a model's folder: everything that a run reads.
READ = ("*.json", "*.safetensors", "*.txt", "*.model", "*.bin")


def fingerprints(weights: str) -> dict[str, str]:
    """The SHA-256 of the files of weights, by their paths.

    Args:
      weights: as a config names them: a file, a folder, a package, a name on the hub.
    """
    path = expanded(weights)
    if path.is_file():
        files = [path, *path.parent.glob("tokenizer.bin")]
    else:
        folder = find_weights(weights)
        files = [found for pattern in READ for found in sorted(folder.glob(pattern))]
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
