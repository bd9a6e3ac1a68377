"""The tables of one run: what each setting gives, each exit, each draft."""

from dataclasses import asdict
from typing import Any

from ee_jax.report import metrics, text
from ee_jax.report.render import Column, Row, Table
from ee_jax.report.select import (
    against_single,
    batches,
    difference,
    gains,
    has_policies,
    single,
    sorted_points,
)
from ee_jax.results import Point, Results, StrategyResults

STRATEGY = Column("strategy", lambda row: row["strategy"], is_text=True)
CONFIDENCE = Column("confidence", lambda row: row["confidence"], is_text=True)
POLICY = Column("policy", lambda row: row["policy"], is_text=True)
AGAINST_SINGLE = Column(
    "against single", lambda row: text.points(row["against_single"]), spare=1
)


def measured(batch: int) -> str:
    """The name of the column of a measured speed-up."""
    return f"measured_speedup_b{batch}"


def speed_table(results: Results) -> Table:
    """Strategy and setting against quality, depth and speed-ups."""
    timed = batches(results)
    rows = [
        _speed_row(results, name, strategy, point, timed)
        for name, strategy in results.strategies.items()
        for point in sorted_points(strategy)
    ]
    title = (
        f"{results.name}: {metrics.name(results.quality)}, depth and speed on the test split"
    )
    return Table(
        title, _speed_columns(results, timed), tuple(rows), tuple(_notes(results, timed))
    )


def _speed_row(
    results: Results, name: str, strategy: StrategyResults, point: Point, timed: list[int]
) -> Row:
    policies = ("confidence", "policy") if has_policies(results) else ()
    setting = (*policies, "threshold", "threshold_E", "calibrated_for")
    found = ("inconsistency", "mean_depth", "ideal_speedup", "flops_speedup")
    row: dict[str, Any] = {"strategy": name} | {key: getattr(point, key) for key in setting}
    row |= {"chosen_by": text.set_apart(point, strategy)}
    row |= {metric: point.metrics.get(metric) for metric in results.metrics}
    row |= {key: getattr(point, key) for key in found}
    has_exits = strategy.static_blocks is None
    row |= {"difference": difference(results, point, strategy) if has_exits else None}
    if single(results) is not None:
        row |= {"against_single": against_single(results, point)}
    for batch in timed:
        row[measured(batch)] = point.measured_speedup.get(batch)
        row[f"gains_b{batch}"] = gains(point, batch) or not has_exits
    return row


def _speed_columns(results: Results, timed: list[int]) -> tuple[Column, ...]:
    policies = has_policies(results)
    return (
        STRATEGY,
        *((CONFIDENCE, POLICY) if policies else ()),
        Column("threshold", _thresholds, is_text=True),
        Column("chosen by", lambda r: r["chosen_by"], is_text=True),
        *(metric_column(metric) for metric in results.metrics),
        Column(
            "against full model",
            lambda r: metrics.apart(results.quality, r["difference"]),
            spare=2,
        ),
        *((AGAINST_SINGLE,) if single(results) is not None else ()),
        Column("mean depth", lambda r: text.number(r["mean_depth"])),
        Column("ideal speed-up", lambda r: text.number(r["ideal_speedup"]), spare=4 - policies),
        Column("FLOPs speed-up", lambda r: text.number(r["flops_speedup"]), spare=3 + policies),
        *(_measured_column(batch) for batch in timed),
    )


def _thresholds(row: Row) -> str:
    return text.thresholds(row["threshold"], row["threshold_E"])


def metric_column(metric: str) -> Column:
    """The values of a metric."""
    return Column(metrics.heading(metric), lambda row: metrics.cell(metric, row[metric]))


def _measured_column(batch: int) -> Column:
    def speedup(row: Row) -> str:
        shown = text.number(row[measured(batch)])
        return (
            shown
            if row[f"gains_b{batch}"] or shown == text.DASH
            else f"{shown}, {text.NO_GAIN}"
        )

    return Column(f"measured batch {batch}", speedup)


def _notes(results: Results, timed: list[int]) -> list[str]:
    unit = "percent" if metrics.of(results.quality).is_ratio else "points"
    of = f" of {metrics.name(results.quality)}" if len(results.metrics) > 1 else ""
    note = (
        f"Against full model: {unit}{of} of difference to the strategy's own. "
        f"Ideal speed-up: blocks ({results.blocks}) / mean depth."
    )
    if single(results) is not None:
        note += " Against single: to the full model that was fine-tuned without exits."
    if timed:
        note += (
            " Measured: wall clock of the full-depth program / of the early-exit program. "
            f"{text.NO_GAIN.capitalize()}: the setting is not faster than the full model."
        )
    if not has_policies(results):
        return [note]
    return [
        f"{note} Policy: what later tokens see of the blocks that a token skipped. FLOPs "
        "speed-up: of decoding a row alone, with the logits that exits read on the way and "
        "what the policy makes of skipped blocks."
    ]


def exit_table(results: Results) -> Table:
    """What each exit alone can do, and how far its confidence can be trusted."""
    shown = results.metrics if has_policies(results) else results.metrics[:1]
    trust = ("ece", "auroc", "temperature")
    rows = [
        {"strategy": name, "depth": entry.depth}
        | {metric: entry.metrics.get(metric) for metric in shown}
        | {key: getattr(entry, key) for key in trust}
        for name, strategy in results.strategies.items()
        for entry in strategy.exits
    ]
    columns = (
        STRATEGY,
        Column("exit after block", lambda r: str(r["depth"])),
        *(metric_column(metric) for metric in shown),
        Column("ECE", lambda r: text.number(r["ece"], 3)),
        Column("AUROC", lambda r: text.number(r["auroc"], 3)),
        Column("temperature", lambda r: text.number(r["temperature"])),
    )
    if all(row["temperature"] is None for row in rows):  # confidences were not judged
        columns = columns[:-3]
        rows = [{key: row[key] for key in row if key not in trust} for row in rows]
    return Table(f"{results.name}: each exit alone", columns, tuple(rows))


def speculation_table(results: Results) -> Table:
    """Drafting depth and length against acceptance and measured speed-up."""
    rows = [
        {"strategy": name, **asdict(entry)}
        for name, strategy in results.strategies.items()
        for entry in strategy.speculation
    ]
    columns = (
        STRATEGY,
        Column("batch", lambda r: str(r["batch"])),
        Column("drafting blocks", lambda r: str(r["depth"])),
        Column("drafts", lambda r: str(r["drafted"])),
        Column("accepted %", lambda r: text.percent(r["acceptance"])),
        Column("tokens a pass", lambda r: text.number(r["tokens_a_pass"])),
        Column("measured speed-up", lambda r: text.number(r["speedup"])),
        Column("same tokens", lambda r: "yes" if r["same_tokens"] else "NO"),
    )
    note = (
        "The first blocks draft, the others verify all drafts in one pass. Measured: wall "
        "clock of plain decoding / of self-speculation, both compiled, interleaved."
    )
    return Table(f"{results.name}: self-speculation", columns, tuple(rows), (note,))
