"""A paper's cells, and ours beside them.

Of our settings the one that saves most nearly what the paper's cell saves stands beside it, so
none is picked by its quality on the test split. Beside an early exit's cell also stands what
the setting saves that loses most nearly as much. What was not run says why.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ee_jax.evaluation.statistics import Interval
from ee_jax.reproduce.aggregate import Setting, interval, settings
from ee_jax.reproduce.paper import FULL, Cell, Paper
from ee_jax.reproduce.study import Study
from ee_jax.reproduce.swept import Swept

PAPERS = (
    "task", "metric", "backbone", "method", "setting", "source", "evidence", "split",
    "hardware", "saving",
)  # fmt: skip
FAILED = "failed, for the reason below"
BOTH = ("value", "difference", "saved")  # in percent and points, as papers print them
NO_PAPER: dict[str, Any] = dict.fromkeys((*PAPERS, *(f"paper_{key}" for key in BOTH)))
NOT_RUN: dict[str, Any] = {
    **dict.fromkeys(("threshold", *(f"our_{key}" for key in BOTH), "low", "high")),
    "seeds": 0,
    "same_loss_difference": None,
    "same_loss_saved": None,
    "against_paper": None,
    "differs": [],
}


@dataclass(frozen=True)
class Comparison:
    """One study's paper, and what a sweep of the study found on weights of ours."""

    study: Study
    paper: Paper
    weights: str
    swept: Swept

    @property
    def backbone(self) -> str:
        """The paper's backbone whose cells ours stand beside."""
        return matching_backbone(self.weights, self.paper) or self.study.backbone

    def rows(self) -> list[dict[str, Any]]:
        """A row for each of the paper's cells, then for ours on tasks that it does not have."""
        theirs = {cell.task for cell in self.paper.cells if cell.backbone == self.backbone}
        more = [task for task in self.swept.tasks if task not in theirs]
        added = [row for task in more for row in self._ours_alone(task)]
        return [*map(self._row, self.paper.cells), *added]

    def _row(self, cell: Cell) -> dict[str, Any]:
        row = of_paper(self.paper, cell)
        if reason := self._why_not(cell):
            return row | NOT_RUN | {"not_run": reason}
        strategy = self.study.methods[cell.method]
        runs = self.swept.of(cell.task).finished
        found = settings(runs, strategy, cell.metric, cell.saving)
        picked = pick(cell, found)
        if picked is None or picked.quality is None:
            return row | NOT_RUN | {"not_run": "no setting of ours has these numbers"}
        row |= of_setting(picked, interval(runs, strategy, picked, cell.metric))
        lost = None if cell.setting == FULL else row["paper_difference"]
        row |= at_same_loss(lost, found)
        gap = points(row["our_value"], row["paper_value"])
        return row | {"against_paper": gap, "differs": self._differs(cell)}

    def _why_not(self, cell: Cell) -> str:
        """Why a cell has nothing of ours beside it; empty where something was run."""
        swept = self.swept.of(cell.task)
        if cell.method not in self.study.methods:
            return "not part of this study"
        if cell.task not in self.study.tasks:
            return f"{cell.task} is no task of this study"
        if cell.backbone != self.backbone:
            return f"no weights of {cell.backbone} given"
        if not swept.tasks:
            return "task not asked for"
        return "" if swept.finished else FAILED

    def _differs(self, cell: Cell) -> list[str]:
        swept = self.swept.of(cell.task)
        seeds, lost = len(swept.finished), len(swept.failed)
        differs = {
            "backbone": matching_backbone(self.weights, self.paper) != cell.backbone,
            "hardware": cell.saved_share is not None
            and cell.saving in ("wall clock", "not stated"),
            f"dev, not {cell.split}": cell.split != "dev",
            "metric not stated": cell.metric is None,
            "speed-up of what not stated": bool(cell.speedup) and cell.saving == "not stated",
            f"{lost} of {seeds + lost} seeds failed": lost > 0,
        }
        return [what for what, is_so in differs.items() if is_so]

    def _ours_alone(self, task: str) -> list[dict[str, Any]]:
        """Every setting of every strategy, or why there is none."""
        start, swept = NO_PAPER | {"task": task}, self.swept.of(task)
        if not swept.finished:
            return [start | NOT_RUN | {"not_run": FAILED}]
        results = swept.finished[0].results
        found = {name: settings(swept.finished, name) for name in results.strategies}
        return [
            start
            | {"metric": results.quality, "method": strategy, "setting": _name(setting)}
            | of_setting(setting, interval(swept.finished, strategy, setting))
            | at_same_loss(None, ())
            | {"against_paper": None, "differs": []}
            for strategy, each in found.items()
            for setting in each
        ]


def matching_backbone(weights: str, paper: Paper) -> str | None:
    """The paper's backbone that the weights' name names: `bert-base` in `bert-base-uncased`."""
    for name in dict.fromkeys(cell.backbone for cell in paper.cells):
        if re.search(rf"(?<![a-z]){re.escape(name)}(?![a-z])", weights.lower()):
            return name
    return None


def pick(cell: Cell, found: Sequence[Setting]) -> Setting | None:
    """The full model for a full model; else the early exit that saves most nearly as much."""
    if cell.setting == FULL:
        return next((setting for setting in found if setting.threshold == 1), None)
    share = cell.saved_share
    early = [s for s in found if s.threshold < 1 and s.saved is not None]
    if share is None or not early:
        return None
    return min(early, key=lambda setting: abs((setting.saved or 0) - share))


def at_same_loss(lost: float | None, found: Sequence[Setting]) -> dict[str, float | None]:
    """What the early exit saves that loses most nearly as many points."""
    early = [s for s in found if s.threshold < 1 and s.difference is not None]
    if lost is None or not early:
        return {"same_loss_difference": None, "same_loss_saved": None}
    nearest = min(early, key=lambda s: abs(100 * (s.difference or 0.0) - lost))
    return {
        "same_loss_difference": percent(nearest.difference),
        "same_loss_saved": percent(nearest.saved),
    }


def of_paper(paper: Paper, cell: Cell) -> dict[str, Any]:
    """A row's part of the paper."""
    share = cell.saved_share
    return {
        **{key: getattr(cell, key) for key in PAPERS},
        "paper_value": paper.value(cell),
        "paper_difference": paper.difference(cell),
        "paper_saved": None if share is None else round(100 * share, 6),
    }


def of_setting(setting: Setting, interval: Interval | None) -> dict[str, Any]:
    """A row's part of ours; the interval is of the quality."""
    low, high = interval or (None, None)
    return {
        "threshold": setting.threshold,
        "our_value": percent(setting.quality),
        "our_difference": percent(setting.difference),
        "our_saved": percent(setting.saved),
        "low": percent(low),
        "high": percent(high),
        "seeds": len(setting.quality_S),
        "not_run": "",
    }


def percent(value: float | None) -> float | None:
    """A share in percent, without the dust of floating point."""
    return None if value is None else round(100 * value, 6)


def points(first: float | None, second: float | None) -> float | None:
    """The difference of two percentages."""
    return None if first is None or second is None else round(first - second, 6)


def _name(setting: Setting) -> str:
    return FULL if setting.threshold == 1 else f"threshold {setting.threshold:.3g}"
