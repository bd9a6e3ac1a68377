"""The studies' experiments: the papers' recipes and rules, and names that nobody knows."""

import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from ee_jax.config import Data, Model, Single, TwoStage
from ee_jax.config.load import read, run_file
from ee_jax.errors import UserError
from ee_jax.models.huggingface import read_architecture
from ee_jax.reproduce.paper import load_paper
from ee_jax.reproduce.study import TASKS, check_tasks, find_study
from ee_jax.tasks.classification.inputs import check_regression
from ee_jax.training.strategies.static import Static
from tests.models.golden_models import FOLDER

ROOT = Path(__file__).parents[2]
STUDIES = ("joint_vs_frozen", "deebert", "pabee", "berxit", "fastbert")
PAPERS = STUDIES[1:]
BLOCKS = read_architecture(FOLDER / "bert").blocks


def names_of(study: str) -> SimpleNamespace:
    """What the file of a study defines."""
    return SimpleNamespace(**run_file(ROOT / "experiments" / study / "study.py"))


deebert, fastbert, pabee = map(names_of, ("deebert", "fastbert", "pabee"))


@pytest.fixture(autouse=True)
def in_a_clone(monkeypatch):
    monkeypatch.chdir(ROOT)


@pytest.mark.parametrize("name", STUDIES)
def test_every_task_has_an_experiment_whose_strategies_the_paper_is_put_beside(name):
    study = find_study(name)
    assert study.name == name
    for task in study.tasks:
        experiment = study.experiment(task, str(FOLDER / "bert"))
        assert isinstance(experiment.data, Data)
        assert experiment.data.name == f"glue/{task}"
        assert 1.0 in experiment.evaluation.thresholds  # the full model of every metric
        if TASKS[task].classes == 1:
            check_regression(experiment, (1, 2))
        strategies = {strategy.name for strategy in experiment.strategies}
        assert strategies >= set(study.methods.values())


@pytest.mark.parametrize("name", PAPERS)
def test_the_methods_and_the_backbone_are_the_papers(name):
    study = find_study(name)
    assert study.paper is not None
    paper = load_paper(study.paper)
    assert set(study.methods) <= {cell.method for cell in paper.cells}
    assert study.backbone in {cell.backbone for cell in paper.cells}


def test_deeberts_entropies_in_nats():
    """Two classes at H = 0.3 nats: the confidence is 1 - 0.3 / 0.6931."""
    thresholds = deebert.thresholds(2)
    assert thresholds[deebert.NATS.index(0.3)] == pytest.approx(1 - 0.3 / math.log(2))
    assert thresholds[0] == 1
    assert thresholds[-1] == 0  # 0.7 nats are above log 2
    assert deebert.thresholds(3)[-1] == pytest.approx(1 - 0.7 / math.log(3))


def named(folder: Path) -> Path:
    """The golden backbone under another name."""
    folder.symlink_to(FOLDER / "bert")
    return folder


def test_deeberts_epochs_are_the_backbones(tmp_path):
    """3 a stage, and 10 of RoBERTa's."""
    for weights, epochs in (("bert-base-uncased", 3), ("roberta-base", 10)):
        folder = named(tmp_path / weights)
        strategy, *_ = deebert.experiment("sst2", str(folder)).strategies
        assert isinstance(strategy, TwoStage)
        assert strategy.fit.epochs == epochs
        assert (strategy.fit.batch, strategy.fit.learning_rate) == (8, 2e-5)


def test_pabees_patience_as_a_share_of_the_exits():
    """A streak of 3 of 12 exits is 0.25; the one of 2 is below the threshold."""
    thresholds = pabee.thresholds(12)
    assert len(thresholds) == 6 + 1
    assert 2 / 12 < thresholds[0] < 3 / 12
    assert thresholds[-1] == 1
    assert len(pabee.thresholds(6)) == 3 + 1  # a streak of 6 needs 7 exits


def test_fastberts_speeds():
    thresholds = fastbert.experiment("mnli", str(FOLDER / "bert")).evaluation.thresholds
    assert thresholds[fastbert.SPEEDS.index(0.2)] == pytest.approx(0.8)


@pytest.mark.parametrize("task", ["sst2", "cola"])
def test_joint_vs_frozen_is_the_configs_experiment(task):
    """The study has more strategies; the first two, and all else, are the config's."""
    config = read(ROOT / "configs" / f"{task}_minilm.py")
    assert isinstance(config.model, Model)
    weights = str(FOLDER / "bert")
    found = names_of("joint_vs_frozen").experiment(task, weights)
    same = replace(found, name=config.name, model=config.model, strategies=found.strategies[:2])
    assert same == config


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_has_the_models_without_exits_trained_alike(name):
    experiment = find_study(name).experiment("rte", str(FOLDER / "bert"))
    single, *truncated = [s for s in experiment.strategies if isinstance(s, Static)]
    assert isinstance(single, Single)
    assert [s.static_blocks(4) for s in truncated] == [*range(1, BLOCKS)]
    first = experiment.strategies[0]
    fit = getattr(first, "first", getattr(first, "fit", None))
    assert {s.fit for s in (single, *truncated)} == {fit}


@pytest.mark.parametrize("name", STUDIES)
def test_claims_are_of_strategies_that_the_study_has(name):
    study = find_study(name)
    experiment = study.experiment("rte", str(FOLDER / "bert"))
    known = {strategy.name for strategy in experiment.strategies}
    assert study.claims
    for claim in study.claims:
        fields = vars(claim.difference)
        named = {fields[k] for k in ("first", "second", "strategy") if k in fields}
        assert named <= known, claim


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("debert", "no study `debert`: did you mean `deebert`?"),
        ("zzz", "no study `zzz`: there is berxit, deebert, "),
    ],
)
def test_an_unknown_study(name, message):
    with pytest.raises(UserError) as refused:
        find_study(name)
    assert str(refused.value).startswith(message)


def test_a_study_is_found_by_its_file_and_by_its_folder(tmp_path, monkeypatch):
    folder = ROOT / "experiments" / "deebert"
    monkeypatch.chdir(tmp_path)
    for name in (folder, folder / "study.py"):
        assert find_study(str(name)).title == "DeeBERT"
    with pytest.raises(UserError, match="no study at deebert: give a Python file with a STUDY"):
        find_study("deebert")


def test_an_unknown_task():
    study = find_study("deebert")
    check_tasks(study, ("sst2", "rte"))
    with pytest.raises(UserError, match="no task `sst3` in the study deebert: did you mean"):
        check_tasks(study, ("sst2", "sst3"))
    with pytest.raises(UserError, match="no task `stsb` in the study deebert: there is sst2"):
        check_tasks(study, ("stsb",))  # a regression, whose answers have no entropy
