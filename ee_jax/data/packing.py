"""Documents to rows of one static length, packed by grain.

All tokens are laid end to end, each document after a start token, and cut into rows: no row but
the last has padding, and a document goes on from row to row. Packing whole documents (grain's
first-fit) would keep them apart, but ours are longer than a row and would be cut all the same;
a token sees what stands before it in its row, a start token between documents.
"""

from collections.abc import Sequence

import grain
import numpy as np
from grain.experimental import ConcatThenSplitIterDataset

from ee_jax.data.text import TokenRow


def pack(documents: Sequence[TokenRow], length: int) -> list[TokenRow]:
    """Rows of `length` tokens, every token once and in order; the last may be shorter."""
    each = grain.MapDataset.source(documents).map(lambda ids: {"ids": ids})
    # In memory: grain's own threads would only fight over the interpreter.
    stream = each.to_iter_dataset(grain.ReadOptions(num_threads=0))
    packed = ConcatThenSplitIterDataset(stream, length_struct={"ids": length})
    return [_row(element["ids"], element["ids_segment_ids"]) for element in packed]


def _row(ids: np.ndarray, segments: np.ndarray) -> TokenRow:
    """Without what fills the row up, which grain marks by segment 0."""
    return ids[segments > 0].astype(np.int32)
