"""Generated command lines and tokenizers: one line of error, or the programs are compiled."""

import json

from hypothesis import example, given, settings
from hypothesis import strategies as st

from ee_jax.cli import main
from ee_jax.data.text import load_tokenizer
from ee_jax.inference import generator
from tests.generated import EXAMPLES, damaged, outcome

NUMBERS = st.sampled_from(
    ["0", "1", "2", "3", "9", "48", "-1", "0.5", "1.5", "nan", "inf", "-inf", "1e-300", "1e400",
     "9" * 40, "4294967296", "", " ", "a", "٣", "0x1", "1_0"]
)  # fmt: skip
NAMES = st.sampled_from(
    ["max_prob", "entropy", "learned", "saturation", "voting", "patience", "propagate", "copy",
     "recompute", "nosuch", "", "\n"]
)  # fmt: skip
OPTIONS = st.dictionaries(
    st.sampled_from(
        ["--tokens", "--seed", "--repeats", "--threshold", "--draft", "--temperature",
         "--top-k", "--top-p", "--confidence", "--policy", "--nosuch"]
    ),
    NUMBERS | NAMES,
    max_size=4,
)  # fmt: skip
TEXTS = st.text(max_size=5) | st.sampled_from(
    ["a cat", "a " * 60, "\udcff", "\x00", "<|start|>"]
)


# Said of a table of speeds that was asked for, before the prompt is measured.
NOTE = "every token runs all blocks: give a --threshold below 1, or --draft"


class CompiledError(Exception):
    """What was asked is taken for right."""


@EXAMPLES
def test_command_lines(exported, monkeypatch, capsys, examples):
    def compiled(*_, **__):
        raise CompiledError

    monkeypatch.setattr(generator, "Program", compiled)

    @settings(max_examples=examples)
    @example("\udcff", {}, [])
    @example("", {}, [])
    @example("", {"--nosuch": "\n"}, [])  # quoted in a line
    @example("a cat", {"--temperature": "1e-300"}, [])
    @example("a cat", {"--threshold": "0.5", "--confidence": "voting"}, [])
    @given(TEXTS, OPTIONS, st.lists(st.sampled_from(["--greedy", "--json", "x"]), max_size=1))
    def body(prompt, options, flags):
        line = ["generate", f"--model={exported}", f"--prompt={prompt}"]
        line += [f"{name}={value}" for name, value in options.items()] + flags
        status = None
        try:
            main(line)
        except CompiledError:
            return
        except SystemExit as left:
            status = left.code
        out, err = capsys.readouterr()
        assert (status, out) == (2, "")
        *notes, said = err.splitlines()
        assert said.startswith("ee-jax: ")
        assert notes in ([], [NOTE])

    body()


@EXAMPLES
def test_tokenizers(exported, tmp_path, examples):
    path, content = tmp_path / "tokenizer.json", (exported / "tokenizer.json").read_bytes()
    whole = json.loads(content)
    changes = st.dictionaries(
        st.sampled_from(sorted(whole)), st.none() | st.integers() | st.just({}) | st.just([])
    )

    @settings(max_examples=examples)
    @given(damaged(content) | changes.map(lambda change: json.dumps(whole | change).encode()))
    def body(content):
        path.write_bytes(content)
        outcome(load_tokenizer, tmp_path)

    body()
