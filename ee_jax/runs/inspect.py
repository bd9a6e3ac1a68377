"""What the folder of a run or of a model holds, and whether it is as it was written."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ee_jax.errors import UserError
from ee_jax.manifest import (
    CHECKPOINTS,
    MANIFEST,
    Fault,
    faults,
    is_sealed,
    read_object,
    unlisted,
)
from ee_jax.models.export import EXITS, EXPORT_AGAIN
from ee_jax.results import RESULTS
from ee_jax.run_folder import CONFIG, versions


@dataclass
class Inspection:
    """What was found.

    Attributes:
      kind: `run`, or `model`.
      finished: whether the run has its results; of a model, True.
      found: what was looked at, and what was found, in words.
      faults: what is not as it was written, a line each.
      mend: what to do about the faults; nothing where there is none.
    """

    kind: str
    finished: bool = True
    found: dict[str, str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    mend: str = ""


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
        return _told(Inspection("model"), faults(folder), EXPORT_AGAIN)
    if not (folder / CONFIG).is_file():
        raise UserError(f"{folder / CONFIG} is missing: give the folder of a run or of a model")
    return _inspect_run(folder)


def _told(inspection: Inspection, found: list[Fault], mend: str) -> Inspection:
    inspection.faults = [f"{fault.path} {fault.what}" for fault in found]
    inspection.mend = mend if found else ""
    return inspection


def _inspect_run(folder: Path) -> Inspection:
    finished = (folder / RESULTS).is_file()
    wrong = faults(folder)
    if not finished:  # listed before it is there
        wrong = [fault for fault in wrong if fault.path != folder / RESULTS]
    checkpoints = [*_checkpoints(folder)]
    broken = [fault for path in checkpoints for fault in faults(path)]
    own = {folder / MANIFEST, folder / CONFIG} & {fault.path for fault in wrong}
    found = {"config": _config(folder, own), "versions": _versions(folder, own)}
    found["results"] = "finished" if finished else _resumable(folder, checkpoints, broken)
    # What is being written is listed when it is whole; later, other commands may write here.
    if finished and not own and (beside := unlisted(folder)):
        found["beside"] = f"{', '.join(map(str, beside))}: not of the run, and not checked"
    return _told(Inspection("run", finished, found), [*wrong, *broken], _mend(folder, own))


def _mend(folder: Path, own: set[Path]) -> str:
    """What makes a run's folder whole again; `own`: its damaged config or manifest."""
    if own:
        return f"copy {folder} again, or delete it and give the run's command again"
    return (
        f"copy {folder} again; or delete {RESULTS} in it and the folder of each damaged "
        "strategy, and give the run's command again"
    )


def _config(folder: Path, own: set[Path]) -> str:
    if folder / CONFIG in own:
        return "damaged"
    content = read_object(folder / CONFIG, f"delete {folder}, or copy it again")
    return f"{content.get('config', {}).get('name')}, {content.get('hash')}"


def _versions(folder: Path, own: set[Path]) -> str:
    """Those that differ from what is installed."""
    if folder / CONFIG in own:
        return "unknown"
    then, now = read_object(folder / CONFIG, "copy it again").get("versions", {}), versions()
    other = [name for name in now if then.get(name) != now[name]]
    said = [f"{name} {then.get(name)}, here {now[name]}" for name in other]
    return "; ".join(said) or "as installed"


def _checkpoints(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.glob(f"*/{CHECKPOINTS}/*")):
        if path.name.isdecimal() and is_sealed(path):
            yield path


def _resumable(folder: Path, checkpoints: list[Path], broken: list[Fault]) -> str:
    trained = sorted(path.parent.parent.name for path in folder.glob(f"*/model/{MANIFEST}"))
    whole = [p for p in checkpoints if not any(p in fault.path.parents for fault in broken)]
    going = {
        path.parent.parent.name: path.name
        for path in sorted(whole, key=lambda path: int(path.name))
    }
    parts = [f"{name} is trained" for name in trained]
    parts += [
        f"{name} goes on after step {step}"
        for name, step in going.items()
        if name not in trained
    ]
    return "not finished: " + ("; ".join(parts) or "nothing is trained yet")
