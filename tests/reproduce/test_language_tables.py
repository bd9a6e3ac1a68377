"""The tables of the studies on language models are those that their builders make."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

from ee_jax.report.language_tables import depth_table, speculation_table
from ee_jax.report.render import to_markdown
from ee_jax.reproduce.paper import parse_paper

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
    results = json.loads(read("stories260k", "results.json"))
    table = builder("stories260k").side_by_side(results)
    assert to_markdown(table) == read("stories260k", "side_by_side.md")
    assert to_markdown(depth_table(results)) == read("stories260k", "table.md")


def test_a_cell_is_read_off_the_line_between_two_thresholds():
    points = [
        {"mean_depth": 4.0, "perplexity": 8.0, "agreement": 0.5},
        {"mean_depth": 2.0, "perplexity": 2.0, "agreement": 0.1},
    ]
    at_depth = builder("stories260k").at_depth
    assert at_depth(points, 3.0) == pytest.approx((4.0, 0.3))  # the geometric mean
    assert at_depth(points, 1.9) is None


def test_drafts_beside_the_papers():
    results = json.loads(read("layerskip", "results.json"))
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
