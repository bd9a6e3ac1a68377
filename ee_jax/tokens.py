"""A batch of token rows: what a data pipeline gives and a backbone reads."""

from typing import Any, NamedTuple


class Tokens(NamedTuple):
    """B rows padded to T tokens, on the host or on a device; B leads every array."""

    ids_BT: Any  # int: numbers in the vocabulary
    mask_BT: Any  # bool: True for a token of the row, False for padding
    types_BT: Any = None  # int: 1 for the second text of a pair; None: all 0
