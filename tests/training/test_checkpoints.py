"""What is saved comes back bit for bit, or is refused in one line."""

import errno
import gc
import shutil
import sys
import warnings
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ee_jax.config import Frozen, Joint, OptimizerConfig
from ee_jax.errors import UserError
from ee_jax.losses.batch_losses import classifier_losses
from ee_jax.training.checkpoints import Checkpoints
from ee_jax.training.fit import StageFit
from ee_jax.training.strategies import stages
from tests.training.layouts import exits

TREE = {"a": jnp.arange(6.0).reshape(2, 3), "b": (jnp.array([-0.0, jnp.nan]), jnp.int32(3))}


@pytest.fixture(scope="module")
def master(tmp_path_factory) -> Path:
    """A folder with one checkpoint, to copy from."""
    folder = tmp_path_factory.mktemp("checkpoints")
    saves = Checkpoints(folder, "mine")
    saves.save(5, TREE, stage=1, data={"row": [1, 2]})
    saves.close()
    return folder


@pytest.fixture
def folder(master, tmp_path) -> Path:
    return Path(shutil.copytree(master, tmp_path / "checkpoints"))


def assert_same_bits(left, right):
    assert jax.tree.structure(left) == jax.tree.structure(right)
    for a, b in zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True):
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


def test_without_a_checkpoint_there_are_no_notes(tmp_path):
    assert Checkpoints(tmp_path, "mine").notes() is None


def test_a_checkpoint_comes_back_with_its_notes(folder):
    saved = Checkpoints(folder, "mine").load(TREE)
    assert_same_bits(saved.tree, TREE)
    assert saved.notes == {"stage": 1, "data": {"row": [1, 2]}, "number": 5, "identity": "mine"}


def test_the_newest_two_are_kept(folder):
    saves = Checkpoints(folder, "mine")
    for step in (7, 9):
        saves.save(step, jax.tree.map(lambda leaf, step=step: leaf + step, TREE), stage=2)
    assert {path.name for path in folder.iterdir()} == {"7", "9"}
    assert_same_bits(saves.load(TREE).tree, jax.tree.map(lambda leaf: leaf + 9, TREE))


def test_a_checkpoint_that_no_manifest_was_written_of_is_as_if_it_were_not_there(folder):
    shutil.copytree(folder / "5", folder / "9")
    (folder / "9" / "manifest.json").unlink()
    assert Checkpoints(folder, "mine").load(TREE).notes["number"] == 5
    assert [path.name for path in folder.iterdir()] == ["5"]


@given(bit=st.integers(0, 2**20))
@settings(max_examples=20)
def test_any_flipped_bit_is_told(master, tmp_path_factory, bit):
    """With one checkpoint there is none to go on from, and nothing is trained."""
    folder = Path(shutil.copytree(master, tmp_path_factory.mktemp("flipped") / "some"))
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    path = paths[bit % len(paths)]
    content = bytearray(path.read_bytes())
    if not content or path.name == "manifest.json":
        return
    content[bit // 8 % len(content)] ^= 1 << bit % 8
    path.write_bytes(content)
    mend = f"delete {folder} to train that strategy again"
    with pytest.raises(UserError, match=rf"SHA-256 differs\): {mend}$"):
        Checkpoints(folder, "mine")


def test_a_save_that_was_cut_short_leaves_the_one_before(folder):
    shutil.copytree(folder / "5", folder / "9.orbax-checkpoint-tmp")
    assert Checkpoints(folder, "mine").load(TREE).notes["number"] == 5
    assert [path.name for path in folder.iterdir()] == ["5"]


@pytest.mark.parametrize(
    ("error", "mend"),
    [
        (PermissionError(errno.EPERM, "not permitted"), "change the folder's rights"),
        (OSError(errno.EROFS, "read-only"), "change the folder's rights"),
        (OSError(errno.ENOSPC, "no space"), "make room"),
        (ValueError("RESOURCE_EXHAUSTED: no space"), "make room"),
    ],
)
def test_the_mend_of_a_save_that_fails_is_that_of_its_cause(folder, monkeypatch, error, mend):
    def fails(*_, **__):
        raise error

    saves = Checkpoints(folder, "mine")
    monkeypatch.setattr(saves._inner, "save_checkpointables", fails)
    with pytest.raises(UserError, match=rf"free: {mend}, and give the same command again$"):
        saves.save(6, TREE)
    saves.close()


def test_two_whole_checkpoints_are_there_until_the_third_has_its_manifest(folder, monkeypatch):
    def fails(path):
        raise OSError(errno.ENOSPC, "no space", str(path))

    saves = Checkpoints(folder, "mine")
    saves.save(7, TREE)
    monkeypatch.setattr("ee_jax.training.checkpoints.seal", fails)
    with pytest.raises(OSError, match="no space"):
        saves.save(9, TREE)
    assert all((folder / number / "manifest.json").exists() for number in "57")
    assert Checkpoints(folder, "mine").load(TREE).notes["number"] == 7


class Late:
    """A write that ends after the save that it is of, and can tell nobody."""

    def __init__(self, said: str):
        self.said = said

    def __del__(self):
        raise RuntimeError(self.said)


def test_a_save_that_fails_is_told_once(folder, monkeypatch):
    told: list[str] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda error: told.append(str(error.exc_value)))

    def fails(*_, **__):
        raise OSError(errno.ENOSPC, "no space")

    saves = Checkpoints(folder, "mine")
    monkeypatch.setattr(saves._inner, "save_checkpointables", fails)
    with pytest.raises(UserError, match="make room"):
        saves.save(6, TREE)
    Late("Event loop is closed")
    Late("something else")
    gc.collect()
    assert told == ["something else"]


def test_the_checkpoint_of_another_config_is_refused(folder):
    with pytest.raises(UserError) as error:
        Checkpoints(folder, "yours").notes()
    assert str(error.value) == (
        f"the checkpoint in {folder} belongs to config mine, not yours: give another output "
        "folder, or undo the change of config"
    )
    assert_same_bits(Checkpoints(folder, "mine").load(TREE).tree, TREE)


@pytest.fixture
def abandoned():
    """Sweeps up the reads that Orbax leaves alone when one of them fails."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
        gc.collect()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.usefixtures("abandoned")
@pytest.mark.parametrize("damage", [cut, Path.unlink, lambda path: path.write_bytes(b"")])
@pytest.mark.parametrize(
    "name",
    ["5/_CHECKPOINT_METADATA", "5/tree/_METADATA", "5/tree/manifest.ocdbt", "5/tree/d/*"],
)
def test_a_broken_checkpoint_is_one_line(folder, name, damage):
    (path,) = folder.glob(name)
    damage(path)
    with pytest.raises(UserError) as error:
        Checkpoints(folder, "mine").load(TREE)
    fault = "is missing" if damage is Path.unlink else "is not as it was written (its SHA"
    assert str(error.value).startswith(f"{path} {fault}")
    assert str(error.value).endswith(f": delete {folder} to train that strategy again")


@pytest.mark.usefixtures("abandoned")
def test_a_checkpoint_of_other_shapes_is_refused(folder):
    with pytest.raises(UserError, match="cannot be read"):
        Checkpoints(folder, "mine").load(TREE | {"a": jnp.zeros((2, 4))})


FIT = OptimizerConfig(
    epochs=2.0, batch=8, learning_rate=1e-3, head_learning_rate=1e-2
)  # 8 steps


@pytest.mark.parametrize("strategy", [Joint(fit=FIT), Frozen(fit=FIT)])
def test_a_resumed_stage_ends_with_the_same_bits(
    model, values, examples, features, mesh, tmp_path, strategy
):
    """Dropout, the order of the examples and Adam's moments all go on where they were."""
    (stage,) = stages(strategy, exits(2))
    read = examples if strategy.name == "joint" else features
    fit = StageFit(stage, classifier_losses(model), 32, mesh, 0.1)
    state, kept = fit.start(values)
    losses = []
    for point in fit.run(state, kept, read, seed=0):
        losses.append(float(point.metrics.loss))
        if point.step in (3, 8):  # on the way, and at the end
            saves = Checkpoints(tmp_path / str(point.step), "mine")
            saves.save(point.step, (point.state, kept), data=point.data)
        whole = point.state
    for stop in (3, 8):
        saved = Checkpoints(tmp_path / str(stop), "mine").load(fit.start(values))
        state, kept = saved.tree
        rest = list(fit.run(state, kept, read, seed=0, data=saved.notes["data"]))
        assert [float(point.metrics.loss) for point in rest] == losses[stop:]
        assert_same_bits(rest[-1].state if rest else saved.tree[0], whole)
