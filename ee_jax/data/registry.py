"""The data sets by name, and where they are kept; imports no builder until one is asked for."""

import os
import pkgutil
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from ee_jax.errors import UserError

if TYPE_CHECKING:
    from ee_jax.data.builder import RowsBuilder

# Name -> "module:class" of its builder.
DATASETS = {
    "stdlib_docstrings": "ee_jax.data.stdlib_docstrings:StdlibDocstrings",
    "glue/sst2": "ee_jax.data.glue:Sst2",
    "glue/cola": "ee_jax.data.glue:Cola",
}

# Data sets of the user's own text, `text/NAME`: a function from NAME to a builder.
TEXT = "text/"
OWN_TEXT = "ee_jax.data.text_files:builder_of_text"


def builder_of(name: str) -> "type[RowsBuilder]":
    """The builder class of data set `name`.

    Raises:
      UserError: no such data set; says the nearest name.
    """
    if name.startswith(TEXT):
        return pkgutil.resolve_name(OWN_TEXT)(name.removeprefix(TEXT))
    if name not in DATASETS:
        raise UserError(f"no data set `{name}`: {nearest(name, [*DATASETS, TEXT + 'NAME'])}")
    return pkgutil.resolve_name(DATASETS[name])


def root_folder(folder: str | Path | None = None) -> Path:
    """Where prepared data sets live: `folder`, else $EE_JAX_DATA, else the user's cache."""
    chosen = folder or os.environ.get("EE_JAX_DATA") or "~/.cache/ee_jax/data"
    return Path(chosen).expanduser()


def manual_folder(name: str, needed: str, folder: str | Path | None = None) -> Path:
    """Where the user put the files that data set `name` is made from.

    That is `folder`, else $EE_JAX_MANUAL_DIR.

    Raises:
      UserError: neither is given; says that the folder has to hold what is `needed`.
    """
    chosen = folder or os.environ.get("EE_JAX_MANUAL_DIR")
    if not chosen:
        ways = "`--manual-dir` (in a config: `data.manual_dir`) or EE_JAX_MANUAL_DIR"
        raise UserError(
            f"`{name}` is made from files that you fetch: name the folder that holds {needed} "
            f"with {ways}"
        )
    return Path(chosen).expanduser()


def nearest(wrong: str, names: list[str]) -> str:
    """The end of an error about a `wrong` name: the one that was meant, else all of `names`."""
    close = get_close_matches(wrong, names, n=1)
    return f"did you mean `{close[0]}`?" if close else f"there is {', '.join(names)}"
