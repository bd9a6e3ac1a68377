"""Strings that end an answer, in a text that comes piece by piece."""

from collections.abc import Sequence


class StopStrings:
    """Lets through what cannot be the beginning of a stop, and nothing from the first one on.

    Attributes:
      over: whether a stop has come.
    """

    def __init__(self, stops: Sequence[str]):
        self._stops = [stop for stop in stops if stop]
        self._held = ""  # what may be the beginning of one
        self.over = False

    def take(self, text: str) -> str:
        """What may be said of the text so far that has not been said.

        Args:
          text: the next piece; after the end it is ignored.
        """
        if self.over:
            return ""
        text, self._held = self._held + text, ""
        places = [text.index(stop) for stop in self._stops if stop in text]
        if places:
            self.over = True
            return text[: min(places)]
        kept = max((_begun(text, stop) for stop in self._stops), default=0)
        said, self._held = text[: len(text) - kept], text[len(text) - kept :]
        return said

    def rest(self) -> str:
        """What was held back, once no more text comes."""
        held, self._held = self._held, ""
        return held


def _begun(text: str, stop: str) -> int:
    """Characters at the end of the text with which a stop begins, as many as there can be."""
    longest = min(len(text), len(stop) - 1)
    return next((n for n in range(longest, 0, -1) if text.endswith(stop[:n])), 0)
