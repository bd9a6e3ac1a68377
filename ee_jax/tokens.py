"""A batch of token rows: what a data pipeline gives and a backbone reads."""

from typing import Any, NamedTuple


class Tokens(NamedTuple):
    """B rows padded to T tokens, on the host or on a device; B leads every array."""

    ids_BT: Any  # int: numbers in the vocabulary
    mask_BT: Any  # bool: True for a token of the row, False for padding
    types_BT: Any = None  # int: 1 for the second text of a pair; None: all 0
    source: Any = None  # Tokens of the texts that an encoder reads, one a row; None: of none

    def before_last(self) -> "Tokens":
        """The rows without their last column: what all but the first is predicted from."""
        return self._replace(ids_BT=self.ids_BT[:, :-1], mask_BT=self.mask_BT[:, :-1])
