"""The data set `tiny`, registered and prepared."""

import shutil
from pathlib import Path

import pytest

from ee_jax.data.prepared import prepare
from ee_jax.data.registry import DATASETS


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setitem(DATASETS, "tiny", "tests.data.tiny_rows:Tiny")


@pytest.fixture(scope="session")
def master(tmp_path_factory) -> Path:
    """A root with the prepared data set, to copy from."""
    root = tmp_path_factory.mktemp("data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(DATASETS, "tiny", "tests.data.tiny_rows:Tiny")
        prepare("tiny", root)
    return root


@pytest.fixture
def root(master, tmp_path) -> Path:
    return Path(shutil.copytree(master, tmp_path / "data"))
