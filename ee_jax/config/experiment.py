"""An experiment: its parts, its identity, and how it is written down."""

import dataclasses
import hashlib
import json
import math
import re
from dataclasses import dataclass
from typing import Any

from ee_jax.config.checks import check, check_types
from ee_jax.config.parts import Calibration, Data, Evaluation, Exits, Model
from ee_jax.config.strategies import (
    Distill,
    Frozen,
    Joint,
    SelfDistill,
    Staged,
    Strategy,
)


@dataclass(frozen=True)
class Experiment:
    """Everything that decides the numbers of one run."""

    name: str
    seed: int = 0
    data: Data = Data()
    model: Model = Model()
    exits: Exits = Exits()
    strategies: tuple[Strategy, ...] = (Joint(), Frozen())
    calibration: Calibration = Calibration()
    evaluation: Evaluation = Evaluation()
    checkpoint_seconds: float = 30.0  # between two checkpoints of training

    def __post_init__(self) -> None:
        check_types(self)
        names = [strategy.name for strategy in self.strategies]
        once = bool(names) and len(set(names)) == len(names)
        check(once, "strategies", f"must have different names, not {names}")
        plain = all(name.replace("-", "_").isidentifier() for name in names)
        check(plain, "strategies", f"must have names that can name a folder, not {names}")
        shared = self.exits.head == "shared"
        for strategy in self.strategies:
            apart = not (shared and isinstance(strategy, Staged))
            what = f"`shared` has no last head of its own for strategy `{strategy.name}`"
            check(apart, "exits.head", what)
        ok = 0 <= self.checkpoint_seconds < math.inf
        check(ok, "checkpoint_seconds", f"must be >= 0, not {self.checkpoint_seconds}")


def check_regression(experiment: Experiment) -> None:
    """Raises the one-line error of the first part that needs classes; a regression has none."""
    exits, data = experiment.exits, f"and `{experiment.data.name}` has none"
    serves = exits.confidence in ("saturation", "patience", "learned")
    mend = "take `patience`, `learned` or `saturation`"
    check(serves, "exits.confidence", f"`{exits.confidence}` needs classes, {data}: {mend}")
    lte = exits.scores is None or exits.learned.is_of_errors
    mend = "set learned.target to `correct` and learned.loss to `squared`"
    check(lte, "exits.learned", f"asks which answers are right, {data}: {mend}")
    mend = "set it to 0 and exits.confidence to `patience`"
    check(not exits.patience, "exits.patience", f"counts equal classes, {data}: {mend}")
    for strategy in experiment.strategies:
        what = f"`{strategy.name}` learns a distribution over classes, {data}: leave it out"
        check(not isinstance(strategy, Distill | SelfDistill), "strategies", what)


def to_dict(experiment: Experiment) -> dict[str, Any]:
    """The experiment as JSON types; a strategy carries its `kind`."""
    plain = dataclasses.asdict(experiment)
    for entry, strategy in zip(plain["strategies"], experiment.strategies, strict=True):
        entry["kind"] = re.sub(r"\B([A-Z])", r"_\1", type(strategy).__name__).lower()
    return json.loads(json.dumps(plain))


def config_hash(experiment: Experiment) -> str:
    """12 hex digits that name what is computed, wherever and however it is kept."""
    plain = to_dict(experiment)
    del plain["data"]["folder"], plain["data"]["manual_dir"], plain["checkpoint_seconds"]
    text = json.dumps(plain, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
