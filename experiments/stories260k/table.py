"""Confidences and policies side by side, at mean depths that all of them reach.

A cell is read off the line between the two nearest thresholds: of the logarithm of perplexity,
and of the agreement with the full model, over mean depth.

Command:  python experiments/stories260k/table.py experiments/stories260k/results.json
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from ee_jax.report import text
from ee_jax.report.render import Column, Row, Table, to_markdown
from ee_jax.results import Point, Results, read_results

DEPTHS = (3.5, 4.0, 4.5)  # blocks of 5


def at_depth(points: Sequence[Point], depth: float) -> tuple[float, float] | None:
    """Perplexity and agreement at a mean depth; None outside of the thresholds' range."""
    points = sorted(points, key=lambda point: point.mean_depth)
    depth_N = [point.mean_depth for point in points]
    if not depth_N[0] <= depth <= depth_N[-1]:
        return None
    log_perplexity = np.interp(
        depth, depth_N, np.log([p.metrics["perplexity"] or np.nan for p in points])
    )
    agreement = np.interp(depth, depth_N, [p.metrics["agreement"] or np.nan for p in points])
    return float(np.exp(log_perplexity)), float(agreement)


def side_by_side(results: Results) -> Table:
    """A row for each strategy, depth and confidence, a column for each policy."""
    policies = results.config["evaluation"]["policies"]
    columns = (
        Column("strategy", lambda row: row["strategy"], is_text=True),
        Column("mean depth", lambda row: text.number(row["depth"], 1)),
        Column("confidence", lambda row: row["confidence"], is_text=True),
        *(Column(policy, _show(policy)) for policy in policies),
    )
    note = "Perplexity, and the share of tokens predicted as by the full model, in percent."
    rows = tuple(_rows(results, policies))
    notes = (note, *(_worse(depth, rows) for depth in DEPTHS))
    return Table(f"{results.name}: policies side by side", columns, rows, notes)


def _worse(depth: float, rows: Sequence[Row]) -> str:
    """How much worse the negative control is, over strategies and confidences."""
    here = [row for row in rows if row["depth"] == depth]
    both = [row for row in here if row["copy"] and row["propagate"]]
    times = [row["copy"][0] / row["propagate"][0] for row in both]
    least, most = text.number(min(times), 1), text.number(max(times), 1)
    found = f"{least} to {most} times the perplexity of `propagate`"
    return f"At a mean depth of {depth}, `copy` has {found}."


def _rows(results: Results, policies: Sequence[str]) -> Iterator[Row]:
    for name, strategy in results.strategies.items():
        for depth in DEPTHS:
            for confidence in results.config["exits"]["confidences"]:
                own = [p for p in strategy.points if p.confidence == confidence]
                found = {
                    policy: at_depth([p for p in own if p.policy == policy], depth)
                    for policy in policies
                }
                yield {"strategy": name, "depth": depth, "confidence": confidence} | found


def _show(policy: str) -> Callable[[Row], str]:
    def show(row: Row) -> str:
        if (found := row[policy]) is None:
            return text.DASH
        return f"{text.number(found[0])} ({text.percent(found[1])})"

    return show


if __name__ == "__main__":
    print(to_markdown(side_by_side(read_results(Path(sys.argv[1])))), end="")
