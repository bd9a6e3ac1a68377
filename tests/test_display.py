"""What a person sees of long work."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ee_jax.display import JOINERS, UNSEEN, Display, plain


def test_brackets_are_part_of_a_line(capsys):
    Display().say("pip install '.[quickstart]'")
    assert capsys.readouterr().err == "pip install '.[quickstart]'\n"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 日本 👩\u200d👧", "plain é 日本 👩\u200d👧"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("a\u202eb\u2066c\u200bd", "a\\u202eb\\u2066c\\u200bd"),
        ("\ud800 \ufdd0 \ue000", "\\ud800 \\ufdd0 \\ue000"),
        ("a\nb\tc\rd", "a\\nb\\tc\\rd"),
    ],
)
def test_what_is_not_to_be_seen_is_escaped(text, shown):
    assert plain(text) == shown
    assert plain(plain(text)) == shown


@given(st.text())
def test_plain_text_has_nothing_that_a_terminal_obeys(text):
    shown = plain(text, "\n")
    unseen = [char for char in shown if unicodedata.category(char) in UNSEEN]
    assert {*unseen} <= {"\n", *JOINERS}
    if text.isprintable():
        assert shown == text


def test_a_bar_and_a_line_show_outside_text_escaped(capsys):
    display = Display()
    display.say("\x1b[2J[red]")
    with display.bar("\x1b[2J[red]", 1) as tick:
        tick("\x07")
    shown = capsys.readouterr().err
    assert "\x07" not in shown
    assert "\x1b[2J" not in shown
    assert "\\x1b[2J[red]" in shown


@pytest.mark.parametrize(
    ("every", "seen"), [(0.0, ["5/7 0:00:00, 0:00:00 left b", "6/7", "7/7"]), (60.0, ["7/7"])]
)
def test_without_a_terminal_progress_is_lines(capsys, every, seen):
    with Display(every=every).bar("train", 7, done=4) as tick:
        for note in ("b", "c", "d"):
            tick(note)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == len(seen)
    assert all(part in line for part, line in zip(seen, lines, strict=True))
    assert lines[-1].split() == ["train", "7/7", "0:00:00", "d"]
