"""Where a trained classifier lies: in a run, in one strategy of it, or exported by itself."""

import json
from pathlib import Path

import numpy as np

from ee_jax.errors import UserError
from ee_jax.models.export import EXITS


def find_model(path: Path) -> Path:
    """The folder of the one exported classifier that a path speaks of."""
    if not path.is_dir():
        raise UserError(f"no folder {path}: give that of a run, or of an exported model")
    for folder in (path, path / "model"):
        if (folder / EXITS).is_file():
            _check_classifier(folder)
            return folder
    below = sorted(found.parent for found in path.glob(f"*/model/{EXITS}"))
    if len(below) > 1:
        names = " or ".join(str(folder.parent) for folder in below)
        raise UserError(f"{path} has several trained models: give {names}")
    if not below:
        raise UserError(
            f"{path} holds no trained model: finish its run, or give another folder"
        )
    _check_classifier(below[0])
    return below[0]


def _check_classifier(folder: Path) -> None:
    notes = json.loads((folder / EXITS).read_text())
    if "classes" not in notes.get("design", {}):
        raise UserError(f"{folder} is a language model: ask it with `ee-jax generate`")


def read_calibration(
    folder: Path, exits: int
) -> tuple[np.ndarray, dict[str, float | tuple[float, ...]]]:
    """Temperatures and chosen thresholds that lie beside a run's model; else none."""
    path = folder / "calibration.json"
    if not path.is_file():
        return np.ones(exits), {}
    found = json.loads(path.read_text())
    choices = {
        choice["label"]: tuple(choice["threshold_E"] or ()) or choice["threshold"]
        for choice in found["choices"]
    }
    return np.asarray(found["temperature_E"]), choices
