"""Tokens that came out of a decoder, each with its text and its depth, and the text of all."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from tokenizers import Tokenizer

from ee_jax.data.documents import Detokenizer
from ee_jax.inference.decode_loop import Generated

BEFORE = 8  # of a prompt's last tokens, whose text the next ones may go on with


class Token(NamedTuple):
    """A token that came out; speculation knows no depth and no confidence of one."""

    id: int
    name: str  # in the vocabulary
    text: str
    depth: int | None
    confidence: float | None


class TokenReader:
    """Reads the tokens of one row of what a decoder puts out, as they come."""

    def __init__(self, tokenizer: Tokenizer, layers: Sequence[int], prompt: Sequence[int]):
        self._tokenizer, self._layers = tokenizer, np.array(layers)
        self._pieces = Detokenizer(tokenizer, prompt[-BEFORE:])

    def of(
        self,
        ids: Sequence[int],
        exits: Iterable[int] | None = None,
        confidences: Iterable[float] | None = None,
    ) -> list[Token]:
        """The next tokens.

        Args:
          ids: theirs.
          exits: numbers of the exits that gave them, where that is known.
          confidences: of those exits, where they have any.
        """
        nothing = [None] * len(ids)
        depths = nothing if exits is None else self._layers[list(exits)].tolist()
        sure = nothing if confidences is None else list(confidences)
        names = [self._tokenizer.id_to_token(token) or "" for token in ids]
        return [*map(Token, ids, names, self._pieces.of(ids), depths, sure)]

    def row(self, out: Any, row: int, since: int, judged: bool = True) -> list[Token]:
        """Those that a decoder has put out in a row since it had so many.

        Args:
          out: of the decoder.
          row: which.
          since: how many are known.
          judged: whether its exits have confidences.
        """
        new = slice(since, int(out.length_B[row]))
        ids = out.ids_BN[row, new].tolist()
        if not isinstance(out, Generated):
            return self.of(ids)
        sure = out.confidence_BN[row, new].tolist() if judged else None
        return self.of(ids, out.exit_BN[row, new].tolist(), sure)


class GeneratedText(str):
    """A text, which knows the tokens that it came as.

    Attributes:
      tokens: each with its id, text, depth and confidence.
    """

    tokens: tuple[Token, ...]

    def __new__(cls, tokens: Sequence[Token]) -> "GeneratedText":
        """The text of the tokens."""
        text = super().__new__(cls, "".join(token.text for token in tokens))
        text.tokens = tuple(tokens)
        return text

    @property
    def depths(self) -> list[int | None]:
        """Blocks that each token ran; None where it was drafted and verified."""
        return [token.depth for token in self.tokens]

    @property
    def mean_depth(self) -> float | None:
        """Blocks a token, where their depths are known and there are any."""
        known = [depth for depth in self.depths if depth is not None]
        return float(np.mean(known)) if known else None
