"""How many examples a method takes, as `ee-jax run --check` says it before any is judged."""

import numpy as np
import pytest

from ee_jax.calibration.certify import certify
from ee_jax.calibration.trace import Trace
from ee_jax.config import Calibration
from ee_jax.tasks.inputs import promises_in_words


def of_two_exits(right: int, wrong: int = 0) -> Trace:
    """The first says what the last says, or with little confidence something else."""
    wrong_N = np.arange(right + wrong) >= right
    ones_N = np.ones(right + wrong, np.float32)
    prediction_NE = np.stack([wrong_N, ~ones_N.astype(bool)], axis=1).astype(np.int32)
    return Trace(
        confidence_NE=np.stack(
            [np.where(wrong_N, 0.1, 0.9).astype(np.float32), ones_N], axis=1
        ),
        loss_NE=prediction_NE.astype(float),
        depth_E=np.array([1, 2], np.int32),
        prediction_NE=prediction_NE,
    )


@pytest.mark.parametrize("method", ["conformal", "conformal_per_exit"])
@pytest.mark.parametrize("level", [0.05, 0.1, 0.3])
def test_so_many_examples_that_an_exit_gets_wrong_and_no_fewer(method, level):
    said = promises_in_words(Calibration(methods=(method,), levels=(level,)), None)
    needs = int(said.split("needs ")[1].split()[0])
    for wrong, is_full in ((needs, False), (needs - 1, True)):
        choice = certify(of_two_exits(100, wrong), method, "consistency", level)
        assert choice.is_full_model == is_full


@pytest.mark.parametrize("method", ["ltt", "crc"])
@pytest.mark.parametrize("level", [0.05, 0.1, 0.3])
def test_so_many_examples_and_no_fewer(method, level):
    asked = Calibration(methods=(method,), levels=(level,))
    said = promises_in_words(asked, None)
    name, needs = f"{method} {100 * level:g} %", int(said.split()[-2])
    assert said == f"{name} needs {needs:,} examples"
    assert not certify(of_two_exits(needs), method, "consistency", level).is_full_model
    if needs > 1:
        assert certify(of_two_exits(needs - 1), method, "consistency", level).is_full_model
    assert promises_in_words(asked, needs) == f"{said}, {needs:,} are there"
    few = f"{name} needs {needs:,} examples, of {needs - 1:,}: it will take the full model"
    assert promises_in_words(asked, needs - 1) == few


def test_a_level_of_nothing_is_promised_to_nobody():
    asked = Calibration(methods=("ltt",), levels=(1e-9,))
    assert (
        promises_in_words(asked, 100) == "ltt 1e-07 % can promise nothing below the full model"
    )
    assert promises_in_words(Calibration(methods=()), 100) == "none"
