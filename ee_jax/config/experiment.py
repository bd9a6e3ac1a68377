"""An experiment: its parts, its identity, and how it is written down."""

import dataclasses
import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any

from ee_jax.checks import check, check_experiment
from ee_jax.config.language import LanguageExperiment
from ee_jax.config.parts import Calibration, Data, Evaluation, Exits, Model
from ee_jax.exits.confidence import traits
from ee_jax.training.stage import ExitLayout
from ee_jax.training.strategies import Frozen, Joint, Strategy


@dataclass(frozen=True)
class Experiment:
    """Everything that decides the numbers of one run of a classifier."""

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
        check_experiment(self)


def check_regression(experiment: Experiment) -> None:
    """Raises the one-line error of the first part that needs classes; a regression has none."""
    exits, data = experiment.exits, f"and `{experiment.data.name}` has none"
    serves = not traits(exits.confidence).needs_classes
    mend = "take `patience`, `learned` or `saturation`"
    check(serves, "exits.confidence", f"`{exits.confidence}` needs classes, {data}: {mend}")
    lte = exits.scores is None or exits.learned.is_of_errors
    mend = "set learned.target to `correct` and learned.loss to `squared`"
    check(lte, "exits.learned", f"asks which answers are right, {data}: {mend}")
    # Traces do not know `exits.tolerance`, without which calibration cannot count.
    mend = "set it to 0 and exits.confidence to `patience`"
    check(not exits.patience, "exits.patience", f"is calibrated on classes, {data}: {mend}")
    layout = ExitLayout(exits.layers or (1, 2))
    for strategy in experiment.strategies:
        terms = [term for stage in strategy.stages(layout) for term in stage.losses]
        needs = any(term.loss.needs_classes for term in terms)
        what = f"`{strategy.name}` learns a distribution over classes, {data}: leave it out"
        check(not needs, "strategies", what)


AnyExperiment = Experiment | LanguageExperiment


def to_dict(experiment: AnyExperiment) -> dict[str, Any]:
    """The experiment as JSON types; a strategy carries its `kind`."""
    plain = dataclasses.asdict(experiment)
    for entry, strategy in zip(plain["strategies"], experiment.strategies, strict=True):
        entry["kind"] = re.sub(r"\B([A-Z])", r"_\1", type(strategy).__name__).lower()
    return json.loads(json.dumps(plain))


def identity(experiment: AnyExperiment) -> dict[str, Any]:
    """What is computed, as JSON types, wherever and however it is kept."""
    plain = to_dict(experiment)
    for where in ("folder", "manual_dir"):
        plain["data"].pop(where, None)
    del plain["checkpoint_seconds"]
    return plain


def config_hash(experiment: AnyExperiment) -> str:
    """12 hex digits that name the `identity`."""
    text = json.dumps(identity(experiment), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
