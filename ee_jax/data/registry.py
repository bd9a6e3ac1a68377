"""The data sets by name, and where they are kept; imports no builder until one is asked for."""

import os
import pkgutil
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from ee_jax.atomic_io import expanded
from ee_jax.errors import UserError

if TYPE_CHECKING:
    from ee_jax.data.builder import RowsBuilder
    from ee_jax.data.dataset_dir import Columns

# Name -> "module:class" of its builder.
DATASETS = {
    "stdlib_docstrings": "ee_jax.data.docstrings:StdlibDocstrings",
    "glue/cola": "ee_jax.data.glue:Cola",
    "glue/sst2": "ee_jax.data.glue:Sst2",
    "glue/mrpc": "ee_jax.data.glue:Mrpc",
    "glue/qqp": "ee_jax.data.glue:Qqp",
    "glue/stsb": "ee_jax.data.glue:Stsb",
    "glue/mnli": "ee_jax.data.glue:Mnli",
    "glue/qnli": "ee_jax.data.glue:Qnli",
    "glue/rte": "ee_jax.data.glue:Rte",
}

# Data sets of the user's own text, `text/NAME`: a function from NAME to a builder.
TEXT = "text/"
# Labelled rows of the user's own, wherever they are.
OWN_ROWS = "ee_jax.data.own_sources"
OWN_TEXT = "ee_jax.data.text_files:builder_of_text"


def builder_of(name: str, columns: "Columns | None" = None) -> "type[RowsBuilder]":
    """The builder class of data set `name`, or of the user's rows that it says where to find.

    Args:
      name: of a data set, or a user's own, as `own_sources.builder_of_own` reads it.
      columns: of a user's table, where their names do not tell which is which.

    Raises:
      UserError: no such data set; says the nearest name.
    """
    if name.startswith(TEXT):
        return pkgutil.resolve_name(OWN_TEXT)(name.removeprefix(TEXT))
    if name not in DATASETS and pkgutil.resolve_name(f"{OWN_ROWS}:is_own")(name):
        from ee_jax.data.dataset_dir import Columns

        own = pkgutil.resolve_name(f"{OWN_ROWS}:builder_of_own")
        return own(name, columns or Columns())
    if name not in DATASETS:
        near = nearest(name, [*DATASETS, TEXT + "NAME"])
        raise UserError(f"no data set `{name}`: {near}")
    return pkgutil.resolve_name(DATASETS[name])


def root_folder(folder: str | Path | None = None) -> Path:
    """Where prepared data sets live: `folder`, else $EE_JAX_DATA, else the user's cache."""
    chosen = folder or os.environ.get("EE_JAX_DATA") or "~/.cache/ee_jax/data"
    return expanded(chosen)


def manual_folder(folder: str | Path | None = None) -> Path | None:
    """Where the user put fetched files: `folder`, else $EE_JAX_MANUAL_DIR; None: nowhere."""
    chosen = folder or os.environ.get("EE_JAX_MANUAL_DIR")
    return expanded(chosen) if chosen else None


def nearest(wrong: str, names: list[str]) -> str:
    """The end of an error about a `wrong` name: the one that was meant, else all of `names`."""
    close = get_close_matches(wrong, names, n=1)
    return f"did you mean `{close[0]}`?" if close else f"there is {', '.join(names)}"
