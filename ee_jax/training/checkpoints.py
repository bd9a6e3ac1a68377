"""Checkpoints of training: the one place that knows Orbax."""

import logging
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import jax
from orbax.checkpoint import v1 as ocp

from ee_jax.errors import UserError

logging.getLogger("absl").setLevel(logging.CRITICAL)


class Saved(NamedTuple):
    """A checkpoint: a tree of arrays and notes in JSON."""

    tree: Any
    notes: dict[str, Any]


class Checkpoints:
    """The newest checkpoint in a folder; a save that is cut short leaves the one before.

    `identity` says whose checkpoints they are; those of another are refused.
    """

    def __init__(self, folder: Path, identity: str):
        self._folder, self._identity = folder, identity
        # Typed as Any: the annotations of this young API lag behind what it takes.
        newest: Any = ocp.training.preservation_policies.LatestN(1)
        self._inner = ocp.training.Checkpointer(
            str(folder.absolute()), preservation_policy=newest, cleanup_tmp_directories=True
        )

    def save(self, number: int, tree: Any, **notes: Any) -> None:
        """Saves under a rising `number`, and waits until it is on disk."""
        notes = {**notes, "number": number, "identity": self._identity}
        self._inner.save_checkpointables(number, {"tree": tree}, custom_metadata=notes)

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


def _abstract(leaf: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(
        leaf.shape, leaf.dtype, sharding=getattr(leaf, "sharding", None)
    )
