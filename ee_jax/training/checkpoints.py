"""Checkpoints of training: the one place that knows Orbax."""

import errno
import logging
import shutil
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
from orbax.checkpoint import v1 as ocp

from ee_jax.display import SILENT
from ee_jax.errors import UserError
from ee_jax.manifest import check_files, is_sealed, seal

DENIED = (errno.EACCES, errno.EPERM, errno.EROFS)

logging.getLogger("absl").setLevel(logging.CRITICAL)


class Saved(NamedTuple):
    """A checkpoint: a tree of arrays and notes in JSON."""

    tree: Any
    notes: dict[str, Any]


class Checkpoints:
    """The newest two checkpoints in a folder; a save that is cut short leaves those before.

    Each has a manifest. One that is not as it was written is never read: training goes on from
    the one before it.
    """

    def __init__(self, folder: Path, identity: str, say: Callable[[str], None] = SILENT.say):
        """Opens the folder.

        Args:
          folder: where they are, or will be.
          identity: whose they are; those of another are refused.
          say: told of a checkpoint that is damaged.

        Raises:
          UserError: there are some, and all of them are damaged.
        """
        self._folder, self._identity = folder, identity
        _drop_damaged(folder, say)
        # Which keeps all of them: the oldest is deleted here, once the newest has a manifest.
        self._inner = ocp.training.Checkpointer(
            str(folder.absolute()), cleanup_tmp_directories=True
        )

    def save(self, number: int, tree: Any, **notes: Any) -> None:
        """Saves under a rising `number`; the oldest is deleted once this one is on disk."""
        notes = {**notes, "number": number, "identity": self._identity}
        told = sys.unraisablehook
        sys.unraisablehook = _without_closed_loops(told)
        try:
            self._inner.save_checkpointables(number, {"tree": tree}, custom_metadata=notes)
        except Exception as error:  # whatever Orbax makes of a disk that is full or read-only
            reason = " ".join(str(error).split())
            denied = isinstance(error, OSError) and error.errno in DENIED
            mend = "change the folder's rights" if denied else "make room"
            free = shutil.disk_usage(self._folder).free / 2**20
            raise UserError(
                f"no checkpoint can be written to {self._folder} ({reason:.200}), where "
                f"{free:,.0f} MiB are free: {mend}, and give the same command again"
            ) from error
        sys.unraisablehook = told
        seal(self._folder / str(number))
        for old in _newest_first(self._folder)[2:]:
            shutil.rmtree(old)

    def notes(self) -> dict[str, Any] | None:
        """The notes of the newest checkpoint, if there is one."""
        if self._inner.latest is None:
            return None
        metadata: Any = self._inner.checkpointables_metadata(self._inner.latest.step)
        notes = metadata.custom_metadata
        if not notes:
            raise self._broken(self._inner.latest.step)
        if notes["identity"] != self._identity:
            raise UserError(
                f"the checkpoint in {self._folder} belongs to config {notes['identity']}, "
                f"not {self._identity}: give another output folder, or undo the change of "
                "config"
            )
        return notes

    def load(self, like: Any) -> Saved:
        """The newest checkpoint, as a tree of `like`'s structure and shapes."""
        notes = self.notes()
        assert notes is not None, "no checkpoint: ask notes() first"
        number, abstract = notes["number"], jax.tree.map(_abstract, like)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # shardings come from the file
            try:
                tree = self._inner.load_checkpointables(number, {"tree": abstract})["tree"]
            except Exception as error:  # whatever Orbax makes of a broken file
                raise self._broken(number) from error
        return Saved(tree, notes)

    def _broken(self, number: int) -> UserError:
        mend = "delete it to train again from the start"
        return UserError(f"the checkpoint {self._folder / str(number)} cannot be read: {mend}")

    def close(self) -> None:
        """Ends Orbax's threads."""
        self._inner.close()


def _without_closed_loops(told: Callable[[Any], object]) -> Callable[[Any], object]:
    """Leaves out what the other writes of a save say that has failed, also after its end.

    Orbax closes the event loop that they report to, so each would print a traceback.
    """

    def hook(unraisable: Any) -> None:
        if str(unraisable.exc_value) != "Event loop is closed":
            told(unraisable)

    return hook


def _newest_first(folder: Path) -> list[Path]:
    """The checkpoints in a folder."""
    found = [path for path in folder.glob("*") if path.name.isdecimal() and path.is_dir()]
    return sorted(found, key=lambda path: int(path.name), reverse=True)


def _drop_damaged(folder: Path, say: Callable[[str], None]) -> None:
    """Deletes newer checkpoints that were cut short, or damaged where an older one is whole."""
    faults = []
    for path in _newest_first(folder):
        if not is_sealed(path):  # killed before it was whole: nothing was said of it yet
            shutil.rmtree(path)
            continue
        try:
            check_files(path, f"delete {folder} to train that strategy again")
        except UserError as error:
            faults.append((path, str(error)))
            continue
        for damaged, fault in faults:
            say(f"{fault.rpartition(': ')[0]}: going on from checkpoint {path.name}")
            shutil.rmtree(damaged)
        return
    if faults:
        raise UserError(faults[0][1])


def _abstract(leaf: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(
        leaf.shape, leaf.dtype, sharding=getattr(leaf, "sharding", None)
    )
