"""A finished run answers new texts: from Python and by the command, early and at full depth."""

import io
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

import ee_jax
from ee_jax.calibration.trace import Trace
from ee_jax.cli import main
from ee_jax.config import Evaluation, Exits, Frozen, OptimizerConfig
from ee_jax.data.prepared import open_split
from ee_jax.data.registry import DATASETS
from ee_jax.errors import UserError
from ee_jax.runs.run import run
from tests.runs.tiny_sentences import VERBS

TEXTS = ["read the file", "then save a line of text again", "end", "load text"]


@pytest.fixture(scope="module")
def model(finished):
    return ee_jax.load(finished / "joint")


def test_answers_are_those_of_the_runs_trace(finished, model, data):
    """At full depth every test text gets the full model's answer, whatever stands beside it."""
    examples = open_split("sentences", "test", data)
    trace = Trace.load(finished / "joint" / "traces" / "test.npz")
    answers = model(examples.texts)
    assert trace.prediction_NE is not None
    expected = [list(VERBS)[n] for n in trace.prediction_NE[:, -1]]
    assert [answer.label for answer in answers] == expected
    assert {answer.depth for answer in answers} == {2}
    sure = trace.confidence_NE[:, -1]
    np.testing.assert_allclose([a.confidence for a in answers], sure, atol=1e-5)
    np.testing.assert_allclose([a.probability for a in answers], sure, atol=1e-5)


def test_texts_stop_early_and_the_order_is_kept(model):
    early = model(TEXTS, threshold=0.0, batch=2)
    assert [answer.depth for answer in early] == [1] * 4
    assert [model([text], threshold=0.0)[0].label for text in TEXTS] == [a.label for a in early]
    mixed = model(TEXTS * 5, threshold=(0.5, 1.0), batch=4)
    for one, other in zip(mixed[:4], mixed[4:8], strict=True):
        assert one[:3:2] == other[:3:2]
        np.testing.assert_allclose(one[1::2], other[1::2], atol=1e-5)


def test_a_saved_model_answers_as_before(finished, model, tmp_path):
    """Its temperatures and the thresholds that were chosen for it are saved with it."""
    saved = ee_jax.load(ee_jax.save(model, tmp_path / "saved"))
    assert saved.choices == model.choices
    assert saved.exits == model.exits == (1, 2)
    assert saved(TEXTS, threshold=0.5) == model(TEXTS, threshold=0.5)
    with pytest.raises(UserError, match="holds something else than a model"):
        ee_jax.save(model, finished)


def test_logits_at_the_exits_are_a_pure_function(model):
    rows = [model.tokenizer.encode(text).ids for text in TEXTS]
    ids_BT = np.zeros((len(rows), max(map(len, rows))), np.int32)
    for to, row in zip(ids_BT, rows, strict=True):
        to[: len(row)] = row
    mask_BT = np.arange(ids_BT.shape[1]) < np.array([[len(row)] for row in rows])
    logits_EBC = jax.jit(model.apply)(model.parameters, ids_BT, mask_BT)
    assert logits_EBC.shape == (2, len(TEXTS), len(model.classes))
    for exit, threshold in enumerate((0.0, 1.0)):
        said = [model.classes[int(row.argmax())] for row in logits_EBC[exit]]
        assert said == [answer.label for answer in model(TEXTS, threshold)]


def test_what_it_did_is_counted(finished):
    fresh = ee_jax.load(finished / "joint")
    fresh(["read a file"] * 3, threshold=0.0)
    fresh(["read " * 40])
    work = fresh.work.summary(2)
    assert (work["texts"], work["mean_depth"], work["cut"]) == (4, 5 / 4, 1)
    assert 0 < work["share_of_flops"] < 1


def test_the_command_prints_a_line_for_each_text(finished, tmp_path, capsys):
    (tmp_path / "new.txt").write_text("\n".join(TEXTS) + "\n")
    chosen = json.loads((finished / "joint" / "calibration.json").read_text())["choices"][0]
    asked = [str(finished / "joint"), str(tmp_path / "new.txt")]
    main(["predict", *asked, "--calibrated", chosen["label"]])
    printed = capsys.readouterr()
    head, *lines = printed.out.splitlines()
    assert head == "label\tprobability\tdepth\tconfidence"
    expected = ee_jax.load(finished / "joint")(TEXTS, chosen["threshold"])
    assert [line.split("\t")[0] for line in lines] == [answer.label for answer in expected]
    assert printed.err.startswith("4 texts, ")
    assert "of the full model's FLOPs" in printed.err
    main(["predict", *asked, "--json", "--threshold", "0"])
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["depth"] for row in rows] == [1] * 4


@pytest.mark.parametrize("ending", ["tsv", "csv", "jsonl"])
def test_tables_go_in(finished, tmp_path, capsys, ending):
    path = tmp_path / f"new.{ending}"
    lines = {
        "tsv": ["id\tsentence", *(f"{n}\t{text}" for n, text in enumerate(TEXTS))],
        "csv": ["sentence,id", *(f"{text},{n}" for n, text in enumerate(TEXTS))],
        "jsonl": [json.dumps({"text": text}) for text in TEXTS],
    }
    path.write_text("\n".join(lines[ending]) + "\n")
    main(["predict", str(finished / "joint"), str(path)])
    assert len(capsys.readouterr().out.splitlines()) == 5


def test_standard_input_is_answered_as_it_comes(finished, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(TEXTS) + "\n"))
    main(["predict", str(finished / "joint"), "--batch", "2"])
    assert len(capsys.readouterr().out.splitlines()) == 5


def test_a_reader_that_has_seen_enough_gets_no_traceback(finished, tmp_path, start):
    (tmp_path / "new.txt").write_text("read a file\n" * 20_000)
    process = start("predict", finished / "joint", tmp_path / "new.txt", "--threshold", "0")
    assert process.stdout.readline().startswith("label")
    process.stdout.close()
    said = process.stderr.read()
    assert process.wait(timeout=120) == 141
    assert "Traceback" not in said
    assert "Broken pipe" not in said


def test_the_exported_config_names_the_classes(finished):
    config = json.loads((finished / "joint" / "model" / "config.json").read_text())
    assert config["id2label"] == {"0": "read", "1": "write", "2": "close"}
    assert config["label2id"] == {"read": 0, "write": 1, "close": 2}


def test_a_model_that_was_moved_answers_too(finished, model, tmp_path):
    moved = ee_jax.load(shutil.copytree(finished / "joint" / "model", tmp_path / "moved"))
    assert [a.label for a in moved(TEXTS)] == [a.label for a in model(TEXTS)]
    with pytest.raises(UserError, match="no calibration `ltt 2 %` in this run: there is none"):
        moved.threshold_of("ltt 2 %")


def test_a_regression_answers_with_its_score(deeper, tmp_path, monkeypatch):
    monkeypatch.setitem(DATASETS, "lengths", "tests.runs.tiny_sentences:Lengths")
    planned = replace(
        deeper,
        data=replace(deeper.data, name="lengths", folder=str(tmp_path / "data")),
        exits=Exits(confidence="saturation"),
        strategies=(Frozen(fit=OptimizerConfig(1.0, batch=16)),),
        evaluation=Evaluation(thresholds=(1.0,), batches=(2,), rounds=1),
    )
    run(planned, tmp_path / "run")
    (answer,) = ee_jax.load(tmp_path / "run")(["read a file"])
    assert isinstance(answer.label, float)
    assert answer.probability is None


def test_a_model_of_an_older_version_is_one_line(finished, tmp_path):
    """Its notes say nothing of the exit rule."""
    folder = Path(shutil.copytree(finished / "joint" / "model", tmp_path / "model"))
    notes = json.loads((folder / "exits.json").read_text())
    del notes["exits"]["rule"]
    (folder / "manifest.json").unlink()
    (folder / "exits.json").write_text(json.dumps(notes))
    with pytest.raises(UserError, match="does not say the exits' rule: train and export it"):
        ee_jax.load(folder)


def test_a_submission_to_glue(finished, tmp_path, capsys):
    """The model's notes say that it was trained on CoLA."""
    folder = Path(shutil.copytree(finished / "joint" / "model", tmp_path / "model"))
    notes = json.loads((folder / "exits.json").read_text())
    (folder / "manifest.json").unlink()
    notes |= {"data": "glue/cola", "classes": ["unacceptable", "acceptable", "acceptable"]}
    (folder / "exits.json").write_text(json.dumps(notes))
    test = tmp_path / "test.tsv"
    test.write_text("index\tsentence\n" + "".join(f'{n}\t"{t}\n' for n, t in enumerate(TEXTS)))
    main(["predict", str(folder), str(test), "--submission"])
    head, *lines = capsys.readouterr().out.splitlines()
    assert head == "index\tprediction"
    assert [line.split("\t")[0] for line in lines] == ["0", "1", "2", "3"]
    assert {line.split("\t")[1] for line in lines} <= {"0", "1"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{run}", "new.txt"], r"has several trained models: give .*frozen or .*joint"),
        (["nowhere", "new.txt"], "no folder nowhere: give that of a run"),
        (["{tmp}", "new.txt"], "holds no trained model: finish its run"),
        (["{run}/joint", "old.txt"], "no file old.txt: give a file of texts, or -"),
        (["{run}/joint", "{tmp}/empty.txt"], r"empty\.txt holds no text"),
        (["{run}/joint", "{tmp}/gap.txt"], r"gap\.txt:2: an empty line"),
        (["{run}/joint", "{tmp}/bytes.txt"], r"bytes\.txt:2: not UTF-8 text"),
        (["{run}/joint", "{tmp}/odd.tsv"], r"odd\.tsv: no column of the text, such as"),
        (["{run}/joint", "{tmp}/gap.txt", "--threshold", "2"], "it is from 0 to 1"),
        (["{run}/joint", "{tmp}/gap.txt", "--calibrated", "empirical 5%"],
         "no calibration `empirical 5%` in this run: did you mean `empirical 5 %`"),
        (["{run}/joint", "{tmp}/gap.txt", "--submission"],
         "a submission is of a task of GLUE, and the model of `sentences`"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(finished, tmp_path, capsys, arguments, message):
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "gap.txt").write_text("a\n\nb\n")
    (tmp_path / "bytes.txt").write_bytes(b"a\n\xff\n")
    (tmp_path / "odd.tsv").write_text("words\na\n")
    words = [word.format(run=finished, tmp=tmp_path) for word in arguments]
    with pytest.raises(SystemExit) as stop:
        main(["predict", *words])
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert re.search(message, said)
    assert said.count("\n") == 1
