"""`ee-jax chat`: turns from standard input, in a terminal and as JSON lines."""

import io
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time

import pytest

from ee_jax.cli import main
from ee_jax.display import plain
from ee_jax.models.language_source import CHAT_TEMPLATE
from tests.runs.generation.test_chat import TEMPLATE

LINES = "cat\n\n/threshold 0.3\na hat\n/nosuch\n/reset\nsat\n"


@pytest.fixture
def chatty(copied):
    (copied / CHAT_TEMPLATE).write_text(TEMPLATE)
    return copied


def chat(monkeypatch, folder, lines, *more):
    monkeypatch.setattr("sys.stdin", io.StringIO(lines))
    main(["chat", str(folder), "--tokens", "5", *more])


def test_a_json_line_a_turn(chatty, monkeypatch, capsys):
    chat(monkeypatch, chatty, LINES, "--json", "--seed", "3", "--temperature", "1")
    out, err = capsys.readouterr()
    assert err == ""
    first, threshold, second, wrong, reset, third = map(json.loads, out.splitlines())
    assert [turn["turn"] for turn in (first, second, third)] == [1, 2, 1]
    assert first["mean_depth"] == 3
    assert second["mean_depth"] < 3
    assert second["read_tokens"] < second["prompt_tokens"]
    assert len(first["generated"]) == 5
    assert first["text"] == "".join(token["text"] for token in first["generated"])
    assert threshold["said"].startswith("a token stops")
    assert wrong["user"] == "/nosuch"
    assert wrong["error"].startswith("no command /nosuch: there are /threshold, /full, ")
    assert reset["command"] == "/reset"
    chat(monkeypatch, chatty, LINES, "--json", "--seed", "3", "--temperature", "1")
    again = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert again[0]["text"] == first["text"]


def test_text_alone_where_there_is_no_terminal(chatty, monkeypatch, capsys):
    chat(monkeypatch, chatty, "cat\n")
    out, err = capsys.readouterr()
    assert "\x1b" not in out
    assert "5 tokens" in err
    chat(monkeypatch, chatty, "cat\n", "--json")
    assert plain(json.loads(capsys.readouterr().out)["text"], "\n\t") == out[:-1]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--threshold", "2"], "--threshold 2.0: it is from 0 to 1"),
        (["--draft", "3"], "the exit after all 3 blocks cannot draft"),
        (["--calibrated", "ltt 2 %"], "no calibration `ltt 2 %` in this run: there is none"),
        (["--temperature", "-1"], "temperature -1.0: it is 0 (greedy) or above"),
    ],
)
def test_a_users_error_is_one_line(chatty, monkeypatch, capsys, more, message):
    with pytest.raises(SystemExit) as left:
        chat(monkeypatch, chatty, "cat\n", *more)
    assert left.value.code == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith(f"ee-jax: {message}")


def test_a_model_without_a_template(copied, monkeypatch, capsys):
    with pytest.raises(SystemExit):
        chat(monkeypatch, copied, "cat\n")
    assert "has no chat template: give a model that was trained to chat" in (
        capsys.readouterr().err
    )


class Terminal:
    """A chat in a terminal of its own."""

    def __init__(self, folder, *more, **settings):
        self._end, other = pty.openpty()
        command = [sys.executable, "-c", "from ee_jax.cli import main; main()", "chat"]
        environment = {"TERM": "xterm-256color", "COLORTERM": "truecolor", **settings}
        self.process = subprocess.Popen(
            [*command, str(folder), *more], stdin=other, stdout=other, stderr=other,
            env={**os.environ, **environment}, start_new_session=True,
        )  # fmt: skip
        os.close(other)
        self.seen = ""

    def until(self, pattern, seconds=120):
        """What comes up to the next place where the pattern is."""
        end = time.monotonic() + seconds
        while not (found := re.search(pattern, self.seen)):
            ready, _, _ = select.select([self._end], [], [], max(0, end - time.monotonic()))
            assert ready, self.seen
            self.seen += os.read(self._end, 4096).decode(errors="replace")
        passed, self.seen = self.seen[: found.end()], self.seen[found.end() :]
        return passed

    def interrupt(self):
        """Ctrl-C until something comes up.

        One that comes between the prompt and the wait for a key is noted at the next key only
        (Python's `readline` looks for signals where its wait was interrupted).
        """
        ready = []
        for _ in range(20):
            if ready:
                return
            self.process.send_signal(signal.SIGINT)
            ready, _, _ = select.select([self._end], [], [], 5)
        assert ready, self.seen

    def type(self, text):
        """Types after the next prompt: what comes before it may be lost."""
        seen = self.until("> ")
        os.write(self._end, text.encode())
        return seen


def test_colours_an_interrupt_and_the_end(chatty):
    """Ctrl-C drops a line that is typed; Ctrl-D leaves with 0."""
    terminal = Terminal(chatty, "--tokens", "40", "--threshold", "0.3")
    terminal.type("cat\n")
    assert "\x1b[38;2;" in terminal.until("promised")
    terminal.until("> ")
    terminal.interrupt()
    terminal.type("/reset\n")
    terminal.until("forgotten")
    terminal.type("a\n")
    terminal.until("promised")
    terminal.type("\x04")
    assert terminal.process.wait(60) == 0


def test_no_colours_where_nobody_wants_them(chatty):
    terminal = Terminal(chatty, "--tokens", "4", NO_COLOR="1")
    terminal.type("cat\n")
    assert "\x1b[38;2;" not in terminal.until("own tokens")
    terminal.type("\x04")
    assert terminal.process.wait(60) == 0
