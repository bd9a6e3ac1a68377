"""Runs side by side, of any task: one line a run and strategy."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ee_jax.errors import UserError
from ee_jax.report import metrics, text
from ee_jax.report.render import Column, Row, Table
from ee_jax.report.select import (
    batches,
    chosen,
    difference,
    fastest,
    gains,
    has_policies,
    labels,
    shallowest,
)
from ee_jax.report.tables import measured
from ee_jax.results import Point, Results, Speculation, StrategyResults

BEST = "best"


def comparison(
    runs: Sequence[Results], tolerance: float = 0.01, calibration: str | None = None
) -> Table:
    """Each strategy's full model, and what early exits gain within the tolerance.

    At each batch size that was timed, the fastest setting; where none was, the least deep. Of
    language models the fastest self-speculation too.

    Args:
      runs: of any tasks.
      tolerance: what may be lost against the strategy's own full model, on the test split: 0.01
        is a point of a quality that is a share, and a perplexity that is 1 % higher.
      calibration: a label such as "ltt 2 %": what it chose without the test split is shown
        instead.

    Raises:
      UserError: no run has the calibration.
    """
    known = list(dict.fromkeys(label for results in runs for label in labels(results)))
    if calibration is not None and calibration not in known:
        raise UserError(
            f"no calibration `{calibration}` in these runs: choose from {', '.join(known)}"
        )
    compared = _Compared(tuple(runs), tolerance, calibration)
    rows = [compared.row(results, name) for results in runs for name in results.strategies]
    said = (*compared.said(), *not_comparable(runs))
    return Table("Runs compared", compared.columns(), tuple(rows), said)


@dataclass(frozen=True)
class _Compared:
    """What decides which of a run's points are shown."""

    runs: tuple[Results, ...]
    tolerance: float
    calibration: str | None

    @property
    def timed(self) -> list[int]:
        return sorted({batch for results in self.runs for batch in batches(results)})

    @property
    def untimed(self) -> bool:
        return any(not batches(results) for results in self.runs)

    @property
    def speculates(self) -> bool:
        return any(s.speculation for r in self.runs for s in r.strategies.values())

    def pick(
        self, results: Results, strategy: StrategyResults, batch: int | None
    ) -> Point | None:
        """The point to show at a batch size; None: where nothing was timed."""
        if self.calibration is not None:
            return chosen(strategy, self.calibration)
        asked = strategy.full_quality, self.tolerance
        if batch is None:
            return shallowest(results, strategy, *asked)
        return fastest(results, strategy, batch, *asked)

    def row(self, results: Results, name: str) -> Row:
        """One line."""
        strategy = results.strategies[name]
        row: dict[str, Any] = {
            "run": results.name,
            "strategy": name,
            "quality": results.quality,
            "full_quality": strategy.full_quality,
            "blocks": results.blocks,
        }
        for batch in self.timed:
            point = self.pick(results, strategy, batch)
            row |= _at(results, strategy, f"_b{batch}", point)
            row |= _speed(strategy, batch, point)
        if self.untimed:
            point = None if batches(results) else self.pick(results, strategy, None)
            row |= _at(results, strategy, "", point)
        if self.speculates:
            row |= _speculation(strategy)
        return row | {
            "config_hash": results.config_hash,
            "data": results.data["name"],
            "data_version": results.data["version"],
        }

    def columns(self) -> tuple[Column, ...]:
        """What is shown of a line."""
        head = self.calibration or BEST
        per_batch = [column for b in self.timed for column in _batch_columns(b, head)]
        untimed = [
            Column("stops above", lambda r: r["setting"] or text.DASH, is_text=True),
            _depth_column(""),
            Column("ideal", lambda r: text.number(r["ideal_speedup"])),
        ]
        drafting = [
            Column("drafting speed-up", _drafting),
            Column("accepted %", lambda r: text.percent(r["speculation_acceptance"])),
        ]
        return (
            Column("run", lambda r: r["run"], is_text=True),
            Column("strategy", lambda r: r["strategy"], is_text=True),
            Column("quality", lambda r: metrics.heading(r["quality"]), is_text=True),
            Column("full model", lambda r: metrics.cell(r["quality"], r["full_quality"])),
            *per_batch,
            *(untimed if self.untimed else ()),
            *(drafting if self.speculates else ()),
            Column("config", lambda r: r["config_hash"], is_text=True, spare=2),
            Column("data", lambda r: r["data_version"], is_text=True, spare=3),
        )

    def said(self) -> list[str]:
        """How the points were picked."""
        best = "the largest measured speed-up" if self.timed else "the least mean depth"
        if self.timed and self.untimed:
            best += " (the least mean depth, where speed was not measured)"
        lost = {metrics.tolerance(r.quality, self.tolerance): None for r in self.runs}
        said = (
            f"Best: {best} on the test split that loses at most {' or '.join(lost)} "
            "against the strategy's own full model."
        )
        if self.calibration is not None:
            said = (
                f"{self.calibration}: the threshold that it chose on the calibration split, "
                "measured on the test split."
            )
        drafting = (
            "Drafting: the largest measured speed-up of self-speculation over plain decoding, "
            "and the share of the drafts that was accepted there."
        )
        return [said, drafting] if self.speculates else [said]


def _at(results: Results, strategy: StrategyResults, end: str, point: Point | None) -> Row:
    """The picked point, empty where there is none."""
    names = (f"setting{end}", f"threshold{end}", f"mean_depth{end}", f"difference{end}")
    if point is None:
        values: tuple[Any, ...] = (None,) * 4
    else:
        apart = difference(results, point, strategy)
        values = (_setting(results, point), point.threshold, point.mean_depth, apart)
    row = dict(zip(names, values, strict=True))
    return row if end else row | {"ideal_speedup": point.ideal_speedup if point else None}


def _setting(results: Results, point: Point) -> str:
    if point.threshold >= 1:
        return "full model"
    shown = text.threshold(point.threshold)
    return f"{point.confidence} {shown}, {point.policy}" if has_policies(results) else shown


def _speed(strategy: StrategyResults, batch: int, point: Point | None) -> Row:
    """The measured speed-up; whether it is one, None where no point is the one to show."""
    was_timed = any(p.measured_speedup.get(batch) is not None for p in strategy.points)
    gained = gains(point, batch) if point else False if was_timed else None
    speedup = point.measured_speedup.get(batch) if point else None
    return {f"gains_b{batch}": gained, measured(batch): speedup}


def _batch_columns(batch: int, head: str) -> tuple[Column, ...]:
    def speedup(row: Row) -> str:
        picked = head == BEST or row[f"threshold_b{batch}"] is not None
        no_gain = picked and row[f"gains_b{batch}"] is False
        return text.NO_GAIN if no_gain else text.number(row[measured(batch)])

    return Column(f"{head} batch {batch}", speedup), _depth_column(f"_b{batch}")


def _depth_column(end: str) -> Column:
    def depth(row: Row) -> str:
        value = row[f"mean_depth{end}"]
        return text.DASH if value is None else f"{text.number(value)}/{row['blocks']}"

    return Column("mean depth", depth)


def _speculation(strategy: StrategyResults) -> Row:
    """The largest speed-up by self-speculation that gave the full model's tokens."""
    exact = [s for s in strategy.speculation if s.same_tokens and text.is_known(s.speedup)]
    best: Speculation | None = max(exact, key=lambda s: s.speedup or 0.0, default=None)
    keys = ("speedup", "acceptance", "depth", "drafted", "batch")
    return {f"speculation_{key}": getattr(best, key, None) for key in keys}


def _drafting(row: Row) -> str:
    value = row["speculation_speedup"]
    no_gain = value is not None and round(value, 2) <= 1
    return f"{text.number(value)}, {text.NO_GAIN}" if no_gain else text.number(value)


def not_comparable(runs: Sequence[Results]) -> list[str]:
    """A sentence for each thing in which the runs differ and should not."""
    judged = [r for r in runs if "vocabulary" in r.model and "length" in r.data]
    found = (
        _unlike("Not comparable, the data differ", runs, _data),
        _unlike("Perplexity is not comparable, the tokens differ", judged, _tokens),
        _unlike("Speed is not comparable, devices or precisions differ", runs, _machine),
    )
    return [note for note in found if note]


def _unlike(said: str, runs: Sequence[Results], what: Callable[[Results], str]) -> str:
    """Empty where all runs are alike."""
    different = dict.fromkeys(map(what, runs))
    return f"{said}: {'; '.join(different)}." if len(different) > 1 else ""


def _machine(results: Results) -> str:
    return results.machine


def _data(results: Results) -> str:
    data = results.data
    return f"{data['name']} {data['version']} (checksum {text.checksums(data['checksum'])})"


def _tokens(results: Results) -> str:
    """One text is other tokens to another tokenizer, and perplexity is a mean over tokens."""
    judged = min(strategy.examples or 0 for strategy in results.strategies.values())
    vocabulary, length = results.model["vocabulary"], results.data["length"]
    return f"{judged:,} of a vocabulary of {vocabulary:,} in rows of {length}"
