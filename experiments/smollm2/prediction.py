"""Whether the clock of `ee-jax diagnose` foretells the speed that a run measures.

Tokens are made to stop at each exit and timed. What that says of the exits that the run's
tokens took at each threshold is put beside the speed-up that the run measured there.

Command:  python experiments/smollm2/prediction.py runs/smollm2
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from ee_jax.benchmarks.exit_clock import time_exits
from ee_jax.display import Display
from ee_jax.evaluation.reach import predicted_speedup
from ee_jax.report import text
from ee_jax.report.render import Column, Row, Table, to_markdown
from ee_jax.results import read_results
from ee_jax.runs.generation.source import open_source

ROUNDS = 7


def rows(run: Path) -> Iterator[Row]:
    """A row for each threshold of each confidence of each strategy."""
    results, display = read_results(run), Display()
    for name, strategy in results.strategies.items():
        model = open_source(str(run / name / "model"), lens=True).model
        for confidence in dict.fromkeys(point.confidence for point in strategy.points):
            clock = time_exits(model, confidence, ROUNDS, display)
            for point in strategy.points:
                if point.confidence == confidence:
                    predicted = predicted_speedup(tuple(point.exit_counts), *clock)
                    measured = point.measured_speedup[1]
                    assert measured is not None, "the run has timed its decoding"
                    yield {
                        "strategy": name,
                        "confidence": confidence,
                        "threshold": point.threshold,
                        "agreement": point.metrics["agreement"],
                        "predicted": predicted,
                        "measured": measured,
                        "ratio": predicted / measured,
                    }


def table(run: Path) -> Table:
    """Predicted beside measured."""
    columns = (
        Column("confidence", lambda row: row["confidence"], is_text=True),
        Column("threshold", lambda row: text.threshold(row["threshold"])),
        Column("like full model %", lambda row: text.percent(row["agreement"])),
        Column("predicted speed-up", lambda row: text.number(row["predicted"])),
        Column("measured speed-up", lambda row: text.number(row["measured"])),
        Column("predicted / measured", lambda row: text.number(row["ratio"])),
    )
    note = "Batch 1. Predicted: from tokens that are made to stop at each exit, and timed."
    return Table("Predicted and measured", columns, tuple(rows(run)), (note,))


if __name__ == "__main__":
    print(to_markdown(table(Path(sys.argv[1]))), end="")
