"""Config files, good and bad. Every error is one line that says where."""

import runpy
from pathlib import Path

import pytest

from ee_jax.config import Experiment, Frozen, Joint, OptimizerConfig
from ee_jax.config.load import load
from ee_jax.errors import UserError

QUICKSTART = Path(__file__).parents[2] / "configs" / "quickstart.py"
HEAD = """from ee_jax.config import *


def get_config():
"""  # whatever is returned stands in line 5


@pytest.fixture
def config(tmp_path):
    """Writes a config file; without `def` the text is what `get_config` returns."""

    def write(text: str) -> Path:
        path = tmp_path / "experiment.py"
        path.write_text(text if "def" in text else f"{HEAD}    return {text}\n")
        return path

    return write


def error_of(path: Path) -> str:
    with pytest.raises(UserError) as error:
        load(path)
    message = str(error.value)
    assert "\n" not in message
    return message


def test_a_file_is_run_and_its_experiment_returned(config):
    path = config(
        'Experiment("x", seed=3, strategies=(Joint(fit=OptimizerConfig(2.0)), Frozen()))'
    )
    assert load(path) == Experiment(
        "x", seed=3, strategies=(Joint(fit=OptimizerConfig(2.0)), Frozen())
    )


def test_the_quickstart_loads_and_its_card_names_the_command():
    assert load(QUICKSTART).name == "quickstart"
    assert "ee-jax run configs/quickstart.py" in runpy.run_path(str(QUICKSTART))["__doc__"]


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ('Experiment("x", sed=3)', "Experiment has no field `sed`; did you mean `seed`?"),
        (
            'Experiment("x", strategies=(Joint(fit=OptimizerConfig(epoch=3.0)),))',
            "OptimizerConfig has no field `epoch`; did you mean `epochs`?",
        ),
        (
            'Experiment("x", strategies=(TwoStage(first_stage=OptimizerConfig()),))',
            "TwoStage has no field `first_stage`; did you mean `first`?",
        ),
        (
            "Experiment(exits=Exits(zzz=1))",
            "Exits has no field `zzz`; its fields are layers, confidence, learned, head, "
            "pooling, token_head, token_head_width, tolerance, rule, min_depth, patience, "
            "decay, decay_tau",
        ),
    ],
)
def test_an_unknown_field_is_answered_with_the_nearest(config, returned, message):
    path = config(returned)
    assert error_of(path) == f"{path}:5: {message}"


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ("Experiment(3)", "`name` must be str, not 3"),
        ('Experiment("x", data="docs")', "`data` must be DataConfig, not 'docs'"),
        # What a rule could not even compare.
        ('Experiment("x", strategies=(Joint(fit=OptimizerConfig(batch="32")),))',
         "`fit.batch` must be int, not '32'"),
        ('Experiment("x", exits=Exits(layers=6))',
         "`exits.layers` must be tuple[int, ...] | None, not 6"),
        ('Experiment("x", calibration=Calibration(tolerances=0.1))',
         "`calibration.tolerances` must be tuple[float, ...], not 0.1"),
        ('Experiment("x", strategies=("joint",))',
         "`strategies` must be tuple[Strategy, ...], not ('joint',)"),
        # Every item of a tuple is looked at.
        ('Experiment("x", calibration=Calibration(methods=("ltt", "ltd")))',
         "`calibration.methods` names no method 'ltd': did you mean `ltt`? there are "
         "empirical, naive, ltt, ltt_hoeffding, clopper_pearson, ucb, crc, crc_paper, "
         "conformal, conformal_per_exit"),
        ('Experiment("x", exits=Exits(layers=(1, 2.5)))',
         "`exits.layers` must be tuple[int, ...] | None, not (1, 2.5)"),
        ('Experiment("x", strategies=(Joint(), "frozen"))',
         "`strategies` must be tuple[Strategy, ...], not (Joint(name='joint', loss='nll', "
         "weights='linear', stride=1,"),
        ('Experiment("x", strategies=(TwoStage(first=True),))',
         "`two_stage.first` must be OptimizerConfig, not True"),
        ('Experiment("x", exits=Exits(learned=Learned(fit=3)))',
         "`learned.fit` must be OptimizerConfig | None, not 3"),
        ('Experiment("x", exits=Exits(confidence="margins"))',
         "`exits.confidence` names no confidence 'margins': did you mean `margin`? there are "
         "max_prob, margin, entropy, saturation, patience, voting, learned"),
        ('Experiment("x", exits=Exits(head=3))', "`exits.head` must be str, not 3"),
    ],
)  # fmt: skip
def test_a_value_of_another_type_is_named_by_its_field(config, returned, message):
    path = config(returned)
    assert error_of(path) == f"{path}:5: config field {message}"


def test_a_broken_rule_is_told_with_its_line(config):
    path = config('Experiment("x", exits=Exits(layers=(2, 1)))')
    assert error_of(path).startswith(f"{path}:5: config field `exits.layers` must rise")


def test_a_long_or_broken_value_is_cut_and_kept_on_a_line(config):
    path = config(
        "import numpy as np\nfrom ee_jax.config import Data\n"
        "def get_config():\n    return Data(lengths=np.ones((9, 9)))\n"
    )
    assert error_of(path) == (
        f"{path}:4: config field `data.lengths` must be tuple[int, ...] | None, not "
        "array([[1., 1., 1., 1., 1., 1., 1., 1., 1.], [1., 1., 1., 1."
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("3", ": get_config() must return an Experiment, not 3"),
        ("{}['x']", ":5: KeyError: 'x'"),
        ("int(base=3)", ":5: TypeError: int() missing string argument"),
        ("Experiment()", ":5: TypeError: Experiment.__init__() missing 1 required positional "
                         "argument: 'name'"),
        ("class Odd: pass\ndef get_config():\n    return Odd(x=1)\n",
         ":3: TypeError: Odd() takes no arguments"),
        ("def get_config():\n    raise ValueError('two\\nlines')\n",
         ":2: ValueError: two lines"),
        ("import nosuch\ndef get_config(): ...\n",
         ":1: ModuleNotFoundError: No module named 'nosuch'"),
        ("default = 1\n", ": no get_config(), which must return an Experiment"),
        ("def get_config(:\n",
         ": SyntaxError: invalid syntax (experiment.py, line 1)"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_config_is_one_line(config, text, message):
    path = config(text)
    assert error_of(path) == f"{path}{message}"


def test_a_missing_file(tmp_path):
    mend = "give a Python file such as configs/quickstart.py"
    for path in (tmp_path / "nosuch.py", tmp_path):
        assert error_of(path) == f"no config at {path}: {mend}"
