"""`ee-jax check`: what is wrong with a folder, and what to do about it."""

import json
import shutil

import pytest

from ee_jax.cli import main
from ee_jax.errors import UserError
from ee_jax.owned_folder import HOLDER
from ee_jax.runs.inspect import inspect
from ee_jax.runs.run import run
from tests.runs.damage import Killed, Killing, flip, largest


def test_check_of_a_folder(copy, capsys, tmp_path):
    main(["check", str(copy)])
    out = capsys.readouterr().out
    assert out.startswith("config:      tiny, ")
    assert out.endswith("files:       as they were written (run)\n")
    main(["check", str(copy / "joint" / "model"), "--json"])
    assert json.loads(capsys.readouterr().out) == {
        "kind": "model", "finished": True, "found": {}, "faults": [], "mend": ""
    }  # fmt: skip
    flip(copy / "frozen" / "model" / "tokenizer.json")
    (copy / "table.md").unlink()
    with pytest.raises(SystemExit) as left:
        main(["check", str(copy)])
    assert left.value.code == 1
    out = capsys.readouterr().out
    assert f"fault:       {copy / 'table.md'} is missing\n" in out
    assert f"fault:       {copy / 'frozen/model/tokenizer.json'} is not as it was" in out
    with pytest.raises(UserError, match=r"has no manifest\.json: give the folder of a run"):
        inspect(tmp_path)


def test_what_other_commands_write_beside_a_run_is_told_and_no_fault(copy, capsys):
    main(["calibrate", str(copy / "joint" / "traces" / "test.npz")])
    capsys.readouterr()
    main(["check", str(copy)])
    out = capsys.readouterr().out
    assert f"beside:      {copy / 'joint/traces/test-ltt'}" in out
    assert out.endswith("files:       as they were written (run)\n")


def test_what_a_run_left_that_was_killed_after_its_last_file_is_not_told(copy, capsys):
    (copy / HOLDER).write_text("{}")
    main(["check", str(copy)])
    out = capsys.readouterr().out
    assert "beside" not in out
    assert out.endswith("files:       as they were written (run)\n")


def test_check_says_what_an_unfinished_run_goes_on_from(small, tmp_path):
    with pytest.raises(Killed):
        run(small, tmp_path, Killing("joint: trace of calibration"))
    found = inspect(tmp_path)
    assert (found.finished, found.faults) == (False, [])
    assert found.found["results"] == "not finished: joint is trained"
    shutil.rmtree(tmp_path / "joint" / "model")
    assert inspect(tmp_path).found["results"] == "not finished: joint goes on after step 6"
    flip(largest(tmp_path / "joint/checkpoints/6"))
    found = inspect(tmp_path)
    assert found.found["results"] == "not finished: joint goes on after step 5"
    assert len(found.faults) == 1


def test_the_mend_of_a_damaged_strategy_works(experiment, copy):
    for name in ("joint/traces/test.npz", "frozen/metrics.jsonl"):
        flip(copy / name)
    (copy / "table.md").unlink()
    found = inspect(copy)
    assert len(found.faults) == 3
    assert "or delete results.json in it and the folder of each damaged strategy" in found.mend
    (copy / "results.json").unlink()
    for name in ("joint", "frozen"):
        shutil.rmtree(copy / name)
    run(experiment, copy)
    assert (inspect(copy).faults, inspect(copy).mend) == ([], "")


@pytest.mark.parametrize("name", ["config.json", "manifest.json"])
def test_a_folder_that_no_longer_says_whose_it_is(copy, name):
    (copy / name).write_text("{")
    found = inspect(copy)
    assert f"{copy / name}" in found.faults[0]
    assert found.mend == f"copy {copy} again, or delete it and give the run's command again"
