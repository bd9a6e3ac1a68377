"""An experiment: its parts, its identity, and how it is written down."""

import dataclasses
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_type_hints

from ee_jax.checks import check, check_name, check_types, shown
from ee_jax.config.parts import Calibration, Evaluation, Exits
from ee_jax.config.sources import Data, DataConfig, Model, ModelConfig
from ee_jax.models.precision import PRECISIONS
from ee_jax.training.strategies import Frozen, Joint, Learned, Strategy

LONGEST = 100  # characters of a name; a folder's may have 255 bytes


@dataclass(frozen=True)
class Experiment:
    """Everything that decides the numbers of one run, of any task."""

    name: str
    seed: int = 0
    task: str = "classification"  # a name in `tasks.TASKS`
    data: DataConfig = Data()
    model: ModelConfig = Model()
    exits: Exits = Exits()
    strategies: tuple[Strategy, ...] = (Joint(), Frozen())
    calibration: Calibration = Calibration()
    evaluation: Evaluation = Evaluation()
    precision: str = "float32"  # what the model computes in: `float32` or `bfloat16`
    checkpoint_seconds: float = 30.0  # between two checkpoints of training

    def __post_init__(self) -> None:
        check_types(self)
        plain = bool(re.fullmatch(r"\w[\w.+-]*", self.name)) and len(self.name) <= LONGEST
        can = f"must be up to {LONGEST} letters, digits and _ . + -, as it names a folder"
        can = f"{can}, not {shown(self.name)}"
        check(plain, "name", can)
        check_names(self.strategies)
        check_name(self.precision, PRECISIONS, "precision")
        check(0 <= self.seed < 2**32, "seed", f"must be from 0 to 2^32 - 1, not {self.seed}")
        pause = self.checkpoint_seconds
        check(pause >= 0, "checkpoint_seconds", f"must be >= 0, not {pause}")

    @property
    def confidences(self) -> tuple[str, ...]:
        """All that are evaluated."""
        return self.evaluation.confidences or (self.exits.confidence,)

    @property
    def learned(self) -> Learned | None:
        """How the scores of a learned confidence learn; None where nothing reads them."""
        return self.exits.learned if "learned" in self.confidences else None


def check_names(strategies: Sequence[Strategy]) -> None:
    """Raises the one-line error of strategies whose names cannot name their folders."""
    names = [strategy.name for strategy in strategies]
    once = bool(names) and len(set(names)) == len(names)
    check(once, "strategies", f"must have different names, not {shown(names)}")
    plain = all(n.replace("-", "_").isidentifier() and len(n) <= LONGEST for n in names)
    can = f"must have names that can name a folder, not {shown(names)}"
    check(plain, "strategies", can)


def to_dict(experiment: Experiment) -> dict[str, Any]:
    """The experiment as JSON types; data, model and strategies carry their `kind`."""
    plain = _plain(experiment)
    for name in ("data", "model"):
        plain[name]["kind"] = _kind(getattr(experiment, name))
    for entry, strategy in zip(plain["strategies"], experiment.strategies, strict=True):
        entry["kind"] = _kind(strategy)
    return json.loads(json.dumps(plain))


def _plain(part: Any) -> dict[str, Any]:
    """Its fields; floats as floats, so that experiments which are equal are written alike."""
    types = get_type_hints(type(part))
    return {
        field.name: _as_written(getattr(part, field.name), str(types[field.name]))
        for field in dataclasses.fields(part)
    }


def _as_written(value: Any, kind: str) -> Any:
    if dataclasses.is_dataclass(value):
        return _plain(value)
    if isinstance(value, tuple):
        return [_as_written(each, kind) for each in value]
    whole = isinstance(value, bool) or not isinstance(value, int | float)
    if whole or "float" not in kind or (isinstance(value, int) and "int" in kind):
        return value
    return float(value) + 0.0  # 1 is 1.0, and -0.0 is 0.0


def _kind(part: Any) -> str:
    """The name of its class in small letters: `TwoStage` is `two_stage`."""
    return re.sub(r"(?<=[a-z])([A-Z])", r"_\1", type(part).__name__).lower()


def identity(experiment: Experiment) -> dict[str, Any]:
    """What is computed, as JSON types, wherever and however it is kept."""
    plain = to_dict(experiment)
    for where in ("folder", "manual_dir"):
        plain["data"].pop(where, None)
    del plain["checkpoint_seconds"]
    return plain


def config_hash(experiment: Experiment) -> str:
    """12 hex digits that name the `identity`."""
    text = json.dumps(identity(experiment), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
