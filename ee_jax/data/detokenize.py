"""Tokens back to text, as they come."""

from collections.abc import Sequence

from tokenizers import Tokenizer

BROKEN = "\N{REPLACEMENT CHARACTER}"  # what a part of a character is decoded to


class Detokenizer:
    """The text of each token after a prompt; all of it together is the text that follows.

    A character may take several tokens. It is the last one's text, and that of those before it
    is empty, as is that of special tokens. The `DecodeStream` of `tokenizers` would do, but
    raises where bytes turn out to be no text, as untrained models write them.
    """

    def __init__(self, tokenizer: Tokenizer, prompt: Sequence[int]):
        self._tokenizer = tokenizer
        # What the last token of the prompt begins, such as a word, the next one goes on with.
        self._ids = list(prompt)
        self._shown = len(tokenizer.decode(self._ids))

    def of(self, ids: Sequence[int]) -> list[str]:
        """The text of the next tokens; what ends within a character stays back."""
        return [self._next(token) for token in ids]

    def _next(self, token: int) -> str:
        self._ids.append(token)
        text = self._tokenizer.decode(self._ids)
        if text.endswith(BROKEN):
            return ""
        piece, self._shown = text[self._shown :], max(self._shown, len(text))
        return piece
