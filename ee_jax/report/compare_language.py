"""Language models' runs side by side: perplexity, depth, and what self-speculation gains."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
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
Pick = Callable[[Strategy], Point | None]


def language_comparison(
    runs: Sequence[Results], tolerance: float, calibration: str | None
) -> Table:
    """Each strategy's full model, its least depth near it, and its fastest self-speculation.

    The least depth that loses at most `tolerance` on the test split; or the least that
    `calibration` chose without it, a label such as "ltt 2 %".
    """
    near = calibration is None
    pick = partial(_shallowest, tolerance) if near else partial(_chosen, calibration)
    rows = [_row(results, name, pick) for results in runs for name in results["strategies"]]
    speculates = any(row["speculation_speedup"] is not None for row in rows)
    return Table(
        "Runs compared",
        _columns(text.NO_GAIN if near else text.DASH, speculates),
        tuple(rows),
        (*_said(tolerance, calibration, speculates), *notes(runs)),
    )


def _said(tolerance: float, calibration: str | None, speculates: bool) -> list[str]:
    picked = f"whose perplexity is at most {text.share(tolerance)} higher"
    if calibration is not None:
        picked = f"that {calibration} chose on the calibration split"
    near = (
        "Full model: its perplexity on the test split. Beside it, the least mean depth "
        f"{picked}: where tokens stop, how many of them the full model predicts alike, and "
        "blocks / mean depth, the ideal speed-up."
    )
    drafting = (
        "Drafting: the largest measured speed-up of self-speculation over plain decoding, and "
        "the share of the drafts that was accepted there."
    )
    return [near, drafting] if speculates else [near]


def _shallowest(tolerance: float, strategy: Strategy) -> Point | None:
    """The point of least mean depth within (1 + `tolerance`) times the full perplexity.

    None where no such point stops early.
    """
    # 1e-9: 1.15 * 3 is less than 3.45 in floating point.
    most = (1 + tolerance + 1e-9) * strategy["full_perplexity"]
    fit = [p for p in strategy["points"] if stops_early(p) and p["perplexity"] <= most]
    return min(fit, key=lambda p: (p["mean_depth"], p["perplexity"]), default=None)


def _chosen(label: str, strategy: Strategy) -> Point | None:
    """The point that a calibration chose; of its confidences and policies, the least depth.

    The calibration split picks it. None where the strategy has no such calibration.
    """
    own = [choice for choice in strategy["calibrated"] if choice["label"] == label]
    if not own:
        return None
    best = min(own, key=lambda choice: choice["calibration_mean_depth"])
    points = (p for p in strategy["points"] if label in p["calibrated_for"])
    return next(
        p for p in points if all(p[key] == best[key] for key in ("confidence", "policy"))
    )


def _fastest(strategy: Strategy) -> Mapping[str, Any] | None:
    """The largest speed-up by self-speculation that gave the full model's tokens."""
    exact = [s for s in strategy["speculation"] if s["same_tokens"] and is_known(s["speedup"])]
    return max(exact, key=lambda s: s["speedup"], default=None)


def _row(results: Results, name: str, pick: Pick) -> Row:
    strategy, data = results["strategies"][name], results["data"]
    point, speculation = pick(strategy) or {}, _fastest(strategy) or {}
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


def _columns(no_point: str, speculates: bool) -> tuple[Column, ...]:
    speculation = (
        Column("drafting speed-up", _drafting),
        Column("accepted %", lambda r: text.percent(r["speculation_acceptance"])),
    )
    return (
        Column("run", lambda r: r["run"], is_text=True),
        Column("strategy", lambda r: r["strategy"], is_text=True),
        Column("full model", lambda r: text.number(r["full_perplexity"])),
        Column("stops above", lambda r: _rule(r) or no_point, is_text=True),
        Column("like full %", lambda r: text.percent(r["agreement"])),
        Column("mean depth", _depth),
        Column("ideal", lambda r: text.number(r["ideal_speedup"])),
        *(speculation if speculates else ()),
        Column("config", lambda r: r["config_hash"], is_text=True),
        Column("data", lambda r: r["data_version"], is_text=True),
    )


def _rule(row: Row) -> str:
    """Empty where there is no point."""
    if row["confidence"] is None:
        return ""
    if row["threshold"] >= 1:
        return "full model"
    return f"{row['confidence']} {text.threshold(row['threshold'])}, {row['policy']}"


def _depth(row: Row) -> str:
    depth = row["mean_depth"]
    return text.DASH if depth is None else f"{text.number(depth)}/{row['blocks']}"


def _drafting(row: Row) -> str:
    value = row["speculation_speedup"]
    no_gain = value is not None and round(value, 2) <= 1
    return f"{text.number(value)}, {text.NO_GAIN}" if no_gain else text.number(value)
