"""Manifests: whatever changes in a sealed folder is told, whichever bit or byte it is."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ee_jax.errors import UserError
from ee_jax.manifest import (
    MANIFEST,
    Entry,
    check_files,
    faults,
    files_of,
    read_manifest,
    seal,
    unlisted,
)

FILES = {"a.bin": bytes(range(256)), "below/b.json": b'{"x": 1}\n', "empty": b""}

WHOLE = "copy .*/folder again, or delete .*/folder"  # is worth nothing without it


def make(folder: Path) -> Path:
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def sealed(tmp_path) -> Path:
    seal(make(tmp_path / "folder"))
    return tmp_path / "folder"


def test_a_manifest_is_what_sha256sum_prints(sealed):
    listed = read_manifest(sealed, "")
    assert listed == {
        name: Entry(len(content), hashlib.sha256(content).hexdigest())
        for name, content in FILES.items()
    }
    check_files(sealed, "")
    assert faults(sealed) == []


@given(st.sampled_from(["a.bin", "below/b.json", MANIFEST]), st.data())
def test_any_flipped_bit_is_told(tmp_path_factory, name, data):
    folder = tmp_path_factory.mktemp("flipped")
    seal(make(folder))
    content = bytearray((folder / name).read_bytes())
    bit = data.draw(st.integers(0, 8 * len(content) - 1))
    content[bit // 8] ^= 1 << bit % 8
    (folder / name).write_bytes(content)
    if name == MANIFEST and content.isascii():
        try:  # a blank for another blank changes nothing that is read
            same = json.loads(content) == json.loads(_sealed_text(tmp_path_factory))
        except ValueError:
            same = False
        if same:
            return
    with pytest.raises(UserError, match=r": (mend it|copy .* again, or delete .*)$"):
        check_files(folder, "mend it")
    assert len(faults(folder)) >= 1


def _sealed_text(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("same")
    seal(make(folder))
    return (folder / MANIFEST).read_text()


def test_what_is_missing_and_what_is_new(sealed):
    (sealed / "empty").unlink()
    (sealed / "new").write_text("")
    assert faults(sealed) == [(sealed / "empty", "is missing")]
    assert unlisted(sealed) == [sealed / "new"]
    with pytest.raises(UserError, match=rf"{sealed}/new is not in {MANIFEST} beside it: mend"):
        check_files(sealed, "mend", ["new"])


def test_a_folder_below_with_its_own_manifest_is_one_entry(sealed, tmp_path):
    make(sealed / "model")
    seal(sealed / "model")
    seal(sealed)
    assert "model/manifest.json" in files_of(sealed)
    assert "model/a.bin" not in files_of(sealed)
    moved = Path(shutil.move(sealed / "model", tmp_path / "moved"))
    assert faults(moved) == []
    shutil.copytree(moved, sealed / "model")
    (sealed / "model" / "a.bin").write_bytes(b"")
    fault = "is not as it was written (its SHA-256 differs)"
    assert faults(sealed) == [(sealed / "model" / "a.bin", fault)]


def test_what_is_kept_is_not_blessed_when_it_has_changed(sealed):
    """A second seal lists new files; an old one that has changed meanwhile stays a fault."""
    kept = read_manifest(sealed, "")
    (sealed / "a.bin").write_bytes(b"changed")
    (sealed / "new").write_text("")
    seal(sealed, coming={"next": b"whole"}, kept=kept)
    assert {*read_manifest(sealed, "")} == {*FILES, "new", "next"}
    with pytest.raises(UserError, match=r"a\.bin is not as it was written"):
        check_files(sealed, "mend")
    (sealed / "a.bin").write_bytes(FILES["a.bin"])
    (sealed / "next").write_bytes(b"whole")
    check_files(sealed, "mend")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"format": "ee_jax manifest"}',
        '{"format": "ee_jax manifest", "version": 1, "files": 3}',
    ],
)
def test_what_is_no_manifest(sealed, text):
    (sealed / MANIFEST).write_text(text)
    with pytest.raises(UserError, match=rf"{MANIFEST} cannot be read .*: {WHOLE}$"):
        check_files(sealed, "mend")
    (sealed / MANIFEST).unlink()
    with pytest.raises(UserError, match=rf"{MANIFEST} is missing: {WHOLE}$"):
        check_files(sealed, "mend")
