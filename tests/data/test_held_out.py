"""Held-out rows: no text of theirs stands in a training text."""

import hashlib
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from ee_jax.data.held_out import SHARES, held_out

# Few words, so that many texts hold others.
texts = st.lists(st.sampled_from("abcde"), min_size=1, max_size=5).map(" ".join)
rows = st.lists(st.tuples(texts, st.integers(0, 1)), max_size=60)


def holds(text: str, part: str) -> bool:
    """Whether `part` is some of the words of `text`, said in another way."""
    return f" {part} " in f" {text} "


def point(text: str) -> int:
    return int(hashlib.sha256(text.encode()).hexdigest(), 16) % 1000


def by_hand(text: str, texts: set[str]) -> str:
    """The split of a text by the definition: 0..29, 30..104, 105..999, the last one wins."""
    sentences = [
        other
        for other in texts
        if holds(other, text) and not any(holds(o, other) for o in texts - {other})
    ]
    largest = max(point(sentence) for sentence in sentences)
    return "validation" if largest < 30 else "calibration" if largest < 105 else "train"


@given(rows)
def test_every_row_is_where_the_definition_puts_it(rows):
    splits = held_out(rows)
    assert list(splits) == list(SHARES)
    assert Counter(row for found in splits.values() for row in found) == Counter(rows)
    different = {text for text, _ in rows}
    for split, found in splits.items():
        assert all(by_hand(text, different) == split for text, _ in found)
        hashes = [hashlib.sha256(text.encode()).hexdigest() for text, _ in found]
        assert hashes == sorted(hashes)


def test_phrases_follow_their_sentence():
    numbered = [f"film number {n} is long" for n in range(200)]
    rows = [(text, 1) for text in numbered]
    rows += [(f"number {n}", 0) for n in range(200)] + [("is long", 1)]
    splits = held_out(rows)
    for split, found in splits.items():
        sentences = {text for text, _ in found if text.startswith("film")}
        phrases = {text for text, _ in found if text.startswith("number")}
        assert {text.split()[2] for text in sentences} == {t.split()[1] for t in phrases}
        assert (("is long", 1) in found) == (split == "train")  # it stands in training texts
    assert min(len(found) for found in splits.values()) > 2


def test_spaces_within_a_text_do_not_matter():
    splits = held_out([("a  b c", 1), ("b c", 0)])
    assert sorted(map(len, splits.values())) == [0, 0, 2]


def test_shares_are_thousandths():
    assert sum(SHARES.values()) == 1000
    singles = [(f"w{n}", 0) for n in range(20_000)]
    for split, found in held_out(singles).items():
        share = SHARES[split] / 1000
        # Hash values are uniform: five standard deviations of a binomial share.
        assert abs(len(found) / 20_000 - share) < 5 * (share * (1 - share) / 20_000) ** 0.5
