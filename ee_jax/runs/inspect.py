"""What the folder of a run or of a model holds, and whether it is as it was written."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ee_jax.errors import UserError
from ee_jax.manifest import CHECKPOINTS, MANIFEST, faults, is_sealed
from ee_jax.models.export import EXITS
from ee_jax.results import RESULTS
from ee_jax.run_folder import CONFIG, read_object, versions


@dataclass
class Inspection:
    """What was found.

    Attributes:
      kind: `run`, or `model`.
      finished: whether the run has its results; of a model, True.
      found: what was looked at, and what was found, in words.
      faults: what is not as it was written, a line each.
    """

    kind: str
    finished: bool = True
    found: dict[str, str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


def inspect(folder: Path) -> Inspection:
    """Reads every file of the folder and compares it with its manifest.

    Args:
      folder: of a run or of an exported model.

    Raises:
      UserError: it is the folder of neither.
    """
    if not is_sealed(folder):
        raise UserError(
            f"{folder} has no {MANIFEST}: give the folder of a run, or of an exported model"
        )
    if (folder / EXITS).is_file():
        return Inspection("model", faults=faults(folder))
    if not (folder / CONFIG).is_file():
        raise UserError(f"{folder / CONFIG} is missing: give the folder of a run or of a model")
    return _inspect_run(folder)


def _inspect_run(folder: Path) -> Inspection:
    finished = (folder / RESULTS).is_file()
    lines, unlisted = faults(folder), f" is not in {MANIFEST}"
    # What is being written is listed when it is whole; later, other commands may write here.
    beside = [line.removesuffix(unlisted) for line in lines if line.endswith(unlisted)]
    told = unlisted if finished else (unlisted, f"{folder / RESULTS} is missing")
    lines = [line for line in lines if not line.endswith(told)]
    checkpoints = [*_checkpoints(folder)]
    broken = [line for path in checkpoints for line in faults(path)]
    found = {"config": _config(folder), "versions": _versions(folder)}
    found["results"] = "finished" if finished else _resumable(folder, checkpoints, broken)
    if finished and beside:
        found["beside"] = f"{', '.join(beside)}: not of the run, and not checked"
    return Inspection("run", finished, found, [*lines, *broken])


def _config(folder: Path) -> str:
    content = read_object(folder / CONFIG, f"delete {folder}, or copy it again")
    name = content.get("config", {}).get("name")
    return f"{name}, {content.get('hash')}"


def _versions(folder: Path) -> str:
    """Those that differ from what is installed."""
    then = read_object(folder / CONFIG, "copy it again").get("versions", {})
    now = versions()
    other = [f"{name} {then.get(name)}, here {now[name]}" for name in now]
    other = [line for name, line in zip(now, other, strict=True) if then.get(name) != now[name]]
    return "; ".join(other) or "as installed"


def _checkpoints(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.glob(f"*/{CHECKPOINTS}/*")):
        if path.name.isdecimal() and is_sealed(path):
            yield path


def _resumable(folder: Path, checkpoints: list[Path], broken: list[str]) -> str:
    trained = sorted(path.parent.parent.name for path in folder.glob(f"*/model/{MANIFEST}"))
    going = {
        path.parent.parent.name: path.name
        for path in sorted(checkpoints, key=lambda path: int(path.name))
        if not any(line.startswith(f"{path}/") for line in broken)
    }
    parts = [f"{name} is trained" for name in trained]
    parts += [
        f"{name} goes on after step {step}"
        for name, step in going.items()
        if name not in trained
    ]
    return "not finished: " + ("; ".join(parts) or "nothing is trained yet")
