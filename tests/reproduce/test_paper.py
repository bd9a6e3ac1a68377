"""The papers' tables: cells copied by hand from the sources, and files that are refused."""

import copy
from pathlib import Path

import pytest

from ee_jax.errors import UserError
from ee_jax.reproduce.paper import BASELINE, FULL, Cell, Paper, load_paper, parse_paper

SECOND = ("sst2", "bert-base", "DeeBERT", "threshold 2 of 3")
THIRD = ("mnli-mm", "bert-base", "DeeBERT", "threshold 3 of 3")
FIRST = ("mrpc", "roberta-base", "DeeBERT", "threshold 1 of 3")
PAPERS = ("deebert", "pabee", "berxit", "fastbert")
EXPERIMENTS = Path(__file__).parents[2] / "experiments"


def paper_of(name: str) -> Paper:
    return load_paper(EXPERIMENTS / name / "paper.json")


def cell_of(paper: Paper, task: str, backbone: str, method: str, setting: str) -> Cell:
    wanted = (task, backbone, method, setting)
    found = [c for c in paper.cells if (c.task, c.backbone, c.method, c.setting) == wanted]
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize(
    ("paper", "where", "value", "difference", "saved", "evidence"),
    [
        # DeeBERT, table 1: SST-2, BERT-base, the second of three rows is -0.6 at -40 %.
        ("deebert", SECOND, 93.0, -0.6, 0.40, "read"),
        ("deebert", THIRD, 79.2, -3.8, 0.37, "read"),
        ("deebert", FIRST, 90.5, 0.1, 0.25, "read"),
        ("deebert", ("rte", "bert-base", "DistilBERT", FULL), 60.5, -9.4, 0.40, "read"),
        ("deebert", ("qqp", "roberta-base", BASELINE, FULL), 71.8, 0.0, None, "read"),
        ("pabee", ("cola", "albert-base", "PABEE", "patience chosen on dev"), 61.2, 2.3,
         1 - 1 / 1.57, "read"),
        ("pabee", ("stsb", "albert-large", BASELINE, FULL), 90.4, 0.0, None, "read"),
        ("berxit", ("rte", "bert-base", BASELINE, FULL), 66.4, 0.0, None, "read"),
        ("fastbert", ("ag_news", "bert-base", "FastBERT", "speed 0.5"), 93.14, -1.33,
         1 - 1 / 10.33, "read"),
        ("fastbert", ("chnsenticorp", "bert-base", "FastBERT", "speed 0.8"), 89.75, -5.5,
         1 - 1 / 9.40, "from memory"),
    ],
)  # fmt: skip
def test_cells_copied_by_hand(paper, where, value, difference, saved, evidence):
    loaded = paper_of(paper)
    cell = cell_of(loaded, *where)
    assert loaded.value(cell) == pytest.approx(value)
    assert loaded.difference(cell) == pytest.approx(difference)
    assert cell.saved_share == pytest.approx(saved)
    assert cell.evidence == evidence


def test_seconds_and_flops_as_printed():
    deebert, fastbert = paper_of("deebert"), paper_of("fastbert")
    assert cell_of(deebert, "qqp", "bert-base", BASELINE, FULL).seconds == 145 * 60
    assert (
        cell_of(fastbert, "ag_news", "bert-base", "FastBERT", "speed 0.5").flops == 2108341649
    )


def test_every_task_of_deeberts_table_has_three_thresholds_on_both_backbones():
    cells = [c for c in paper_of("deebert").cells if c.source == "table 1"]
    rows = [c for c in cells if c.method == "DeeBERT"]
    assert len(rows) == 2 * 7 * 3
    assert len(cells) == 2 * 7 + 2 * 7 * 3 + 6 + 2
    assert {c.split for c in cells} == {"test server"}


CONTENT = {
    "name": "x",
    "title": "X",
    "where": "somewhere",
    "url": "https://example.org",
    "notes": [],
    "tables": [
        {
            "source": "table 1",
            "evidence": "read",
            "split": "dev",
            "hardware": "not stated",
            "saving": "layers",
            "cells": [
                {"task": "sst2", "metric": "accuracy", "backbone": "b", "method": "baseline",
                 "setting": "full", "value": 90},
            ],
        }
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"value": 900}, "`value` must lie in"),
        ({"value": "90"}, "`value`: str did not match"),
        ({"value": None}, "a cell without a number"),
        ({"saved": 100}, "`saved` must lie in"),
        ({"speedup": 0}, "`speedup` must be positive"),
        ({"evidence": "read"}, "multiple values for keyword argument 'evidence'"),
        ({"vlaue": 90}, "unexpected keyword argument 'vlaue'"),
    ],
)
def test_a_damaged_cell_is_refused_and_named(damage, message):
    content = copy.deepcopy(CONTENT)
    content["tables"][0]["cells"][0] |= damage
    with pytest.raises(UserError, match=message) as refused:
        parse_paper(content, "x.json")
    assert str(refused.value).startswith("x.json: ")
    assert "'task': 'sst2'" in str(refused.value)


def test_other_evidence_must_be_one_of_three():
    content = copy.deepcopy(CONTENT)
    content["tables"][0]["evidence"] = "rumour"
    with pytest.raises(UserError, match="`evidence`: str is not any of"):
        parse_paper(content, "x.json")


def test_one_cell_twice_and_a_missing_field_are_refused():
    content = copy.deepcopy(CONTENT)
    content["tables"][0]["cells"] *= 2
    with pytest.raises(UserError, match="two cells for"):
        parse_paper(content, "x.json")
    with pytest.raises(UserError, match="'tables' is missing"):
        parse_paper({k: v for k, v in CONTENT.items() if k != "tables"}, "x.json")
