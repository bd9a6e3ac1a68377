"""`ee-jax generate`: what it prints, and where."""

import json

import pytest

from ee_jax.cli import main


def test_text_alone_where_there_is_no_terminal_and_one_object_on_demand(
    exported, tmp_path, capsys
):
    line = ["generate", "--model", str(exported), "--prompt", "a cat", "--tokens", "9"]
    main(line)
    out, err = capsys.readouterr()
    assert err == ""
    file = tmp_path / "page.html"
    main([*line, "--threshold", "0.3", "--repeats", "1", "--json", "--page", str(file)])
    printed, _ = capsys.readouterr()
    record = json.loads(printed)
    assert len(record["generated"]) == 9
    assert record["speed"]["measured_speedup"] > 0
    assert file.read_text().startswith("<!doctype html>")
    main([*line, "--threshold", "1", "--repeats", "1", "--json"])
    full = json.loads(capsys.readouterr().out)
    assert out == f"a cat{full['text']}\n"


def test_a_terminal_sees_colours_and_numbers(exported, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLORTERM", "truecolor")
    monkeypatch.setenv("TERM", "xterm-256color")
    main(["generate", "--model", str(exported), "--prompt", "a cat", "--tokens", "5",
          "--repeats", "1"])  # fmt: skip
    out, err = capsys.readouterr()
    assert out.startswith("a cat\x1b[38;2;214;90;60m")
    assert "tokens/s" in out
    assert "every token runs all blocks: give a --threshold below 1" in " ".join(err.split())


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("--greedy --top-k 3", "--greedy takes the likeliest token: leave out"),
        ("--draft more", "argument --draft: 'more' is no whole number above 0, and not lookup"),
        ("--draft lookup --threshold 0.5", "--draft lookup chooses how much to draft: leave"),
        ("--draft 1 --policy copy", "--draft skips no block in the end: leave out --policy"),
        ("--temperature -1", "temperature -1.0: it is 0 (greedy) or above"),
        ("--top-p 2", "top_p 2.0: it is above 0"),
        ("--tokens 0", "argument --tokens: '0' is no whole number above 0"),
        ("--confidence margin", "--confidence does nothing without --threshold: give one"),
        ("--draft 1 --confidence margin", "--confidence does nothing without --threshold"),
        ("--policy copy", "--policy does nothing without --threshold: give one"),
        ("--page /nowhere/page.html", "--page /nowhere/page.html: give a file in a folder"),
        ("--page .", "--page .: give a file in a folder that is there"),
        ("--threshold 2", "--threshold 2.0: it is from 0 to 1"),
        ("--seed 4294967296", "argument --seed: '4294967296' is no whole number from 0 to"),
        ("--seed -1", "argument --seed: '-1' is no whole number from 0 to"),
    ],
)
def test_a_users_error_is_one_line_and_exit_status_2(exported, more, message, capsys):
    with pytest.raises(SystemExit) as left:
        main(["generate", "--model", str(exported), "--prompt", "a cat", *more.split()])
    assert left.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"ee-jax: {message}")
    assert err.count("\n") == 1
