"""What each setting gives and takes relative to the model without exits, as papers say it."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from ee_jax.evaluation.contrasts import Contrast
from ee_jax.evaluation.statistics import seed_interval
from ee_jax.report import metrics, text
from ee_jax.report.render import Column, Row, Table
from ee_jax.report.select import batches, statics
from ee_jax.reproduce.answers import FULL, Key, SeedRun, TaskRuns, Weights
from ee_jax.reproduce.comparison import percent
from ee_jax.reproduce.measures import cost_of, difference, weights_on

NOTES = (
    "Against single: points above the full model that was fine-tuned without exits, and a 95 % "
    "interval from a bootstrap over the test examples within the seeds. Saved: share of that "
    "model's blocks, FLOPs and measured time.",
    "Against static: points above the straight line between the two models without exits next "
    "to the setting's measured time at the first batch size, with its interval.",
    "Quality and saved shares are means over the seeds; over several, a quality's interval is "
    "a bootstrap over the seeds.",
)


def operating_table(title: str, tasks: Sequence[TaskRuns]) -> Table:
    """A row for each task, strategy and setting that all its seeds have."""
    every = {b for task in tasks for run in task.runs for b in batches(run.results)}
    timed = sorted(every)
    rows = [
        _row(task, key, timed)
        for task in tasks
        for strategy in task.runs[0].results.strategies
        for key in task.shared(strategy)
        if not str(key[1]).startswith("patience")
    ]
    return Table(title, operating_columns(timed), tuple(rows), NOTES if rows else ())


def operating_columns(timed: Sequence[int]) -> tuple[Column, ...]:
    """How the rows are shown that were timed at these batch sizes."""
    return (
        Column("task", lambda r: r["task"], is_text=True),
        Column("strategy", lambda r: r["strategy"], is_text=True),
        Column("setting", lambda r: r["setting"], is_text=True),
        Column("quality", lambda r: metrics.cell(r["metric"], _share(r["quality"]))),
        Column("over seeds", partial(_interval, key="quality")),
        Column("against single", lambda r: text.points(r["single"])),
        Column("95 % interval", partial(_interval, key="single")),
        Column("layers saved %", lambda r: text.number(r["layers_saved"], 1)),
        Column("FLOPs saved %", lambda r: text.number(r["flops_saved"], 1)),
        *(_time_column(batch) for batch in timed),
        Column("against static", lambda r: text.points(r["static"])),
        Column("95 % interval", partial(_interval, key="static")),
    )


def _row(task: TaskRuns, key: Key, timed: Sequence[int]) -> dict[str, Any]:
    strategy, setting = key
    quality_S = [_quality(seed, key) for seed in task.seeds]
    known = [value for value in quality_S if value is not None]
    quality = sum(known) / len(known) if len(known) == len(quality_S) else None
    over_seeds = seed_interval(known) if quality is not None else None
    first = timed[0] if timed else None
    has_exits = strategy not in statics(task.runs[0].results)
    static = task.contrast(partial(_beside_static, key, first)) if has_exits else None
    return {
        "task": task.runs[0].task,
        "metric": task.metric,
        "strategy": strategy,
        "setting": _named(setting, has_exits),
        "seeds": len(task.runs),
        "quality": percent(quality),
        **dict(zip(("quality_low", "quality_high"), map(percent, over_seeds or (None, None)),
                   strict=True)),
        **_contrast("single", task.contrast(partial(_beside_single, key))),
        "layers_saved": _saved(task, key, "layers"),
        "flops_saved": _saved(task, key, "FLOPs"),
        **{f"time_saved_b{batch}": _saved(task, key, "time", batch) for batch in timed},
        **_contrast("static", static),
    }  # fmt: skip


def _named(setting: float | str, has_exits: bool) -> str:
    if isinstance(setting, str):
        return setting
    full = "full depth" if has_exits else "no exits"
    return full if setting == FULL else f"threshold {text.threshold(setting)}"


def _quality(seed: SeedRun, key: Key) -> float | None:
    """As the compiled program answered."""
    strategy, setting = key
    points = seed.run.results.strategies[strategy].points
    for point in points:
        is_of = setting in point.calibrated_for or (
            point.threshold == setting and point.threshold_E is None
        )
        if is_of:
            return point.quality
    return None


def _beside_single(key: Key, seed: SeedRun) -> Weights | None:
    single = seed.single()
    if single is None:
        return None
    return {} if key == single else {key: 1.0, single: -1.0}


def _beside_static(key: Key, batch: int | None, seed: SeedRun) -> Weights | None:
    """None where the setting's time does not lie between those of models without exits."""
    if batch is None or (time := seed.settings[key].time.get(batch)) is None:
        return None
    line = weights_on({k: p.time.get(batch) for k, p in seed.statics().items()}, time)
    return line and difference({key: 1.0}, line)


def _saved(task: TaskRuns, key: Key, of: Any, batch: int = 1) -> float | None:
    """In percent, over the seeds."""
    each = [cost_of(seed.settings[key], seed, of, batch) for seed in task.seeds]
    known = [cost for cost in each if cost is not None]
    return percent(1 - sum(known) / len(known)) if known and len(known) == len(each) else None


def _contrast(name: str, found: Contrast | None) -> dict[str, float | None]:
    value, low, high = (None, None, None) if found is None else found[:3]
    return {name: percent(value), f"{name}_low": percent(low), f"{name}_high": percent(high)}


def _share(value: float | None) -> float | None:
    return None if value is None else value / 100


def _interval(row: Row, key: str) -> str:
    low, high = row[f"{key}_low"], row[f"{key}_high"]
    if low is None:
        return text.DASH
    show = text.points if key != "quality" else lambda value: text.number(value, 1)
    return f"{show(low)} to {show(high)}"


def _time_column(batch: int) -> Column:
    name = f"time_saved_b{batch}"
    return Column(f"time saved %, batch {batch}", lambda row: text.number(row.get(name), 1))
