"""JSON that commands read, of generated faults: refused with file and field, or fit for use."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings

from ee_jax.calibration.risks import RISKS
from ee_jax.calibration.trace import Trace
from ee_jax.config import Exits
from ee_jax.data.dataset_dir import DatasetDir
from ee_jax.data.prepared import open_at, prepare_at
from ee_jax.errors import UserError
from ee_jax.report.compare import comparison
from ee_jax.report.record import record_figure, record_table
from ee_jax.report.render import to_terminal
from ee_jax.reproduce.paper import load_paper
from ee_jax.results import read_results, to_json
from ee_jax.runs.calibrate import Request, calibrate
from ee_jax.tasks.calibrator import check_exits, load_record, recorded
from tests.data.test_own_sources import ROWS, write_tsv
from tests.generated import EXAMPLES, altered, damaged, outcome
from tests.report.conftest import RESULTS, made

EXPERIMENTS = Path(__file__).parents[1] / "experiments"
FULL = to_json(made(copy.deepcopy(RESULTS)))  # every field there is, by name
DEEP = "[" * 100_000 + "]" * 100_000


def texts(content):
    """The JSON of content with faults, or its text with some."""
    whole = json.dumps(content)
    return altered(content).map(json.dumps) | damaged(whole.encode()).map(
        lambda raw: raw.decode(errors="replace")
    )


def says(error, path):
    assert str(error).startswith((f"{path}", f"data set `{path}`", f"no record at {path}"))


@EXAMPLES
def test_results(tmp_path, examples):
    path = tmp_path / "results.json"

    @settings(max_examples=examples)
    @example(DEEP)
    @example("[1]")
    @example(json.dumps(FULL | {"metrics": []}))
    @example(json.dumps(FULL | {"metrics": "accuracy"}))
    @example(json.dumps(FULL | {"strategies": {}}))
    @example(json.dumps(FULL | {"model": {}}))
    @example(json.dumps(FULL | {"model": {"blocks": "6"}}))
    @example(json.dumps(FULL | {"data": FULL["data"] | {"checksum": [1]}}))
    @example(json.dumps(FULL | {"data": FULL["data"] | {"checksum": {"test": None}}}))
    @example(json.dumps(FULL | {"seconds": {"total": float("nan")}}))
    @example(json.dumps(FULL).replace("0.83", "1e999"))
    @example(json.dumps(FULL).replace("0.83", '"0.83"'))
    @example(json.dumps(FULL).replace("0.83", "9" * 5000))
    @given(texts(FULL))
    def body(text):
        path.write_text(text, encoding="utf-8")
        found = outcome(read_results, tmp_path)
        if isinstance(found, UserError):
            says(found, path)
            return
        both = outcome(comparison, [found, made(copy.deepcopy(RESULTS))])
        if not isinstance(both, UserError):
            to_terminal(both)

    body()


@pytest.fixture
def record(tmp_path):
    rng = np.random.default_rng(0)
    confidence_NE = rng.random((60, 2), np.float32)
    wrong_NE = (rng.random((60, 2)) < (0.5, 0) * (1 - confidence_NE)).astype(int)
    header = {"model": "joint", "temperatures": [1.0, 1.0], "confidence": "max_prob"}
    columns = (confidence_NE, wrong_NE.astype(float), np.array([1, 2]), wrong_NE)
    Trace(*columns, np.zeros(60, int), header).save(tmp_path / "trace.npz")
    return calibrate(tmp_path / "trace.npz", Request(level=0.3, delta=0.1), trials=10)


@EXAMPLES
def test_calibration_records(tmp_path, record, examples):
    path = tmp_path / "record.json"
    of = {"choice": record["choice"], "header": record["header"]}
    faults = altered(of).map(lambda parts: json.dumps(record | parts)) | texts(record)
    header = record["header"]

    @settings(max_examples=examples)
    @example(DEEP)
    @example(json.dumps(record | {"header": header | {"temperatures": "warm"}}))
    @example(json.dumps(record | {"header": header | {"temperatures": [[1.0], None]}}))
    @example(json.dumps(record | {"header": header | {"temperatures": [1.0]}}))
    @example(json.dumps(record | {"header": header | {"temperatures": [10**400, 1]}}))
    @example(json.dumps(record | {"choice": record["choice"] | {"level": "much"}}))
    @example(json.dumps(record | {"choice": {"threshold": 0.5}}))
    @example(json.dumps(record | {"exit_layers": []}))
    @given(faults)
    def body(text):
        path.write_text(text, encoding="utf-8")
        found = outcome(load_record, path)
        if isinstance(found, UserError):
            says(found, path)
            return
        outcome(check_exits, found, (1, 2), Exits())
        if len(found["exit_layers"]) == 2:
            assert recorded(found, "joint", np.ones(2)).label.startswith("recorded ")

    body()


PAPER = json.loads((EXPERIMENTS / "berxit" / "paper.json").read_text())
SMALL = PAPER | {"tables": [PAPER["tables"][0] | {"cells": PAPER["tables"][0]["cells"][:2]}]}


@EXAMPLES
def test_papers(tmp_path, examples):
    path = tmp_path / "paper.json"

    @settings(max_examples=examples)
    @example(DEEP)
    @example(json.dumps(SMALL | {"tables": "abc"}))
    @example(json.dumps(SMALL | {"tables": ["abc"]}))
    @example(json.dumps(SMALL | {"notes": "abc"}))
    @example(json.dumps(SMALL | {"name": 5}))
    @given(texts(SMALL))
    def body(text):
        path.write_text(text, encoding="utf-8")
        found = outcome(load_paper, path)
        if isinstance(found, UserError):
            says(found, path)
            return
        assert all(isinstance(part, str) for part in (found.name, found.title, *found.notes))
        for cell in found.cells:
            shown = (found.value(cell), found.difference(cell), cell.saved_share)
            assert all(each is None or np.isfinite(each) for each in shown)

    body()


@EXAMPLES
def test_what_is_written_beside_prepared_rows(tmp_path, examples):
    table = write_tsv(tmp_path / "rows.tsv", ["text", "label"], ROWS)
    directory = DatasetDir.of(str(table), tmp_path / "data")
    whole = prepare_at(directory)
    path = directory.folder / "rows.json"
    content = json.loads(path.read_text())

    @settings(max_examples=examples)
    @example(DEEP)
    @example(json.dumps(content | {"source": 5}))
    @example(json.dumps(content | {"classes": [1, 2]}))
    @given(texts(content))
    def body(text):
        path.write_text(text, encoding="utf-8")
        found = outcome(directory.load)
        if not isinstance(found, UserError) and "train" in found.splits:
            rows = outcome(open_at, directory, "train")
            assert isinstance(rows, UserError) or found.splits["train"] == whole.splits["train"]

    body()


def test_a_registered_risk_in_a_record(record, monkeypatch):
    """Table and figure of a risk of one's own, which is known by its name."""
    monkeypatch.setitem(RISKS, "harm", RISKS["gap"])
    record["choice"]["risk"] = "harm"
    lines = {row["name"]: row["value"] for row in record_table(record).rows}
    assert lines["risk"] == "harm: loss beyond the full model's"
    record_figure(record)
