"""`ee-jax compile`: the programs of a run, compiled and nothing else."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from ee_jax.cli import main
from ee_jax.compilation import Planned, Program, data_mesh, replicated
from ee_jax.config import (
    Calibration,
    Decoding,
    Evaluation,
    Experiment,
    Joint,
    OptimizerConfig,
    Pairs,
    Scratch,
    ScratchT5,
    Speculation,
    Text,
)
from ee_jax.devices import GIB
from ee_jax.errors import UserError
from ee_jax.runs import compile as compiling
from ee_jax.runs.compile import compile_all, plan
from ee_jax.runs.run import run

ROOT = Path(__file__).parents[2]
PARAGRAPH = "to be or not to be , that is the question , and so it goes on and on .\n"


@pytest.fixture(scope="module")
def language(tmp_path_factory) -> Experiment:
    """A language model of two blocks on a folder of text."""
    folder = tmp_path_factory.mktemp("text")
    for split, times in (("train", 100), ("valid", 20), ("test", 20)):
        (folder / f"{split}.txt").write_text(PARAGRAPH * times)
    fit = OptimizerConfig(epochs=0.2, batch=8)
    return Experiment(
        "tiny_language",
        task="language_modeling",
        data=Text("text/tiny", str(folder / "data"), str(folder), length=16),
        model=Scratch(vocabulary=270, width=8, blocks=2, heads=2, kv_heads=1, hidden=16),
        strategies=(Joint(fit=fit),),
        calibration=Calibration((0.05,), rows=8),
        evaluation=Evaluation(
            thresholds=(0.2, 1.0), batch=4, rows=8, batches=(1, 2), rounds=1,
            decoding=Decoding(prompts=2, prompt=4, tokens=4),
            speculation=Speculation((1,), (2,)),
        ),
    )  # fmt: skip


@pytest.fixture(scope="module")
def translation(tmp_path_factory) -> Experiment:
    """A T5 of two decoder blocks on pairs of one length."""
    folder = tmp_path_factory.mktemp("pairs")
    for split in ("train", "val", "test"):
        for side in ("src", "tgt"):
            (folder / f"{side}-{split}.txt").write_text("a cat\n" * 16)
    return Experiment(
        "tiny_translation",
        task="seq2seq",
        data=Pairs(str(folder), source_length=8, target_length=8, lengths=(8,)),
        model=ScratchT5(270, 8, blocks=1, decoder_blocks=2, heads=2, hidden=16),
        strategies=(Joint(fit=OptimizerConfig(epochs=0.5, batch=8)),),
        calibration=Calibration((0.05,)),
        evaluation=Evaluation(
            thresholds=(0.2, 1.0), batch=4, rows=8, batches=(1,), rounds=1,
            decoding=Decoding(prompts=1),
        ),
    )  # fmt: skip


def shapes(program: Program, arguments: Any) -> tuple[Any, ...]:
    """Which function a program compiles, for which shapes."""
    leaves = tuple((leaf.shape, str(leaf.dtype)) for leaf in jax.tree.leaves(arguments))
    function: Any = program._jitted
    return function.__wrapped__.__qualname__, leaves


@pytest.mark.parametrize("name", ["small", "language", "translation"])
def test_what_is_listed_is_what_a_run_compiles(name, request, tmp_path, monkeypatch):
    experiment = request.getfixturevalue(name)
    compiled, lower = set(), Program.lower

    def noted(program: Program, *arguments: Any) -> Any:
        compiled.add(shapes(program, arguments))
        return lower(program, *arguments)

    monkeypatch.setattr(Program, "lower", noted)
    listed = plan(experiment, data_mesh())
    run(experiment, tmp_path / "run")
    assert {shapes(planned.program, planned.arguments) for planned in listed} == compiled


def test_rows_of_a_config(small, write_config, tmp_path, monkeypatch, capsys):
    path = write_config(small)
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    main(["compile", str(path)])
    header, *rows, total = capsys.readouterr().out.splitlines()
    assert header.split()[0] == "program"
    assert rows[0].startswith("joint: training step 16 x 8  ")
    assert [row.split("  ")[0] for row in rows[-2:]] == ["static 32 x 8", "exits 32 x 8"]
    assert total.startswith(f"{len(rows)} programs compile for 1 x cpu, in ")
    main(["compile", str(path), "--json", "--evaluation.batches", "4"])
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    exits = found[-1]
    assert exits["program"] == "exits 4 x 8"
    assert exits["argument_bytes"] > exits["output_bytes"] > 0
    assert exits["memory_bytes"] > exits["temporary_bytes"]
    assert exits["flops"] > 0
    assert exits["loops"] >= 1
    assert exits["branches"] >= 1
    assert found[-2]["loops"] == 0
    assert sorted(tmp_path.rglob("*")) == before


def test_over_eight_devices(small, write_config):
    more = {"XLA_FLAGS": "--xla_force_host_platform_device_count=8", "JAX_PLATFORMS": "cpu"}

    def compile_for(batch: int) -> subprocess.CompletedProcess:
        path = write_config(
            replace(small, strategies=(Joint(fit=OptimizerConfig(batch=batch)),))
        )
        code = "from ee_jax.cli import main; main()"
        line = [sys.executable, "-c", code, "compile", str(path), "--json"]
        paths = {"PYTHONPATH": str(ROOT)}
        return subprocess.run(
            line, env=os.environ | paths | more, capture_output=True, text=True
        )

    done = compile_for(16)
    assert done.returncode == 0, done.stderr
    found = {row["program"]: row for row in map(json.loads, done.stdout.splitlines())}
    assert "features 512 x 8" in found
    # Batch 1 runs on one device; of batch 32 each has four rows.
    assert found["static 32 x 8"]["output_bytes"] == 4 * found["static 1 x 8"]["output_bytes"]
    done = compile_for(12)
    assert done.returncode == 2
    assert "`fit.batch of stage joint of strategy joint` is 12, which 8 devices" in done.stderr


def planned(function, *arguments) -> Planned:
    shared = replicated(arguments, data_mesh())
    return Planned("mine 8 x 3", Program(function), shared, "evaluation.batches", 8)


def test_a_program_that_does_not_fit_names_what_to_lower(monkeypatch):
    monkeypatch.setattr(compiling, "memory_of", lambda device: 100)
    rows, found = compile_all([planned(lambda x: x + 1, jnp.ones((8, 3)))], data_mesh()), []
    expected = "program `mine 8 x 3` needs 0.0 GiB .* a smaller `evaluation.batches`, such as 4"
    with pytest.raises(UserError, match=expected):
        found.extend(rows)
    # The row is told before.
    assert next(compile_all([planned(lambda x: x, jnp.ones(3))], data_mesh())).loops == 0


def test_a_program_that_does_not_compile_is_named(monkeypatch):
    def refuse(said: str) -> UserError:
        def lower(program: Program, *arguments: Any) -> Any:
            raise jax.errors.JaxRuntimeError(f"{said}\nand a long trace")

        monkeypatch.setattr(Program, "lower", lower)
        with pytest.raises(UserError) as error:
            next(compile_all([planned(lambda x: x, jnp.ones((8, 3)))], data_mesh()))
        return error.value

    said = "INTERNAL: no such instruction"
    assert str(refuse(said)) == f"program `mine 8 x 3` does not compile for cpu: {said}"
    full = "RESOURCE_EXHAUSTED: Ran out of memory on HBM, the total memory required for HLO "
    full += "temporaries (74.58G) exceeds available HBM (15.75G)."
    assert str(refuse(full)) == (
        "program `mine 8 x 3` needs 74.6 GiB on a cpu, which has 15.8 GiB: take a smaller "
        "`evaluation.batches`, such as 1"
    )


def test_errors_of_one_line(write_config, small, capsys):
    for words, line in (
        (["compile"], "usage: ee-jax compile CONFIG"),
        (
            ["compile", str(ROOT / "examples/own_strategy.py"), "--sed", "1"],
            "did you mean --seed",
        ),
    ):
        with pytest.raises(SystemExit) as left:
            main(words)
        assert left.value.code == 2
        assert line in capsys.readouterr().err


def test_a_task_that_lists_none_is_told(small, monkeypatch):
    monkeypatch.setattr(
        "ee_jax.tasks.classification.task.Classification.programs", lambda task: iter(())
    )
    with pytest.raises(UserError, match="`classification` lists no programs: define its prog"):
        plan(small, data_mesh())


def test_the_memory_of_a_device():
    from ee_jax.devices import TPU_MEMORY, host_bytes, memory_of

    assert memory_of(jax.devices()[0]) == host_bytes() > GIB
    assert TPU_MEMORY["TPU v5 lite"] == 16


def test_what_is_here(capsys):
    main(["devices"])
    assert f"devices:           {len(jax.devices())} x cpu: cpu, " in capsys.readouterr().out
    main(["devices", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["devices"][0]["number"] == len(jax.devices())
    assert found["versions"]["jax"] == jax.__version__


def test_a_plugin_that_finds_nothing_is_told(capsys, monkeypatch):
    monkeypatch.setattr("ee_jax.devices._plugins", lambda: {"xla_cuda13": "gpu"})
    main(["devices"])
    assert "xla_cuda13 is installed, but finds no device" in capsys.readouterr().out


def test_a_target_needs_the_compiler(write_config, small, monkeypatch, capsys):
    monkeypatch.setattr("ee_jax.devices.importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr("ee_jax.devices.WITHOUT_TPU", {})
    with pytest.raises(SystemExit) as left:
        main(["compile", str(write_config(small)), "--target", "v5e:2x2"])
    assert left.value.code == 2
    assert "pip install 'ee_jax[tpu-compiler]'" in capsys.readouterr().err
