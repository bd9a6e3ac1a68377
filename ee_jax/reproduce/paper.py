"""A paper's table: every cell with where it stands in the paper and how it was obtained.

A file is one JSON object: `name`, `title`, `where` and `url` of the paper, `notes`, `tables`. A
table says once what its `cells` share: `source`, `evidence`, `split`, `hardware`, `saving`.
"""

import dataclasses
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import typeguard

from ee_jax.atomic_io import parse_object
from ee_jax.errors import UserError

FULL = "full"  # the setting of a model that never stops early
BASELINE = "baseline"  # the method: the backbone fine-tuned without exits

Evidence = Literal["read", "second-hand", "from memory"]  # read: in the primary source
Saving = Literal["wall clock", "layers", "FLOPs", "not stated"]


@dataclass(frozen=True)
class Cell:
    """One cell; numbers are as the source prints them, in percent and points."""

    task: str  # e.g. "sst2"; "mnli-mm" is MNLI's mismatched set
    metric: str | None  # None: the source does not name it
    backbone: str
    method: str
    setting: str
    source: str
    evidence: Evidence
    split: str
    hardware: str
    saving: Saving  # what `saved` and `speedup` count
    value: float | int | None = None
    difference: float | int | None = None  # points against the baseline
    saved: float | int | None = None  # percent
    speedup: float | int | None = None
    seconds: float | int | None = None  # of the whole split
    flops: int | None = None  # of one example

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            _check_type(field, getattr(self, field.name))
        if {self.value, self.difference, self.saved, self.speedup} == {None}:
            raise ValueError("a cell without a number")
        if not -100 <= (self.value or 0) <= 100:
            raise ValueError("`value` must lie in [-100, 100]")
        if not 0 <= (self.saved or 0) < 100:
            raise ValueError("`saved` must lie in [0, 100)")
        if self.speedup is not None and not self.speedup > 0:
            raise ValueError("`speedup` must be positive")

    @property
    def key(self) -> tuple[str | None, ...]:
        """What no other cell of the paper has."""
        where = (self.task, self.metric, self.backbone)
        return (*where, self.method, self.setting, self.source)

    @property
    def saved_share(self) -> float | None:
        """The share of the full model's cost that is saved: 0.5 where the speed-up is 2."""
        if self.saved is not None:
            return self.saved / 100
        return None if self.speedup is None else 1 - 1 / self.speedup


@dataclass(frozen=True)
class Paper:
    """The cells of one paper, in its order."""

    name: str
    title: str
    where: str
    url: str
    notes: tuple[str, ...]
    cells: tuple[Cell, ...]

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            _check_type(field, getattr(self, field.name))

    def baseline(self, cell: Cell) -> Cell | None:
        """The cell of the full model that a cell's difference is against."""
        key = (cell.task, cell.metric, cell.backbone, BASELINE, FULL, cell.source)
        return next((other for other in self.cells if other.key == key), None)

    def value(self, cell: Cell) -> float | None:
        """The quality of a cell: as printed, or the baseline's plus the printed difference."""
        baseline = self.baseline(cell)
        if cell.value is not None or cell.difference is None or baseline is None:
            return cell.value
        assert baseline.value is not None  # or it would hold no number
        return round(baseline.value + cell.difference, 6)

    def difference(self, cell: Cell) -> float | None:
        """Points against the baseline: as printed, or from the two values."""
        baseline = self.baseline(cell)
        if cell.difference is not None or cell.value is None or baseline is None:
            return cell.difference
        assert baseline.value is not None
        return round(cell.value - baseline.value, 6)


def load_paper(path: Path) -> Paper:
    """The table of a paper, from its JSON file; errors as `parse_paper`."""
    try:
        return parse_paper(parse_object(path.read_text("utf-8")), str(path))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}): write a paper's table") from None


def parse_paper(content: Any, name: str) -> Paper:
    """A paper from what its JSON holds; `name` is what an error calls the file.

    Raises:
        UserError: a field is missing, unknown or out of range, or two cells are the same one.
    """
    try:
        head: dict[str, Any] = dict(content)
        tables = head.pop("tables")
        head["notes"] = _listed(head["notes"])
        each = [(table, cell) for table in _listed(tables) for cell in _listed(table["cells"])]
        cells = tuple(_cell(table, cell) for table, cell in each)
        paper = Paper(**head, cells=cells)
    except KeyError as error:
        raise UserError(f"{name}: {error} is missing") from None
    except (TypeError, ValueError) as error:
        raise UserError(f"{name}: {error}") from None
    if twice := [key for key, count in Counter(c.key for c in cells).items() if count > 1]:
        raise UserError(f"{name}: two cells for {twice[0]}")
    return paper


def _listed(value: Any) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise TypeError(f"{value!r:.60} is no list")
    return tuple(value)


def _cell(table: dict[str, Any], cell: dict[str, Any]) -> Cell:
    shared = {key: value for key, value in table.items() if key != "cells"}
    try:
        return Cell(**shared, **cell)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{error} in {cell}") from None


def _check_type(field: dataclasses.Field, value: Any) -> None:
    try:
        every = typeguard.CollectionCheckStrategy.ALL_ITEMS
        typeguard.check_type(value, field.type, collection_check_strategy=every)
        if isinstance(value, bool):
            raise ValueError(f"`{field.name}`: {value} is no number")
    except typeguard.TypeCheckError as error:
        raise ValueError(f"`{field.name}`: {error}") from None
