"""The command line: what it prints, where, and with which exit status."""

import importlib
import json
import subprocess
import sys
import time

import pytest

import ee_jax
from ee_jax.cli import main

LAZY = ("jax", "numpy", "flax", "tensorflow_datasets", "matplotlib", "rich", "tyro")


def ee_jax_command(*arguments: object) -> subprocess.CompletedProcess:
    """Runs the command in a process of its own."""
    code = "from ee_jax.cli import main; main()"
    line = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, check=False)


def test_help_answers_in_under_half_a_second():
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        done = ee_jax_command("--help")
        seconds.append(time.perf_counter() - start)
        assert done.returncode == 0
        assert all(name in done.stdout for name in ("run", "compare", "data", "bench"))
    assert min(seconds) < 0.5  # the others may have waited for a busy machine


def test_no_heavy_import_before_a_command_needs_it():
    helped = "ee_jax.cli.main(['run', '--help'])"
    code = f"import sys, ee_jax.cli; {helped}; print([m for m in {LAZY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.endswith("\n[]\n"), done.stderr


@pytest.mark.parametrize("line", ["run --help", "run -h", "run --json --help"])
def test_help_of_run_without_a_config(line, capsys):
    main(line.split())
    out, err = capsys.readouterr()
    assert out.startswith("usage: ee-jax run CONFIG ")
    assert "`ee-jax run CONFIG --help` shows every field" in " ".join(out.split())
    assert err == ""


@pytest.mark.parametrize("platform", ["cuda", "nosuch"])
@pytest.mark.parametrize("line", ["devices", "bench loop --model minilm --batch 1"])
def test_a_platform_that_is_not_there(platform, line, monkeypatch):
    monkeypatch.setenv("JAX_PLATFORMS", platform)
    done = ee_jax_command(*line.split())
    assert done.returncode == 2
    said = f"ee-jax: JAX_PLATFORMS is {platform}, of which JAX finds no device: "
    assert done.stderr.splitlines()[-1].startswith(said)
    assert "Traceback" not in done.stderr


def test_version(capsys):
    with pytest.raises(SystemExit) as left:
        main(["--version"])
    assert left.value.code == 0
    assert capsys.readouterr().out == f"ee-jax {ee_jax.__version__}\n"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "the following arguments are required: COMMAND; see `ee-jax --help`"),
        ("run", "usage: ee-jax run CONFIG [--output DIR] [--check] [--json] [overrides]; "),
        ("run nosuch.py",
         "no config at nosuch.py: give a Python file such as configs/quickstart.py"),
        ("run configs/quickstart.py --model.weights /nowhere --output {}", "no weights in '/n"),
        ("run configs/quickstart.py --exits.haed mlp --output {}",
         "Unrecognized options: --exits.haed, mlp; did you mean --exits.head?"),
        ("run configs/quickstart.py --seed x --output {}", "Error parsing --seed: invalid"),
        ("run configs/quickstart.py --evaluation.thresholds 1.5 --output {}",
         "config field `evaluation.thresholds` must lie in [0, 1], not (1.5,)"),
        ("compare {}", "no results at {}: give the folder of a finished run"),
        ("data prepare nosuch", "no data set `nosuch`: there is "),
        ("bench loop --model nosuch", "no model preset 'nosuch': it is one of "),
        ("bench loop --batch 0", "argument --batch: '0' is no whole number above 0; see "),
        ("bench loop --batch 1,x", "argument --batch: 'x' is no whole number above 0; see "),
        ("bench loop --repeats 0", "argument --repeats: '0' is no whole number above 0"),
        ("bench loop --model minilm --depth 99", "depth 99: minilm has 6 blocks"),
        ("bench loop --model minilm --seq 999", "length 999: minilm reads at most 512 tokens"),
        ("bench decode --model nosuch", "no model 'nosuch' to decode with: it is one of "),
        ("bench decode --model 2x48 --depth 3", "no exit after 3 blocks: the model's are "),
        ("bench decode --batch 1,1000000", "a batch of 1000000 rows of 84 tokens needs about "),
        ("bench decode --model 2x48 --tokens 8 --draft 9", "no exit after 9 blocks: the "),
        ("bench decode --drafters lookup", "--drafters are timed on prompts: give --prompts"),
        ("bench decode --prompts nosuch.jsonl", "nosuch.jsonl cannot be read as prompts ("),
        ("bench decode --model 2x48 --tokens 99", "prompt 1 of 1 has 16 tokens, and 99 more"),
        ("bench decode --model 2x48 --every 3", "2x48 has 2 blocks: exits every 3 miss the"),
        ("bench decode --model 2x48 --precision int8", "no precision 'int8': there are "),
        ("bench decode --model 2x48 --layout nest", "no layout 'nest': did you mean `nested`"),
        ("bench decode --layout nested", "layout `nested` takes at most 8 exits, and "),
        ("bench decode --model 2x48 --every 2 --tokens 8", "the exit after all 2 blocks "),
        ("bench decode --peer torch --precision bfloat16", "torch is timed in float32: leave "),
        ("bench loop --nosuch", "unrecognized arguments: --nosuch; see `ee-jax --help`"),
    ],
)  # fmt: skip
def test_a_users_error_is_one_line_and_exit_status_2(
    line, message, capsys, tmp_path, request, monkeypatch
):
    monkeypatch.chdir(request.config.rootpath)
    output = tmp_path / "output"
    with pytest.raises(SystemExit) as left:
        main(line.format(output).split())
    assert left.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"ee-jax: {message.format(output)}")
    assert err.count("\n") == 1
    assert not output.exists()


@pytest.mark.parametrize(
    ("line", "module", "function", "said"),
    [
        (
            "run x.py",
            "ee_jax.config.load",
            "load",
            "stopped; the same command goes on from here",
        ),
        ("data prepare stdlib_docstrings", "ee_jax.data.prepared", "prepare_at", "stopped"),
    ],
)
def test_an_interrupt_says_whether_work_was_kept(
    line, module, function, said, capsys, monkeypatch
):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(importlib.import_module(module), function, interrupt)
    with pytest.raises(SystemExit) as left:
        main(line.split())
    assert left.value.code == 130
    assert capsys.readouterr().err == f"ee-jax: {said}\n"


def test_an_error_in_a_process_of_its_own_is_one_line_too(tmp_path):
    """Whatever the imports of a run might print."""
    config = tmp_path / "config.py"
    config.write_text(
        "from ee_jax.config import Experiment, Model\n"
        f"def get_config():\n    return Experiment('x', model=Model({str(tmp_path)!r}))\n"
    )
    done = ee_jax_command("run", config, "--output", tmp_path / "output")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("ee-jax: no weights in ")
    assert done.stderr.count("\n") == 1


def rows_of(line: str, capsys) -> list[dict]:
    main(line.split())
    return [json.loads(row) for row in capsys.readouterr().out.splitlines()]


SMALL = "bench loop --model minilm --seq 16 --batch 1 --repeats 1 --json"


def test_bench_loop_prints_a_row_for_each_depth(capsys):
    rows = rows_of(f"{SMALL} --depth 1,2", capsys)
    assert [(row["model"], row["batch"], row["depth"]) for row in rows] == [
        ("minilm", 1, 1),
        ("minilm", 1, 2),
    ]
    for row in rows:
        assert row["ratio"] == pytest.approx(row["exit_ms"] / row["static_ms"])  # of one round
        assert row["static_ms"] > 0


def test_bench_loop_prints_a_row_for_each_mix_of_depths(capsys):
    rows = rows_of(f"{SMALL} --mixed", capsys)
    assert len({row["depth"] for row in rows}) == len(rows) == 2
    for row in rows:
        assert row["ideal_speedup"] == pytest.approx(6 / row["mean_depth"])
        assert row["share_of_ideal"] > 0


def test_bench_loop_prints_a_table_without_json(capsys):
    main(f"{SMALL} --depth 1".replace(" --json", "").split())
    header, row = capsys.readouterr().out.splitlines()
    assert header.split() == ["model", "seq", "batch", "depth", "static_ms", "exit_ms", "ratio"]
    assert row.split()[:4] == ["minilm", "16", "1", "1"]


def test_bench_decode_prints_rows_of_depths_and_of_speculation(capsys):
    line = "bench decode --model 2x48 --batch 2 --tokens 8 --drafts 2 --repeats 1 --json"
    *depths, speculation = rows_of(line, capsys)
    assert [(row["batch"], row["depth"]) for row in depths] == [(2, 1), (2, 2)]
    for row in depths:
        assert row["ratio"] == pytest.approx(row["exit_ms"] / row["static_ms"])  # of one round
    assert speculation["depth"] == 1
    assert speculation["same_tokens"]
