"""What the campaign of faults counts, on a few cases of each kind."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.faults.campaign import merged
from experiments.faults.world import bits
from tests.runs.damage import flip

ROOT = Path(__file__).parents[2]


def campaign(folder: Path, **counts: int) -> list[dict]:
    """The cases of so many of each fault."""
    line = [sys.executable, "-m", "experiments.faults.campaign", "--folder", folder / "work"]
    for fault, count in counts.items():
        line += [f"--{fault}", str(count)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run([*line, "--output", folder], env=environment, cwd=ROOT, check=True)
    cases = json.loads((folder / "results.json").read_text())["cases"]
    assert len(cases) == sum(counts.values())
    return cases


def wrong(cases: list[dict]) -> list[dict]:
    """Those that could not go on, ended with other bits, or left files behind."""
    return [case for case in cases if case["outcome"] in ("lost", "silent") or case["left"]]


@pytest.mark.slow
def test_a_few_of_each(tmp_path):
    cases = campaign(tmp_path, kills=3, flips=4, pairs=1)
    assert wrong(cases) == []
    found = {(case["fault"], case["number"]): case["outcome"] for case in cases}
    assert [found["kills", number] for number in range(3)] == ["same bits"] * 3
    config, manifest, _, checkpoint = (found["flips", number] for number in range(4))
    assert (config, manifest) == ("noticed", "noticed")
    assert checkpoint in ("noticed", "repaired")  # as there is another one, or none yet


@pytest.mark.long
def test_more_of_each(tmp_path):
    assert wrong(campaign(tmp_path, kills=20, flips=35, pairs=6)) == []


def test_kinds_that_are_not_asked_for_keep_their_cases():
    old, new = {"date": "2026-01-01"}, {"date": "2026-02-02"}
    cases = [{"fault": fault, "number": n} for fault in ("kills", "disks") for n in range(2)]
    before = merged({}, {"kills": old, "disks": old}, cases)
    again = merged(before, {"disks": new}, [{"fault": "disks", "number": 7}])
    assert again["runs"] == {"kills": old, "disks": new}
    assert again["cases"] == [*cases[:2], {"fault": "disks", "number": 7}]


def test_bits_are_all_but_times(finished, tmp_path):
    whole, copy = bits(finished), Path(shutil.copytree(finished, tmp_path / "copy"))
    assert {name.partition("/")[0] for name in whole} == {"results.json", "joint", "frozen"}
    results = json.loads((copy / "results.json").read_text())
    results["strategies"]["joint"]["train_seconds"] += 1
    (copy / "results.json").write_text(json.dumps(results))
    assert bits(copy) == whole
    results["strategies"]["joint"]["full_quality"] += 1
    (copy / "results.json").write_text(json.dumps(results))
    changed = ["joint/metrics.jsonl", "joint/model/model.safetensors", "joint/traces/test.npz"]
    for name in changed:
        flip(copy / name)
    now = bits(copy)
    assert [name for name in whole if now[name] != whole[name]] == ["results.json", *changed]
