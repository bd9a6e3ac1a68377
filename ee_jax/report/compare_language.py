"""Language models' runs side by side: perplexity, depth, and what self-speculation gains."""

from collections.abc import Mapping, Sequence
from typing import Any

from ee_jax.report import text
from ee_jax.report.comparable import notes
from ee_jax.report.render import Column, Row, Table
from ee_jax.report.results import Point, Results, Strategy, is_known, stops_early

POINT = (
    "confidence", "policy", "threshold", "perplexity", "agreement", "mean_depth",
    "ideal_speedup", "flops_speedup",
)  # fmt: skip
SPECULATION = ("speedup", "acceptance", "depth", "drafted", "batch")


def language_comparison(runs: Sequence[Results], tolerance: float) -> Table:
    """Each strategy's full model, its least depth near it, and its fastest self-speculation."""
    rows = [
        _row(results, name, tolerance) for results in runs for name in results["strategies"]
    ]
    speculates = any(row["speculation_speedup"] is not None for row in rows)
    return Table(
        "Runs compared",
        _columns(speculates),
        tuple(rows),
        (*_said(tolerance, speculates), *notes(runs)),
    )


def _said(tolerance: float, speculates: bool) -> list[str]:
    near = (
        "Full model: its perplexity on the test split. Beside it, the least mean depth whose "
        f"perplexity is at most {text.share(tolerance)} higher: where tokens stop, how many of "
        "them the full model predicts alike, and blocks / mean depth, the ideal speed-up."
    )
    drafting = (
        "Drafting: the largest measured speed-up of self-speculation over plain decoding, and "
        "the share of the drafts that was accepted there."
    )
    return [near, drafting] if speculates else [near]


def shallowest(strategy: Strategy, tolerance: float) -> Point | None:
    """The point of least mean depth within (1 + `tolerance`) times the full perplexity.

    None where no such point stops early.
    """
    # 1e-9: 1.15 * 3 is less than 3.45 in floating point.
    most = (1 + tolerance + 1e-9) * strategy["full_perplexity"]
    fit = [p for p in strategy["points"] if stops_early(p) and p["perplexity"] <= most]
    return min(fit, key=lambda p: (p["mean_depth"], p["perplexity"]), default=None)


def fastest(strategy: Strategy) -> Mapping[str, Any] | None:
    """The largest speed-up by self-speculation that gave the full model's tokens."""
    exact = [s for s in strategy["speculation"] if s["same_tokens"] and is_known(s["speedup"])]
    return max(exact, key=lambda s: s["speedup"], default=None)


def _row(results: Results, name: str, tolerance: float) -> Row:
    strategy, data = results["strategies"][name], results["data"]
    point, speculation = shallowest(strategy, tolerance) or {}, fastest(strategy) or {}
    return {
        "run": results["name"],
        "strategy": name,
        "full_perplexity": strategy["full_perplexity"],
        "blocks": results["model"]["blocks"],
        **{key: point.get(key) for key in POINT},
        **{f"speculation_{key}": speculation.get(key) for key in SPECULATION},
        "config_hash": results["config_hash"],
        "data": data["name"],
        "data_version": data["version"],
    }


def _columns(speculates: bool) -> tuple[Column, ...]:
    speculation = (
        Column("drafting speed-up", _drafting),
        Column("accepted %", lambda r: text.percent(r["speculation_acceptance"])),
    )
    return (
        Column("run", lambda r: r["run"], is_text=True),
        Column("strategy", lambda r: r["strategy"], is_text=True),
        Column("full model", lambda r: text.number(r["full_perplexity"])),
        Column("stops above", _rule, is_text=True),
        Column("like full %", lambda r: text.percent(r["agreement"])),
        Column("mean depth", _depth),
        Column("ideal", lambda r: text.number(r["ideal_speedup"])),
        *(speculation if speculates else ()),
        Column("config", lambda r: r["config_hash"], is_text=True),
        Column("data", lambda r: r["data_version"], is_text=True),
    )


def _rule(row: Row) -> str:
    if row["confidence"] is None:
        return text.NO_GAIN
    return f"{row['confidence']} {text.threshold(row['threshold'])}, {row['policy']}"


def _depth(row: Row) -> str:
    depth = row["mean_depth"]
    return text.DASH if depth is None else f"{text.number(depth)}/{row['blocks']}"


def _drafting(row: Row) -> str:
    value = row["speculation_speedup"]
    no_gain = value is not None and round(value, 2) <= 1
    return f"{text.number(value)}, {text.NO_GAIN}" if no_gain else text.number(value)
