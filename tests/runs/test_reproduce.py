"""`ee-jax reproduce` on a tiny study: what is written, read back, refused, survives failure."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from ee_jax.calibration.trace import Trace
from ee_jax.cli import main
from ee_jax.config import config_hash
from ee_jax.evaluation.statistics import paired_permutation_test
from ee_jax.manifest import seal
from tests.models.golden_models import FOLDER
from tests.runs.test_command import refused


@pytest.fixture(scope="module", autouse=True)
def study(data):
    """A clone of ee_jax, and where the study's data are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(Path(__file__).parents[2])
        patch.setenv("EE_JAX_DATA", str(data))
        yield


def reproduce(*arguments: object) -> int | str | None:
    """The exit status; None is that of success."""
    try:
        main(["reproduce", "tests/runs/tiny_study.py", *map(str, arguments)])
    except SystemExit as left:
        return left.code


@pytest.fixture(scope="module")
def swept(experiment, weights, finished, tmp_path_factory) -> Path:
    """The folder of a sweep of two finished seeds, of a task that failed in both."""
    folder = tmp_path_factory.mktemp("studies") / "tiny"
    folder.mkdir()
    (folder / "study.json").write_text('{"study": "tiny"}')
    for seed, name in enumerate(("seed_0", "seed_1")):
        run = Path(shutil.copytree(finished, folder / "sentences" / name))
        owner = json.loads((run / "config.json").read_text())
        owner["hash"] = config_hash(replace(experiment, seed=seed))
        (run / "config.json").write_text(json.dumps(owner))
        if seed:
            lower_quality(run / "results.json")
        seal(run)
    line = ["--backbone", weights, "--seeds", "0,1", "--output", folder]
    assert reproduce(*line) == 1
    return folder


def lower_quality(path: Path) -> None:
    """The second seed is the first, 0.1 worse at full depth."""
    results = json.loads(path.read_text())
    results["strategies"]["joint"]["full_quality"] -= 0.1
    path.write_text(json.dumps(results))


def test_the_others_finish_and_the_failure_is_told(swept):
    study = json.loads((swept / "study.json").read_text())
    assert [(run["task"], run["seed"]) for run in study["runs"]] == [
        ("sentences", 0),
        ("sentences", 1),
    ]
    assert [(run["task"], run["seed"]) for run in study["failed"]] == [
        ("missing", 0),
        ("missing", 1),
    ]
    reason = study["failed"][0]["reason"]
    assert reason.startswith("no data set `missing`: ")
    assert f"Failed: missing, seed 0: {reason}" in (swept / "strategies.md").read_text()
    assert "no data set `missing`" in (swept / "report.html").read_text()


def test_the_table_is_of_both_strategies_and_seeds(swept):
    rows = json.loads((swept / "study.json").read_text())["tables"]["strategies"]["rows"]
    assert [row["strategy"] for row in rows] == ["joint", "frozen"]
    first = json.loads((swept / "sentences" / "seed_0" / "results.json").read_text())
    full = first["strategies"]["joint"]["full_quality"]
    assert rows[0]["quality"] == pytest.approx(100 * (full - 0.05))
    assert rows[0]["low"] == pytest.approx(100 * (full - 0.1))
    assert rows[0]["seeds"] == 2
    first_N, second_N = (
        Trace.load(swept / "sentences" / "seed_0" / name / "traces" / "test.npz").full_loss_N
        for name in ("joint", "frozen")
    )  # the second seed's traces are the first's
    wanted = paired_permutation_test(first_N, second_N)
    assert rows[1]["better"] == pytest.approx(100 * wanted.mean)
    assert rows[1]["p"] == wanted.p_value
    assert wanted.p_value < 1  # else this shows little


def test_the_files(swept):
    names = {path.name for path in swept.iterdir() if path.is_file()}
    tables = {
        f"{name}.{kind}"
        for name in ("strategies", "calibrated", "operating_points", "claims")
        for kind in ("md", "csv")
    }
    assert names == tables | {"report.html", "study.json", "study.png"}


def test_a_second_sweep_reads_back_what_is_finished(swept, weights, capsys):
    before = (swept / "sentences" / "seed_0" / "results.json").stat().st_mtime_ns
    line = ["--backbone", weights, "--output", swept, "--tasks", "sentences", "--json"]
    assert reproduce(*line) is None
    out, err = capsys.readouterr()
    assert "is finished: reading it back" in " ".join(err.split())
    assert [run["seed"] for run in json.loads(out)["runs"]] == [0]
    assert (swept / "sentences" / "seed_0" / "results.json").stat().st_mtime_ns == before


def test_an_error_that_is_nobodys_fault_is_a_failure_too(
    weights, tmp_path, monkeypatch, capsys
):
    def broken(*_):
        raise MemoryError("too\nlarge")

    monkeypatch.setattr("ee_jax.reproduce.sweep.run", broken)
    line = ["--backbone", weights, "--output", tmp_path, "--tasks", "sentences", "--json"]
    assert reproduce(*line) == 1
    out, err = capsys.readouterr()
    assert json.loads(out)["failed"][0]["reason"] == "MemoryError: too large"
    assert "Traceback" in err
    assert "0 of 1 runs finished" in err


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (["--backbone", "/nowhere"], "no weights in '/nowhere'"),
        (["--backbone", "{weights}", "--manual-dir", "/nowhere"], "no folder /nowhere: give"),
        (["--backbone", "{weights}", "--output", "{file}"], "{file} is no output folder: "),
        (["--backbone", "{weights}", "--output", "{other}"], "{other} is not empty and not"),
        (["--backbone", "{weights}", "--output", "{study}"], "{study} holds the study large"),
    ],
)
def test_what_no_run_could_do_with_leaves_no_report(weights, tmp_path, capsys, line, message):
    names = {name: tmp_path / name for name in ("file", "other", "study", "new")}
    names["file"].write_text("years of work")
    for name in ("other", "study"):
        names[name].mkdir()
    (names["other"] / "thesis").write_text("years of work")
    (names["study"] / "study.json").write_text('{"study": "large"}')
    line = [part.format(weights=weights, **names) for part in line]
    line += [] if "--output" in line else ["--output", str(names["new"])]
    assert reproduce(*line) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith(f"ee-jax: {message.format(**names)}")
    assert not names["new"].exists()
    assert [*names["other"].iterdir()] == [names["other"] / "thesis"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("debert --backbone x", "ee-jax: no study `debert`: did you mean `deebert`?\n"),
        ("zzz --backbone x", "ee-jax: no study `zzz`: there is berxit, deebert, "),
        ("deebert --backbone x --tasks sst2,sst",
         "ee-jax: no task `sst` in the study deebert: did you mean `sst2`?\n"),
        ("deebert --backbone x --tasks zzz", "ee-jax: no task `zzz` in the study deebert: "),
        ("deebert", "ee-jax: the following arguments are required: --backbone; see `ee-jax "),
        ("deebert --backbone x --seeds 1,-2", "ee-jax: argument --seeds: '-2' is no whole"),
        (f"deebert --backbone {FOLDER}/bert --evaluation.ruonds 1",
         "ee-jax: Unrecognized options: --evaluation.ruonds, 1; did you mean --ev"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_before_anything_is_run(
    line, message, tmp_path, monkeypatch, capsys
):
    clone = tmp_path / "experiments"
    clone.symlink_to(Path(__file__).parents[2] / "experiments")
    monkeypatch.chdir(tmp_path)
    assert refused(capsys, "reproduce", *line.split()).startswith(message)
    assert list(tmp_path.iterdir()) == [clone]


@pytest.mark.slow
def test_rates_are_searched_for_on_held_out_rows_and_then_run(weights, tmp_path, capsys):
    """The chosen factor's calibration trace is the best; a second sweep makes nothing anew."""
    line = ["--backbone", weights, "--tasks", "sentences", "--output", tmp_path / "out"]
    line += ["--search", "0.01,1", "--strategies.0.fit.epochs", "3", "--json"]
    assert reproduce(*line) is None
    study = json.loads(capsys.readouterr().out)
    rows = study["tables"]["search"]["rows"]
    assert [(row["strategy"], row["factor"]) for row in rows] == [
        ("joint", 0.01), ("joint", 1.0), ("frozen", 0.01), ("frozen", 1.0),
    ]  # fmt: skip
    searched = tmp_path / "out" / "sentences" / "search"
    for row in rows:
        path = searched / f"rates_x_{row['factor']:g}" / row["strategy"] / "traces"
        trace = Trace.load(path / "calibration.npz")
        assert trace.label_N is not None
        right = (trace.prediction_NE == trace.label_N[:, None]).mean()
        assert row["quality"] == pytest.approx(100 * right)
    chosen = {row["strategy"]: row["factor"] for row in rows if row["chosen"]}
    for name in ("joint", "frozen"):
        of = {row["factor"]: row["quality"] for row in rows if row["strategy"] == name}
        assert of[chosen[name]] == max(of.values())
    run = json.loads((tmp_path / "out" / "sentences" / "seed_0" / "results.json").read_text())
    rates = [s["fit"]["learning_rate"] for s in run["config"]["strategies"]]
    assert rates == pytest.approx([1e-3 * chosen[name] for name in ("joint", "frozen")])
    assert reproduce(*line) is None
    out, err = capsys.readouterr()
    assert json.loads(out)["tables"]["search"] == study["tables"]["search"]
    assert " ".join(err.split()).count("is finished: reading it back") == 3


@pytest.mark.parametrize("factors", ["0", "-1,1", "x"])
def test_factors_are_above_0(factors, capsys):
    line = ["deebert", "--backbone", "x", "--search", factors]
    assert refused(capsys, "reproduce", *line).startswith("ee-jax: argument --search: ")
