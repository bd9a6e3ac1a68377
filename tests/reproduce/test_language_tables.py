"""The tables of the studies on language models are those that their builders make."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from ee_jax.report.render import to_markdown
from ee_jax.report.tables import speculation_table, speed_table
from ee_jax.reproduce.paper import parse_paper
from ee_jax.results import read_results

EXPERIMENTS = Path(__file__).parents[2] / "experiments"


def builder(study: str) -> ModuleType:
    path = EXPERIMENTS / study / "table.py"
    spec = importlib.util.spec_from_file_location(f"{study}_table", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read(study: str, name: str) -> str:
    return (EXPERIMENTS / study / name).read_text()


def test_policies_side_by_side():
    results = read_results(EXPERIMENTS / "stories260k")
    table = builder("stories260k").side_by_side(results)
    assert to_markdown(table) == read("stories260k", "side_by_side.md")
    assert to_markdown(speed_table(results)) == read("stories260k", "table.md")


def point(depth, perplexity, agreement):
    metrics = {"perplexity": perplexity, "agreement": agreement}
    return SimpleNamespace(mean_depth=depth, metrics=metrics)


def test_a_cell_is_read_off_the_line_between_two_thresholds():
    points = [point(4.0, 8.0, 0.5), point(2.0, 2.0, 0.1)]
    at_depth = builder("stories260k").at_depth
    assert at_depth(points, 3.0) == pytest.approx((4.0, 0.3))  # the geometric mean
    assert at_depth(points, 1.9) is None


def test_drafts_beside_the_papers():
    results = read_results(EXPERIMENTS / "layerskip")
    paper = parse_paper(json.loads(read("layerskip", "paper.json")), "paper.json")
    table = builder("layerskip").comparison(paper, results)
    assert to_markdown(table) == read("layerskip", "comparison.md")
    assert to_markdown(speculation_table(results)) == read("layerskip", "speculation.md")
    table_4 = [row for row in table.rows if row["whose"] == "paper, table 4"]
    assert [(row["accepted"], row["speedup"]) for row in table_4] == [
        (77.4, 1.76),
        (77.8, 2.16),
    ]
    ours = [row for row in table.rows if row["whose"].startswith("ours")]
    assert len(ours) == 2 * 2 * 3 * 3


def test_thresholds_for_whole_texts_beside_the_papers():
    results = read_results(EXPERIMENTS / "calm")
    paper = parse_paper(json.loads(read("calm", "paper.json")), "paper.json")
    assert len(paper.cells) == 2 * 4 * 3 * 3 + 4
    table = builder("calm").comparison(paper, results)
    assert to_markdown(table) == read("calm", "comparison.md")
    assert to_markdown(speed_table(results)) == read("calm", "table.md")
    whose = [row["whose"] for row in table.rows]
    assert whose == ["paper"] * 6 + ["ours"] * 3 * 3 * 2
    promised = [row for row in table.rows if row["whose"] == "ours"]
    assert all(row["risk"] <= row["level"] for row in promised)
