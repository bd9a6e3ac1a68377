"""Command lines of generated words: status 0 or 2, and of an error one line."""

import json
import os
import time

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ee_jax.calibration.trace import Trace
from ee_jax.cli import main
from tests.data.test_own_sources import ROWS, write_tsv
from tests.generated import EXAMPLES, SECONDS, altered
from tests.report.conftest import RESULTS


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a file of every kind that the commands read."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EE_JAX_DATA", str(tmp_path / "data"))
    write_tsv(tmp_path / "rows.tsv", ["text", "label"], ROWS)
    (tmp_path / "bad.tsv").write_bytes(b'text\tlabel\n"a\t\xff\n')
    (tmp_path / "lines.txt").write_text("one\ntwo\n")
    (tmp_path / "config.py").write_text("def get_config():\n    return 3\n")
    (tmp_path / "study.py").write_text("STUDY = 3\n")
    for name, content in (("run", RESULTS), ("odd", RESULTS | {"metrics": 5})):
        (tmp_path / name).mkdir()
        (tmp_path / name / "results.json").write_text(json.dumps(content))
    rng = np.random.default_rng(0)
    confidence_NE = rng.random((40, 2), np.float32)
    wrong_NE = (rng.random((40, 2)) < (0.5, 0)).astype(int)
    trace = Trace(confidence_NE, wrong_NE.astype(float), np.array([1, 2]), wrong_NE)
    trace.save(tmp_path / "trace.npz")
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "round").symlink_to("round")
    return tmp_path


FILES = st.sampled_from(
    ["rows.tsv", "bad.tsv", "lines.txt", "config.py", "study.py", "run", "odd", "trace.npz",
     "link",
     "round", ".", "nowhere/x", "~nobody_of_that_name/x.tsv", "", "a b", "\x1b[2J", "\udcff",
     "x" * 300,
     "glue/sst2", "glue/sts", "text/x", "text/", "a.b:c", ":", "run/results.json", "rows.tsv/x"]
)  # fmt: skip
VALUES = st.sampled_from(
    ["0", "1", "2", "-1", "0.5", "nan", "inf", "-inf", "1e999", "9" * 30, "9" * 5000,
     str(2**31),
     "", "x", "ltt", "crc", "conformal", "naive", "greedy", "pareto", "gap", "consistency",
     "harm",
     "text", "label", "sst2,cola", ",", "0,1", "ltt 2 %", "--", "-x", "\n", "--json=1"]
)  # fmt: skip
COMMANDS = {
    "data prepare": ["--manual-dir", "--text-column", "--pair-column", "--label-column",
                     "--json"],
    "compile": ["--target", "--json", "--seed"],
    "devices": ["--json"],
    "predict": ["--threshold", "--calibrated", "--batch", "--text-column", "--submission"],
    "compare": ["--tolerance", "--calibration", "--json"],
    "check": ["--json"],
    "calibrate": ["--method", "--depth", "--risk", "--level", "--delta", "--per-exit",
                  "--min-depth",
                  "--patience", "--trials", "--share", "--seed", "--json"],
    "reproduce": ["--backbone", "--tasks", "--seeds", "--manual-dir", "--seed", "--exits.head"],
}  # fmt: skip


@st.composite
def lines(draw):
    command = draw(st.sampled_from(sorted(COMMANDS)))
    words = draw(st.lists(FILES, max_size=2))
    for option in draw(st.lists(st.sampled_from(COMMANDS[command]), max_size=3)):
        word = draw(VALUES | FILES)
        words += draw(st.sampled_from([[option, word], [f"{option}={word}"], [option]]))
    return [*command.split(), *words]


def status_of(words):
    """What the command leaves with."""
    try:
        main(words)
    except SystemExit as left:
        return left.code
    return 0


@EXAMPLES
def test_command_lines(folder, examples, capsys):
    before = {path.name for path in folder.iterdir()}

    @settings(max_examples=examples)
    @example(["data", "prepare", "~nobody_of_that_name/x.tsv"])
    @example(["predict", "~nobody_of_that_name/x"])
    @example(["calibrate", "trace.npz", "--trials", "9" * 30])
    @example(["calibrate", "trace.npz", "--trials", "9" * 5000])
    @example(["calibrate", "trace.npz", "--level", "nan"])
    @example(["compare", "run", "--tolerance", "nan"])
    @example(["predict", "nowhere", "--batch", str(2**31 - 1)])
    @example(["reproduce", "study.py", "--backbone", "x", "--seeds", "9" * 5000])
    @example(["bench", "loop", "--repeats", "1" + "0" * 30])
    @given(lines())
    def body(words):
        start = time.perf_counter()
        status = status_of(words)
        assert time.perf_counter() - start < SECONDS
        out, err = capsys.readouterr()
        assert status in (0, 2) or (words[0] == "check" and status == 1)
        if status == 2:
            assert out == ""
            assert err.startswith("ee-jax: ")
            assert err.count("\n") == 1
            assert err[:-1].isprintable()
            assert len(err) < 1000
        os.chdir(folder)

    body()
    made = {path.name for path in folder.iterdir()} - before
    assert all(name == "data" or name.startswith("trace-") for name in made)


@EXAMPLES
def test_compared_results(folder, examples, capsys):
    """Two runs, one of them with faults, as a table and as JSON."""

    @settings(max_examples=examples)
    @given(altered(RESULTS), st.booleans())
    def body(content, as_json):
        (folder / "odd" / "results.json").write_text(json.dumps(content))
        status = status_of(["compare", "run", "odd", *(["--json"] if as_json else [])])
        out, err = capsys.readouterr()
        if status == 2:
            assert err.count("\n") == 1
        else:
            assert (status, "quickstart" in out) == (0, True)
            assert not as_json or len(json.loads(out)["rows"]) >= 2

    body()
