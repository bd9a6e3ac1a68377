"""Weights by name on the Hugging Face Hub, from the client's cache: nothing is fetched."""

import shutil
import sys
from fnmatch import fnmatch

import pytest

from ee_jax.errors import UserError
from ee_jax.models import files
from ee_jax.models.files import INDEX, WEIGHTS, find_weights
from ee_jax.models.huggingface import load_backbone
from tests.models.folders import shard
from tests.models.golden_models import FOLDER

huggingface_hub = pytest.importorskip("huggingface_hub")
constants = pytest.importorskip("huggingface_hub.constants")
COMMIT = "0" * 40


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """The client's cache, in which offline it finds all that it finds."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    files.fetch.cache_clear()
    return tmp_path


@pytest.fixture
def cached(cache):
    """The snapshot of `some/albert` in the cache."""
    repository = cache / "models--some--albert"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(COMMIT)
    return shutil.copytree(FOLDER / "albert", repository / "snapshots" / COMMIT)


@pytest.mark.parametrize("prepare", [lambda folder: None, shard])
def test_a_name_in_the_cache(cached, prepare):
    prepare(cached)
    folder = find_weights("some/albert")
    assert folder == cached
    assert load_backbone(folder).config.family == "albert"


def test_files_of_the_cache_are_links_to_its_blobs(cached):
    blobs = cached.parents[1] / "blobs"
    blobs.mkdir()
    shard(cached)
    for path in cached.glob("model-*.safetensors"):
        shutil.move(path, blobs / path.name[:11])
        path.symlink_to(f"../../blobs/{path.name[:11]}")
    assert load_backbone(find_weights("some/albert")).config.family == "albert"


@pytest.mark.parametrize("name", ["some/roberta", "Some/albert", "some/..albert"])
def test_a_name_that_is_not_in_the_cache(cached, name):
    with pytest.raises(UserError, match="cannot be fetched from the Hugging Face Hub") as e:
        find_weights(name)
    assert "\n" not in str(e.value)


def test_a_repository_without_safetensors(cached):
    (cached / WEIGHTS).unlink()
    with pytest.raises(UserError, match="'some/albert' on the Hugging Face Hub has no model"):
        find_weights("some/albert")


def test_a_folder_goes_before_the_hub(cached, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(cached, tmp_path / "some" / "albert")
    assert find_weights("some/albert").resolve() == tmp_path / "some" / "albert"
    (tmp_path / "some" / "albert" / WEIGHTS).unlink()
    with pytest.raises(UserError, match="neither a folder with model"):
        find_weights("some/albert")


def test_without_the_client(cached, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(UserError, match=r"pip install 'ee_jax\[hub\]', or give a folder"):
        find_weights("some/albert")


def test_only_what_is_read_is_fetched_and_once(cached, monkeypatch):
    calls = []

    def snapshot_download(name, allow_patterns):
        calls.append((name, allow_patterns))
        return str(cached)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    assert find_weights("some/albert") == find_weights("some/albert") == cached
    [(name, patterns)] = calls
    assert name == "some/albert"
    read = [
        "config.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt", WEIGHTS, INDEX,
        "model-00001-of-00002.safetensors",
    ]  # fmt: skip
    others = [
        "pytorch_model.bin", "tf_model.h5", "consolidated.safetensors", "onnx/model.onnx",
        "original/model.safetensors", "special_tokens_map.json", "model.fp16.safetensors",
    ]  # fmt: skip
    kept = [file for file in read + others if any(fnmatch(file, p) for p in patterns)]
    assert kept == read
