"""The thresholds that calibration chooses, of any task's trace, and what is run of them.

A record of `ee-jax calibrate` as a run reads it: whole, and made for the run's exits.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from ee_jax.atomic_io import parse_object
from ee_jax.calibration.describe import describe
from ee_jax.calibration.request import AnyTrace, Request, answer
from ee_jax.config import Calibration, Exits
from ee_jax.errors import UserError
from ee_jax.exits.stopping import PLAIN, Stopping
from ee_jax.results import Calibrated, from_json

Threshold = float | tuple[float, ...]  # of all exits, or of each


@dataclass(frozen=True)
class Setting:
    """A threshold to measure, and the calibrations that chose it, by their labels."""

    threshold: Threshold
    calibrated_for: tuple[str, ...] = ()


def requests(calibration: Calibration, stopping: Stopping = PLAIN) -> Iterator[Request]:
    """One for each certified method and level of the config."""
    for method in calibration.methods:
        for level in calibration.levels:
            yield Request(
                method=method,
                risk=calibration.risk,
                level=level,
                delta=calibration.delta,
                stopping=stopping,
            )


def risk_requests(calibration: Calibration) -> list[Request]:
    """Those of models that write: a tolerance is a level of the risk, as of all methods."""
    plain = [
        Request(method="empirical", risk=calibration.risk, level=tolerance)
        for tolerance in calibration.tolerances
    ]
    return [*plain, *requests(calibration)]


def answers(trace: AnyTrace, asked: Sequence[Request], **found_for: str) -> list[Calibrated]:
    """What each request chooses from the trace, which is of a confidence and a policy."""
    return [describe(answer(trace, request), request.risk, **found_for) for request in asked]


def settings(thresholds: Sequence[float], chosen: Sequence[Calibrated]) -> list[Setting]:
    """Every threshold once, with the labels of the calibrations that chose it."""
    labels: dict[Threshold, tuple[str, ...]] = dict.fromkeys(thresholds, ())
    for choice in chosen:
        threshold = choice.thresholds
        labels[threshold] = (*labels.get(threshold, ()), choice.label)
    return [Setting(threshold, names) for threshold, names in labels.items()]


Record = dict[str, Any]

FORMAT = {"format": "ee_jax calibration", "version": 1}
FIELDS = {"choice": dict, "header": dict, "exit_layers": list}  # what a run reads


def load_record(path: str | Path) -> Record:
    """A valid record; a UserError of anything else."""
    try:
        record = parse_object(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        mend = "write one with `ee-jax calibrate TRACE`"
        raise UserError(f"no record at {path}: {mend}") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read as a record ({error}): check it") from None
    if {name: record.get(name) for name in FORMAT} != FORMAT:
        raise UserError(f"{path} is no record of `ee-jax calibrate`: give the .json it wrote")
    if record.get("exit_layers") is None and "choice" in record:
        mend = "a run takes one of an exit trace"
        raise UserError(f"{path} is the record of a trace of whole sequences: {mend}")
    for name, kind in FIELDS.items():
        if not isinstance(given := record.get(name), kind):
            said = f"{path}: `{name}` is {given!r:.60}"
            raise UserError(f"{said}: write it with `ee-jax calibrate`")
    try:
        from_json(Calibrated, record["choice"])
    except ValueError as error:
        said = f"{path}: `choice` ({error})"
        raise UserError(f"{said}: write it with `ee-jax calibrate`") from None
    _check_thresholds(record, path)
    _check_temperatures(record, path)
    return record


def _check_temperatures(record: Record, path: str | Path) -> None:
    """Those in the header are the trace's own, and may be anything."""
    given, exits = record["header"].get("temperatures"), len(record["exit_layers"])
    if given is None:
        return
    try:
        numbers = from_json(tuple[float, ...], given)
    except ValueError:
        numbers = ()
    if len(numbers) != exits or min(numbers, default=0) <= 0:
        wanted = f"{exits} numbers above 0, one an exit"
        raise UserError(f"{path}: `header.temperatures` is {given!r:.60}: write {wanted}")


def _check_thresholds(record: Record, path: str | Path) -> None:
    each = record["choice"].get("threshold_E")
    given = [record["choice"]["threshold"]] if each is None else each
    numbers = isinstance(given, list) and all(type(t) in (int, float) for t in given)
    if not (numbers and all(0 <= t <= 1 for t in given)):
        raise UserError(f"{path}: a threshold lies in [0, 1], not {given}: calibrate anew")
    if each is not None and len(each) != (exits := len(record["exit_layers"])):
        raise UserError(f"{path}: {len(each)} thresholds for {exits} exits: calibrate anew")


def check_exits(record: Record, layers: tuple[int, ...], exits: Exits) -> None:
    """A UserError unless the thresholds were chosen for these exits and this rule."""
    pairs = {
        "exit_layers": (record["exit_layers"], list(layers)),
        "min_depth": (record.get("min_depth"), exits.min_depth),
        "patience": (record.get("patience"), exits.patience),
        "rule": (record.get("rule"), exits.rule),
        "confidence": (record["header"].get("confidence", exits.confidence), exits.confidence),
    }
    for name, (theirs, ours) in pairs.items():
        if theirs != ours:
            raise UserError(
                f"config field `calibration.record` has {name} {theirs}, but the experiment "
                f"has {ours}: calibrate a trace of this model"
            )


def recorded(
    record: Record, strategy: str, temperature_E: Float[np.ndarray, " E"]
) -> Calibrated:
    """The record's choice, labelled so; warns where its promise is of another model."""
    choice, header = from_json(Calibrated, record["choice"]), record["header"]
    warnings = [choice.warning] if choice.warning else []
    if (model := header.get("model", strategy)) != strategy:
        warnings.append(f"calibrated on a trace of {model}: promises nothing of {strategy}")
    theirs = header.get("temperatures")
    if theirs is not None and not np.allclose(theirs, temperature_E):
        warnings.append("calibrated at other temperatures: promises nothing here")
    return replace(
        choice,
        label=f"recorded {choice.label}",
        kind=f"recorded {choice.kind}",
        warning="; ".join(warnings),
    )
