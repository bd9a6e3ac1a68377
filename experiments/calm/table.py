"""Our thresholds for whole texts beside the paper's: how deep tokens go, and the wall clock.

Command:  python experiments/calm/table.py experiments/calm/results.json
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from ee_jax.report import text
from ee_jax.report.render import Column, Row, Table, to_markdown
from ee_jax.reproduce.paper import Paper, parse_paper
from ee_jax.results import Calibrated, Point, Results, read_results

PAPER = Path(__file__).with_name("paper.json")
OURS = {"margin": "softmax", "saturation": "state", "learned": "classifier"}


def comparison(paper: Paper, results: Results) -> Table:
    """A row for each of the paper's translations by textual consistency, and each of ours."""
    columns = (
        Column("whose", lambda row: row["whose"], is_text=True),
        Column("confidence", lambda row: row["confidence"], is_text=True),
        Column("policy", lambda row: row["policy"], is_text=True),
        Column("level", lambda row: text.number(row["level"])),
        Column("blocks a token", lambda row: row["blocks"], is_text=True),
        Column("share of blocks %", lambda row: text.number(row["share"], 1)),
        Column("risk on test texts", lambda row: text.number(row["risk"], 3)),
        Column("times as fast, batch 1", lambda row: text.number(row["speedup"])),
    )
    quality = results.metrics[0]
    notes = (
        f"Paper: {paper.title} ({paper.where}, {paper.url}), table 2, WMT15 English-French.",
        f"Ours: {results.device}, {results.data['name']}; risk: 1 - {quality} of a text with "
        "the full model's as its reference, mean over test texts, none of them calibrated on.",
    )
    return Table(
        "Thresholds for whole texts", columns, (*_theirs(paper), *_ours(results)), notes
    )


def _theirs(paper: Paper) -> Iterator[Row]:
    for cell in paper.cells:
        kind, _, level = cell.setting.partition(" ")
        if (cell.task, cell.source, kind) == ("wmt15_enfr", "table 2", "textual"):
            assert cell.value is not None
            yield {
                "whose": "paper",
                "confidence": cell.method,
                "policy": "propagate",
                "level": float(level),
                "blocks": f"{cell.value:.2f} of 8",
                "share": 100 * cell.value / 8,
                "risk": None,
                "speedup": cell.speedup,
            }


def _ours(results: Results) -> Iterator[Row]:
    for strategy in results.strategies.values():
        for choice in strategy.calibrated:
            point = _point(choice, strategy.points)
            yield {
                "whose": "ours",
                "confidence": OURS[str(choice.confidence)],
                "policy": choice.policy,
                "level": choice.level,
                "blocks": f"{point.mean_depth:.2f} of {results.blocks}",
                "share": 100 * point.mean_depth / results.blocks,
                "risk": choice.test_risk,
                "speedup": point.measured_speedup.get(1),
            }


def _point(choice: Calibrated, points: tuple[Point, ...]) -> Point:
    """What was measured at the threshold that a calibration chose."""
    key = choice.confidence, choice.policy, choice.threshold
    return next(p for p in points if (p.confidence, p.policy, p.threshold) == key)


if __name__ == "__main__":
    paper = parse_paper(json.loads(PAPER.read_text()), PAPER.name)
    print(to_markdown(comparison(paper, read_results(Path(sys.argv[1])))), end="")
