"""Texts to splits by their hashes: of all hash values, each split has its share.

The hash of a text decides alone, so a text is in the same split whatever else there is.
"""

import hashlib
from bisect import bisect_right
from collections.abc import Mapping
from itertools import accumulate

Shares = Mapping[str, int]  # of hash values, how many go to each split, in turn


def split_of(text: str, shares: Shares) -> str:
    """The split of a text."""
    return split_at(hash_value(text, shares), shares)


def hash_value(text: str, shares: Shares) -> int:
    """The hash of a text as one of as many values as there are shares."""
    return int(sha256(text), 16) % sum(shares.values())


def split_at(value: int, shares: Shares) -> str:
    """The split that a hash value goes to."""
    return list(shares)[bisect_right(list(accumulate(shares.values())), value)]


def sha256(text: str) -> str:
    """In hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()
