"""Building, checking and opening a data set of seven rows."""

import os
from pathlib import Path

import pytest

from ee_jax.data import prepared
from ee_jax.data.prepared import open_split, prepare
from ee_jax.data.registry import DATASETS, root_folder
from ee_jax.errors import UserError
from ee_jax.owned_folder import held
from tests.data.tiny_rows import PAIRS, ROWS


def test_rows_come_back_in_order(root):
    for split, rows in ROWS.items():
        examples = open_split("tiny", split, root)
        assert list(zip(examples.texts, examples.label_N.tolist(), strict=True)) == rows
        assert examples.label_N.dtype == "int32"
        assert examples.classes == ("no", "yes")


def test_pairs_and_numbers_come_back_as_they_were(tmp_path, monkeypatch):
    monkeypatch.setitem(DATASETS, "pairs", "tests.data.tiny_rows:TinyPairs")
    prepare("pairs", tmp_path)
    examples = open_split("pairs", "test", tmp_path)
    assert list(zip(examples.texts, examples.label_N.tolist(), strict=True)) == PAIRS
    assert examples.label_N.dtype == "float32"
    assert examples.classes == ()


def test_prepare_says_what_there_is_and_builds_once(root):
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    found = prepare("tiny", root)
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before
    assert {split: tally.rows for split, tally in found.splits.items()} == {
        "train": 5,
        "test": 2,
    }
    assert (found.folder, found.source) == (root / "tiny" / "1.2.3", "this file")


def test_prepare_writes_nothing_to_the_terminal(tmp_path, capfd):
    prepare("tiny", tmp_path)
    assert capfd.readouterr() == ("", "")


def test_what_is_not_prepared_names_the_command(tmp_path, monkeypatch):
    monkeypatch.setenv("EE_JAX_DATA", str(tmp_path))
    with pytest.raises(UserError, match="run `ee-jax data prepare tiny`"):
        open_split("tiny", "train")


def test_unknown_names_are_answered_with_the_nearest(root):
    with pytest.raises(
        UserError, match="no data set `stdlib_docstring`: did you mean `stdlib_docstrings`"
    ):
        prepare("stdlib_docstring", root)
    with pytest.raises(UserError, match="no split `tset` in `tiny`: did you mean `test`"):
        open_split("tiny", "tset", root)
    with pytest.raises(UserError, match="no split `dev` in `tiny`: there is train, test"):
        open_split("tiny", "dev", root)


def test_a_build_that_loses_rows_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setitem(DATASETS, "tiny", "tests.data.tiny_rows:Losing")
    with pytest.raises(
        RuntimeError, match=r"tiny/train: generated .*rows=5.* files hold .*rows=4"
    ):
        prepare("tiny", tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_two_builds_at_once_leave_one_data_set(tmp_path, monkeypatch):
    """The second build starts and ends while the first is about to move into place."""
    check = prepared._check

    def meanwhile(*arguments):
        monkeypatch.setattr(prepared, "_check", check)
        prepare("tiny", tmp_path)
        check(*arguments)

    monkeypatch.setattr(prepared, "_check", meanwhile)
    assert prepare("tiny", tmp_path).splits["test"].rows == 2
    assert open_split("tiny", "train", tmp_path).texts == [text for text, _ in ROWS["train"]]
    assert [path.name for path in (tmp_path / "tiny").iterdir()] == ["1.2.3"]


def test_a_folder_that_cannot_be_made_is_the_users_to_mend(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot build `tiny` in .*set EE_JAX_DATA"):
        prepare("tiny", tmp_path / "file")


def test_root_folder(monkeypatch):
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.delenv("EE_JAX_DATA", raising=False)
    assert root_folder() == Path("/home/ada/.cache/ee_jax/data")
    monkeypatch.setenv("EE_JAX_DATA", "~/sets")
    assert root_folder() == Path("/home/ada/sets")
    assert root_folder("here") == Path("here")


def test_what_a_killed_process_was_building_is_swept(tmp_path):
    """What another process is building, or has only just begun, stays."""
    parent = tmp_path / "tiny"
    old, busy, new = (parent / f".building-{name}" for name in ("old", "busy", "new"))
    for folder in (old, busy, new):
        folder.mkdir(parents=True)
    for folder in (old, busy):
        os.utime(folder, (0, 0))
    with held(busy):
        os.utime(busy, (0, 0))
        prepare("tiny", tmp_path)
    assert {path.name for path in parent.iterdir()} == {busy.name, new.name, "1.2.3"}
