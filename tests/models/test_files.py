"""Folders and packages of weights, in one file or in shards, and what is wrong with them."""

import shutil
import subprocess
import sys

import numpy as np
import pytest

from ee_jax.errors import UserError
from ee_jax.models.files import INDEX, WEIGHTS, find_weights, read_tensors
from tests.models.folders import copy_golden, shard


@pytest.fixture
def folder(tmp_path):
    return copy_golden("albert", tmp_path)


def make_package(folder, tmp_path, monkeypatch):
    """A package `some_weights` with a copy of the folder inside."""
    package = tmp_path / "some_weights"
    shutil.copytree(folder, package / "inner" / "albert")
    (package / "__init__.py").write_text("raise AssertionError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    return package / "inner" / "albert"


@pytest.mark.parametrize("prepare", [lambda folder: None, shard])
def test_a_folder_is_its_own_place(folder, prepare):
    prepare(folder)
    assert find_weights(str(folder)) == folder


@pytest.mark.parametrize("prepare", [lambda folder: None, shard])
def test_a_package_is_looked_into_and_not_imported(folder, prepare, tmp_path, monkeypatch):
    prepare(folder)
    inner = make_package(folder, tmp_path, monkeypatch)
    assert find_weights("some_weights") == inner


@pytest.mark.parametrize(
    "source", ["no_such_package", "json", "no/such/folder", "not-a-package", "", "a b/c"]
)
def test_no_weights(source):
    with pytest.raises(UserError, match="neither a folder with model"):
        find_weights(source)


def test_shards_are_read_as_one(folder):
    wanted = read_tensors(folder)
    shard(folder)
    got = read_tensors(folder)
    assert got.keys() == wanted.keys()
    assert all(np.array_equal(got[name], wanted[name]) for name in wanted)


def test_a_shard_that_is_missing_is_named(folder):
    lost = shard(folder)[1]
    (folder / lost).unlink()
    with pytest.raises(UserError, match=f"{lost} is missing"):
        read_tensors(folder)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"weight_map": [1]}', "null"])
def test_an_index_that_is_none(folder, content):
    (folder / WEIGHTS).unlink()
    (folder / INDEX).write_text(content)
    with pytest.raises(UserError, match=r"index\.json lists no shards"):
        read_tensors(folder)


def test_one_file_goes_before_an_index(folder):
    (folder / INDEX).write_text("left behind")
    assert read_tensors(folder)


def test_no_file_at_all(folder):
    (folder / WEIGHTS).unlink()
    with pytest.raises(UserError, match=r"model\.safetensors is missing"):
        read_tensors(folder)


@pytest.mark.parametrize("where", ["../outside.safetensors", "absolute", "link.safetensors"])
def test_a_file_of_a_model_lies_in_its_folder(folder, tmp_path, where):
    names, outside = shard(folder), tmp_path / "outside.safetensors"
    shutil.move(folder / names[0], outside)
    (folder / "link.safetensors").symlink_to(outside)
    where = str(outside) if where == "absolute" else where
    index = (folder / INDEX).read_text().replace(names[0], where)
    (folder / INDEX).write_text(index)
    with pytest.raises(UserError, match="leads out of its model's folder"):
        read_tensors(folder)


def test_a_model_in_one_file_may_not_be_a_link_either(folder, tmp_path):
    shutil.move(folder / WEIGHTS, tmp_path / WEIGHTS)
    (folder / WEIGHTS).symlink_to(tmp_path / WEIGHTS)
    with pytest.raises(UserError, match="leads out of its model's folder"):
        read_tensors(folder)


def test_a_pickle_is_refused_with_the_command_that_converts_it(folder, tmp_path):
    torch = pytest.importorskip("torch")
    pytest.importorskip("safetensors.torch")
    wanted = read_tensors(folder)
    spaced = folder.rename(tmp_path / "with space")
    (spaced / WEIGHTS).unlink()
    for number in range(2):
        some = {n: torch.tensor(wanted[n]) for n in sorted(wanted)[number::2]}
        some["shared"], some["turned"] = next(iter(some.values())), torch.zeros(2, 3).T
        torch.save(some, spaced / f"pytorch_model-{number}.bin")
    with pytest.raises(UserError, match="a pickle is not loaded, as it may run") as error:
        find_weights(str(spaced))
    command = str(error.value).partition("convert it with torch: ")[2]
    command = command.replace("python -c", f"{sys.executable} -c")
    subprocess.run(command, shell=True, check=True)
    got = read_tensors(find_weights(str(spaced)))
    assert all(np.array_equal(got[name], wanted[name]) for name in wanted)


def cut(content):
    return content[: len(content) // 2]


def empty(content):
    return b""


def garble_header(content):
    return content[:8] + b"\xff" * 100 + content[108:]


def claim_more(content):
    """A header that promises more bytes than there are."""
    return (1 << 40).to_bytes(8, "little") + content[8:]


@pytest.mark.parametrize("damage", [cut, empty, garble_header, claim_more])
def test_a_damaged_file(folder, damage):
    path = folder / WEIGHTS
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match=r"model\.safetensors cannot be read") as error:
        read_tensors(folder)
    assert "\n" not in str(error.value)
