"""Whatever happens to the files of a prepared data set is found when a split is opened."""

import json
from pathlib import Path

import pytest
from array_record.python.array_record_module import ArrayRecordReader, ArrayRecordWriter

from ee_jax.data.prepared import open_split
from ee_jax.errors import UserError


def records(root: Path) -> Path:
    return next(root.glob("tiny/1.2.3/*train*array_record*"))


def rewrite(path: Path, order: list[int]) -> None:
    """Writes the records of `path` again, in another order."""
    reader = ArrayRecordReader(str(path))
    found = [reader.read([number])[0] for number in range(reader.num_records())]
    reader.close()
    writer = ArrayRecordWriter(str(path), "group_size:1")
    for number in order:
        writer.write(found[number])
    writer.close()


def claim_rows(root: Path, count: int) -> None:
    """Lets TFDS believe that split train has `count` rows."""
    path = root / "tiny" / "1.2.3" / "dataset_info.json"
    info = json.loads(path.read_text())
    next(split for split in info["splits"] if split["name"] == "train")["shardLengths"] = [
        count
    ]
    path.write_text(json.dumps(info))


def lose_row(root: Path) -> None:
    rewrite(records(root), [0, 1, 2, 3])


def add_row(root: Path) -> None:
    rewrite(records(root), [0, 1, 2, 3, 4, 4])
    claim_rows(root, 6)


def hide_row(root: Path) -> None:
    claim_rows(root, 4)


def swap_rows(root: Path) -> None:
    rewrite(records(root), [0, 2, 1, 3, 4])


def flip_bytes(root: Path) -> None:
    content = bytearray(records(root).read_bytes())
    middle = content.index("zürich".encode())
    content[middle] ^= 0xFF
    records(root).write_bytes(content)


def cut_file(root: Path) -> None:
    records(root).write_bytes(records(root).read_bytes()[:-70_000])


def remove_file(root: Path) -> None:
    records(root).unlink()


def cut_record(root: Path) -> None:
    path = root / "tiny" / "1.2.3" / "rows.json"
    path.write_text(path.read_text()[:-9])


def other_source(root: Path) -> None:
    path = root / "tiny" / "1.2.3" / "rows.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"source": "another file"}))


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        (lose_row, "split train cannot be read"),
        (add_row, "split train has 6 rows, not 5"),
        (hide_row, "split train has 4 rows, not 5"),
        (swap_rows, "the rows of split train are not those that were written"),
        (flip_bytes, "split train cannot be read"),
        (cut_file, "split train cannot be read"),
        (remove_file, "split train cannot be read"),
        (cut_record, "rows.json cannot be read"),
        (other_source, "it was made from another file, not from this file"),
    ],
)
def test_damage_is_found_at_opening(root, damage, what):
    damage(root)
    with pytest.raises(UserError) as error:
        open_split("tiny", "train", root)
    message = str(error.value)
    assert f"in {root}/tiny/1.2.3: {what}" in message
    assert (
        f"delete that folder and run `EE_JAX_DATA={root} ee-jax data prepare tiny`" in message
    )
    assert "\n" not in message
