"""A record of calibration as a table and a figure."""

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ee_jax.calibration.risks import LOSS, RISKS
from ee_jax.report import text
from ee_jax.report.figures import MUTED, style
from ee_jax.report.render import Column, Table

Record = Mapping[str, Any]
Choice = Mapping[str, Any]  # `Calibrated` as JSON
DASHES = (0, (5, 4))
DISTANCE = "consistency: (answer - the full model's)^2 / (range of the labels)^2"


def record_table(record: Record) -> Table:
    """What was asked, what was found, and what it promises: a line each."""
    choice = record["choice"]
    found = choice["calibration_risk"], choice["calibration_mean_depth"]
    lines = {
        "method": f"{choice['method']}{_search(record)}",
        "source": record.get("source", ""),
        "promise": choice["promise"],
        "risk": _risk(record),
        "data": _data(record),
        "level": _level(choice),
        "delta": text.share(choice["delta"]),
        "threshold": _threshold(choice),
        "certified risk": _percent(choice["certified_risk"]),
        "found on data": f"risk {_percent(found[0])}, mean depth {_depth(found[1], record)}",
        "search ended": choice["ended"],
        **(_trials(record) if record["trials"] else {}),
        "warning": choice["warning"],
    }
    rows = tuple({"name": k, "value": v} for k, v in lines.items() if v not in ("", text.DASH))
    columns = (
        Column("", lambda r: r["name"], is_text=True),
        Column("", lambda r: r["value"], is_text=True),
    )
    return Table(f"{record['trace']}: {choice['label']}", columns, rows)


def _risk(record: Record) -> str:
    risk: str = record["choice"]["risk"]
    is_regression = "label_range" in record["header"]
    if is_regression and risk == "consistency":
        return DISTANCE
    if risk == "loss":
        return LOSS
    # A record may be of a risk that is registered in somebody's file.
    return f"{risk}: {RISKS[risk].words}" if risk in RISKS else risk


def _search(record: Record) -> str:
    search = record["search"]
    return f", a threshold for each exit by {search} search" if search else ""


def _data(record: Record) -> str:
    header = record["header"]
    known = [str(header[key]) for key in ("data", "split", "model") if key in header]
    counts = f"{record['examples']:,} examples"
    if record["exit_layers"]:
        counts += f", {len(record['exit_layers'])} exits"
    return f"{counts} ({', '.join(known)})" if known else counts


def _level(choice: Choice) -> str:
    is_budget = choice["method"] == "budget"
    return f"{choice['level']:g} blocks" if is_budget else text.share(choice["level"])


def _threshold(choice: Choice) -> str:
    if choice["full_model"]:
        return f"{text.threshold(1.0)} (the full model)"
    each = choice["threshold_E"]
    return ", ".join(map(text.threshold, each)) if each else text.threshold(choice["threshold"])


def _percent(share: float | None) -> str:
    return text.DASH if share is None else f"{text.percent(share)} %"


def _depth(depth: float, record: Record) -> str:
    return f"{text.number(depth)} of {record['full_depth']:.4g}"


def _trials(record: Record) -> dict[str, str]:
    """Means over the splits, where 90 % of them lie, and how often the level was exceeded."""
    trials = record["trials"]
    risk, depth = trials["risk"], trials["depth"]
    sizes = f"{trials['calibrated_on']:,} to calibrate, {trials['held_out']:,} held out"
    most_risk = f"90 % in {text.percent(risk['p05'])} to {text.percent(risk['p95'])}"
    most_depth = f"90 % in {text.number(depth['p05'])} to {text.number(depth['p95'])}"
    return {
        "trials": f"{trials['splits']} random splits: {sizes}",
        "held-out risk": f"{_percent(risk['mean'])} ({most_risk})",
        "held-out depth": f"{_depth(depth['mean'], record)} ({most_depth})",
        "above the level": f"{_times(trials)} of {trials['splits']} trials",
    }


def _times(trials: Mapping[str, Any]) -> int:
    return round(trials["above_level"] * trials["splits"])


def record_figure(record: Record) -> Figure:
    """Held-out risk and depth over the trials, against the level; a budget the other way."""
    choice = record["choice"]
    is_budget = choice["method"] == "budget"
    with style():
        figure = Figure(figsize=(8, 3.9))
        left, right = figure.subplots(1, 2)
        risk, depth = (right, left) if is_budget else (left, right)
        unit = 1.0 if is_budget else 100.0
        _panel(risk, record, "risk", 100.0, unit)
        _panel(depth, record, "depth", 1.0, unit)
        risk.set_title("risk of held-out examples, %")
        depth.set_title(f"their mean depth, blocks of {record['full_depth']:.4g}")
        for axes in (left, right):
            axes.set_xlabel("budget, blocks" if is_budget else "level, %")
        _diagonal(left)
        _full_depth(depth, record)
        figure.supxlabel(_caption(record), size=10, color=MUTED)
        figure.set_layout_engine("constrained", wspace=0.08)
    return figure


def _caption(record: Record) -> str:
    """What the marks are, what the dashes are, and how often the trials were above them."""
    choice, trials = record["choice"], record["trials"]
    dashed = "depth = budget" if choice["method"] == "budget" else "risk = level"
    above = f"{_times(trials)} were above it at {_level(choice)}"
    marks = f"Median, middle half and 90 % of {trials['splits']} random splits"
    return f"{marks}. Dashed: {dashed}; {above}."


def _panel(axes: Axes, record: Record, key: str, scale: float, x_scale: float) -> None:
    """For each level the trials' median, their middle half, and 90 % of them."""
    for row in record["levels"]:
        color = "C1" if row["level"] == record["choice"]["level"] else "C0"
        x = x_scale * row["level"]
        spread = {name: scale * value for name, value in row[key].items()}
        ink = {"color": color, "clip_on": False}
        axes.plot([x, x], [spread["p05"], spread["p95"]], lw=1, **ink)
        axes.plot([x, x], [spread["p25"], spread["p75"]], lw=3.2, **ink)
        axes.plot(x, spread["median"], "o", ms=5, zorder=3, **ink)
    axes.set_xlim(left=0)
    may_gain = record["choice"]["risk"] in ("loss", "signed_gap")
    axes.set_ylim(bottom=min(0, axes.get_ylim()[0]) if may_gain else 0)


def _diagonal(axes: Axes) -> None:
    end = axes.get_xlim()[1]
    axes.plot([0, end], [0, end], color=MUTED, lw=1, ls=DASHES, zorder=1)


def _full_depth(axes: Axes, record: Record) -> None:
    full = record["full_depth"]
    axes.axhline(full, color=MUTED, lw=1, ls=DASHES, zorder=1)
    at = {"xytext": (4, 3), "textcoords": "offset points", "color": MUTED, "size": 10}
    axes.annotate("full model", (0, full), xycoords=("axes fraction", "data"), **at)
    axes.set_ylim(0, 1.1 * full)
