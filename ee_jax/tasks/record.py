"""A record of `ee-jax calibrate` as a run reads it: whole, and made for the run's exits."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from ee_jax.config import Exits
from ee_jax.errors import UserError
from ee_jax.results import Calibrated, from_json

Record = dict[str, Any]

FORMAT = {"format": "ee_jax calibration", "version": 1}
# What a run reads, and of what type.
FIELDS = {"choice": dict, "header": dict, "exit_layers": list}
CHOICE = {"label": str, "method": str, "risk": str, "warning": str, "threshold": (int, float)}


def load_record(path: str | Path) -> Record:
    """A valid record; a UserError of anything else."""
    try:
        record = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        mend = "write one with `ee-jax calibrate TRACE`"
        raise UserError(f"no record at {path}: {mend}") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read as a record ({error}): check it") from None
    if not isinstance(record, dict) or not FORMAT.items() <= record.items():
        raise UserError(f"{path} is no record of `ee-jax calibrate`: give the .json it wrote")
    if record.get("exit_layers") is None and "choice" in record:
        mend = "a run takes one of an exit trace"
        raise UserError(f"{path} is the record of a trace of whole sequences: {mend}")
    _check_fields(record, FIELDS, path)
    _check_fields(record["choice"], CHOICE, path)
    _check_thresholds(record, path)
    return record


def _check_fields(fields: Record, wanted: dict[str, Any], path: str | Path) -> None:
    for name, kind in wanted.items():
        if not isinstance(fields.get(name), kind):
            given = fields.get(name)
            raise UserError(f"{path}: `{name}` is {given!r}: write it with `ee-jax calibrate`")


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
