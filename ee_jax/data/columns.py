"""Which columns of a table are text, the second text of a pair, and label."""

from collections.abc import Sequence
from typing import NamedTuple

from ee_jax.data.registry import nearest
from ee_jax.errors import UserError

TEXTS = ("text", "sentence")
PAIRS = (
    ("text_a", "text_b"),
    ("sentence1", "sentence2"),
    ("question1", "question2"),
    ("premise", "hypothesis"),
    ("question", "sentence"),
)
LABELS = ("label", "score")
# The config's fields, and the command's, that name a column of another name.
FIELDS = {"text": "text_column", "pair": "pair_column", "label": "label_column"}


class Columns(NamedTuple):
    """Names of columns; None: not said, to be found by name."""

    text: str | None = None
    pair: str | None = None  # the second text
    label: str | None = None


def find_columns(header: Sequence[str], wanted: Columns, where: str) -> Columns:
    """The columns of a table by the names that are wanted, or else by usual names.

    Args:
      header: the names in the table.
      wanted: those that the user gave.
      where: the file, for errors.

    Returns:
      Text and label, and pair where there is a second text.

    Raises:
      UserError: a column is not there; says which fields name it.
    """
    text, pair = find_texts(header, wanted, where)
    label = wanted.label or next((name for name in LABELS if name in header), None)
    if label is None:
        raise _missing("label", LABELS, header, where)
    return Columns(text, pair, label)


def find_texts(header: Sequence[str], wanted: Columns, where: str) -> tuple[str, str | None]:
    """The columns of the text and, of a pair, of the second text; as `find_columns` does."""
    for kind, name in wanted._asdict().items():
        if name is not None and name not in header:
            near = nearest(name, list(header))
            raise UserError(f"{where}: no column `{name}` for {FIELDS[kind]}: {near}")
    if wanted.text is not None:
        return wanted.text, wanted.pair
    both = next((pair for pair in PAIRS if {*pair} <= {*header}), None)
    if both is not None and wanted.pair in (None, both[1]):
        return both
    text = next((name for name in TEXTS if name in header), None)
    if text is None:
        names = (*TEXTS, *(" + ".join(pair) for pair in PAIRS[:2]))
        raise _missing("text", names, header, where)
    return text, wanted.pair


def _missing(kind: str, names: Sequence[str], header: Sequence[str], where: str) -> UserError:
    return UserError(
        f"{where}: no column of the {kind}, such as {' or '.join(names)}, among "
        f"{', '.join(map(str, header))}: name it with data.{FIELDS[kind]} "
        f"(`--{FIELDS[kind].replace('_', '-')}` of `ee-jax data prepare`)"
    )
