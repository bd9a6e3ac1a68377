"""Held-out rows: where the definitions put them, and apart from the training rows."""

import hashlib
from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ee_jax.data.held_out import SHARES, by_pair, by_sentence, by_shared_text, held_out

# Few words, so that many texts hold others.
texts = st.lists(st.sampled_from("abcde"), min_size=1, max_size=5).map(" ".join)
rows = st.lists(st.tuples(texts, st.integers(0, 1)), max_size=60)


def holds(text: str, part: str) -> bool:
    """Whether `part` is some of the words of `text`, said in another way."""
    return f" {part} " in f" {text} "


def point(text: str) -> int:
    return int(hashlib.sha256(text.encode()).hexdigest(), 16) % 1000


def split_at(point: int) -> str:
    return "validation" if point < 30 else "calibration" if point < 105 else "train"


def by_hand(text: str, texts: set[str]) -> str:
    """The split of a text by the definition: 0..29, 30..104, 105..999, the last one wins."""
    sentences = [
        other
        for other in texts
        if holds(other, text) and not any(holds(o, other) for o in texts - {other})
    ]
    return split_at(max(point(sentence) for sentence in sentences))


@given(rows)
def test_every_row_is_where_the_definition_puts_it(rows):
    splits: dict[str, list[Any]] = held_out(rows, by_sentence)
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
    splits: dict[str, list[Any]] = held_out(rows, by_sentence)
    for split, found in splits.items():
        sentences = {text for text, _ in found if text.startswith("film")}
        phrases = {text for text, _ in found if text.startswith("number")}
        assert {text.split()[2] for text in sentences} == {t.split()[1] for t in phrases}
        assert (("is long", 1) in found) == (split == "train")  # it stands in training texts
    assert min(len(found) for found in splits.values()) > 2


def test_spaces_within_a_text_do_not_matter():
    splits = held_out([("a  b c", 1), ("b c", 0)], by_sentence)
    assert sorted(map(len, splits.values())) == [0, 0, 2]


def test_shares_are_thousandths():
    assert sum(SHARES.values()) == 1000
    singles = [(f"w{n}", 0) for n in range(20_000)]
    for split, found in held_out(singles, by_sentence).items():
        share = SHARES[split] / 1000
        # Hash values are uniform: five standard deviations of a binomial share.
        assert abs(len(found) / 20_000 - share) < 5 * (share * (1 - share) / 20_000) ** 0.5


# Two texts of a few, so that many pairs share one.
pairs = st.tuples(st.sampled_from("abcdefgh"), st.sampled_from("stuvwxyz"))


def hang_together(pair: tuple[str, str], pairs: list[tuple[str, str]]) -> set[tuple[str, str]]:
    """The pairs that share a text with `pair`, those that share one with them, and so on."""
    found, before = {pair}, set()
    while found != before:
        before, texts = found, {text for each in found for text in each}
        found = {other for other in pairs if texts & set(other)}
    return found


@given(st.lists(st.tuples(pairs, st.integers(0, 1)), min_size=1, max_size=12))
def test_pairs_that_share_texts_are_where_their_first_text_is(few):
    # Enough others that none of the few is more than 1 % of all.
    others = [((f"{n}", f"{n}'"), 0) for n in range(1_200)]
    splits = held_out([*few, *others], by_shared_text)
    split_of = {text: split for split, rows in splits.items() for text, _ in rows}
    assert sum(map(len, splits.values())) == len(few) + len(others)
    few_pairs = [pair for pair, _ in few]
    for pair in few_pairs:
        texts = {text for each in hang_together(pair, few_pairs) for text in each}
        assert split_of[pair] == split_at(point(min(texts)))


def test_no_text_is_in_two_splits_and_a_large_group_is_trained_on():
    chains = [((f"{n}", f"{n // 3} of three"), 0) for n in range(600)]
    # The first name of the group, found by trying, would be held out.
    name = next(
        name for name in (f"!{n}" for n in range(200)) if split_at(point(name)) != "train"
    )
    for size, split in ((6, split_at(point(name))), (7, "train")):
        star = [((name, f"ray {n}"), 1) for n in range(size)]
        splits = held_out([*chains, *star], by_shared_text)
        assert all(row in splits[split] for row in star)
        texts = [{text for pair, _ in rows for text in pair} for rows in splits.values()]
        assert sum(map(len, texts)) == len(set().union(*texts))
        assert min(map(len, texts)) > 0


def test_pairs_are_held_out_one_by_one_whichever_text_is_first():
    rows = [((f"{n}", "shared"), 0) for n in range(2_000)]
    splits = held_out(rows, by_pair)
    for split, found in splits.items():
        share = SHARES[split] / 1000
        assert abs(len(found) / 2_000 - share) < 5 * (share * (1 - share) / 2_000) ** 0.5
    again = held_out([((second, first), 0) for (first, second), _ in rows], by_pair)
    for split, found in splits.items():
        turned = {(second, first) for (first, second), _ in again[split]}
        assert {pair for pair, _ in found} == turned
    assert all(split_at(point("\t".join(sorted(p)))) == "train" for p, _ in splits["train"])
