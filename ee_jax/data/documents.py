"""Plain text to documents, and documents to splits.

A document is a run of whole paragraphs of `LEAST` characters or more: long enough that the rows
of a language model lie inside one, short enough that many of them can be told apart into
splits by their hashes. The documents of a file, joined, are the file. Where that gives a split
none, text is cut finer, after single lines, only so far that every split has some.

Tokens back to text, as they come.
"""

import re
from collections.abc import Mapping, Sequence

from tokenizers import Tokenizer

from ee_jax.data.held_out import split_of

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


LEAST = 4096  # characters
# Of 100 hash values, how many go to each split.
SHARES = {"validation": 5, "test": 5, "train": 90}
# How the names of files say their split.
SPLIT_NAMES = {
    "train": "train",
    "valid": "validation",
    "validation": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
}
BLANK, LINE = r"\n[ \t]*\n\s*", r"\n\s*"
# How finely text is cut, in characters and after what; the first that leaves no split empty.
CUTS = ((LEAST, BLANK), (LEAST, LINE), (LEAST // 8, LINE), (LEAST // 64, LINE), (1, LINE))

Splits = dict[str, list[tuple[str, int]]]  # of each split, documents and numbers of their files


def documents(text: str, least: int = LEAST, after: str = BLANK) -> list[str]:
    """The text cut after blank lines, or what else, at most once in `least` characters."""
    found, start = [], 0
    for match in re.finditer(after, text):
        if match.end() - start >= least:
            found.append(text[start : match.end()])
            start = match.end()
    return [part for part in (*found, text[start:]) if part.strip()]


def split_of_name(name: str) -> str | None:
    """The split that a file's name speaks of: `wiki.valid.txt` is of `validation`."""
    words = re.split(r"[^a-z]+", name.lower())
    found = {SPLIT_NAMES[word] for word in words if word in SPLIT_NAMES}
    return found.pop() if len(found) == 1 else None


def splits_of(files: Mapping[str, str | Sequence[str]]) -> Splits:
    """Document and number of its file, in order, for each split.

    Where every file's name speaks of a split, and train and test are both there, names decide,
    and a missing validation split is taken from train by hash. Else hashes decide.

    Args:
      files: the text of each file by its name, or its documents, where they are apart already.
    """
    splits: Splits = {}
    for least, after in CUTS:
        splits = _splits_of(files, least, after)
        if all(splits.values()):
            break
    return splits


def _splits_of(files: Mapping[str, str | Sequence[str]], least: int, after: str) -> Splits:
    named = {name: split_of_name(name) for name in files}
    by_name = {"train", "test"} <= set(named.values()) and None not in named.values()
    held_out = {"validation"} - set(named.values())
    splits: Splits = {split: [] for split in SHARES}
    for number, (name, text) in enumerate(files.items()):
        texts = [text] if isinstance(text, str) else text
        for document in (part for each in texts for part in documents(each, least, after)):
            split, by_hash = named[name] if by_name else None, split_of(document, SHARES)
            if split is None or (split == "train" and by_hash in held_out):
                split = by_hash
            splits[split].append((document, number))
    return splits
