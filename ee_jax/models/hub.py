"""Folders of the Hugging Face Hub, by name."""

from functools import cache
from pathlib import Path

from ee_jax.errors import UserError

# What is fetched of a repository: other forms of its weights can be many times as large.
FILES = [
    "config.json",
    "tokenizer.json",
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
